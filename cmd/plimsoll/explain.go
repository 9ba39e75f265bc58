package main

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"plimsoll"
	"plimsoll/local"
	"plimsoll/report"
)

func (a *app) explainCommand() *cobra.Command {
	var o scanOptions
	var images []string
	format := report.Table
	cmd := &cobra.Command{
		Use:   "explain VULNERABILITY",
		Short: "Tell what is known about a vulnerability and why images match it",
		Long: `Explain prints the merged view of all advisories about one vulnerability, named by
CVE, GHSA or any other id. With --image or --all it also prints each match with
its evidence: record, range, compared versions, source and date.`,
		Example: `  plimsoll explain CVE-2021-44228
  plimsoll explain CVE-2021-44228 --image app:v1
  plimsoll explain GHSA-jfh8-c2jp-5v3q --all -o json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return usagef("give one vulnerability, for example CVE-2021-44228")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			db, err := a.openDatabase(cmd.Context(), o)
			if err != nil {
				return err
			}
			if db == nil {
				return &outcome{exitIncomplete, "no advisory database; run: plimsoll db update"}
			}
			defer db.Close()
			vulnerability, err := db.Vulnerability(args[0])
			if plimsoll.CodeOf(err) == plimsoll.CodeNotFound && spelled(args[0]) != args[0] {
				if known, again := db.Vulnerability(spelled(args[0])); plimsoll.CodeOf(again) != plimsoll.CodeNotFound {
					vulnerability, err = known, again
				}
			}
			if err != nil {
				return err
			}
			generation := db.Generation()
			r := plimsoll.Report{Tool: "plimsoll " + version, Generation: &generation}
			var read reading
			if o.all || len(images) > 0 || len(a.host.Inputs) > 0 {
				o.comprehensive = true // an owned package is part of the explanation
				if read, err = a.inventories(cmd.Context(), images, o); err != nil {
					return err
				}
				r.Results = read.results
				for i := range r.Results {
					if err := a.judge(cmd.Context(), db, &r.Results[i], o); err != nil {
						return err
					}
					keepVulnerability(&r.Results[i], vulnerability.ID)
				}
			}
			options := a.look(a.stdout)
			err = buffered(a.stdout, func(w io.Writer) error { return report.Explain(w, format, vulnerability, r, options) })
			if err != nil {
				return err
			}
			if err := read.verdict(); err != nil {
				return err
			}
			return unjudged(read.results)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&images, "image", nil, "explain the matches in this image; repeatable")
	f.BoolVar(&o.all, "all", false, "explain the matches in every image that is stored here")
	f.StringArrayVar(&a.host.Inputs, "input", nil, "explain the matches in this archive or directory; repeatable")
	f.StringVar(&o.dbPath, "db-path", "", "use this advisory database file")
	f.BoolVar(&o.offline, "offline", false, "do not fetch the advisory database when there is none")
	f.DurationVar(&o.timeout, "timeout", local.DefaultTimeout, "longest time for one image")
	firstFetchFlags(cmd, &o)
	a.formatFlag(cmd, &format)
	return cmd
}

// spelled returns a vulnerability's ID in the letters that publishers use, for
// people who type "cve-…".
func spelled(id string) string {
	id = strings.ToUpper(id)
	if rest, ok := strings.CutPrefix(id, "GHSA-"); ok {
		return "GHSA-" + strings.ToLower(rest)
	}
	return id
}

func keepVulnerability(r *plimsoll.Result, id string) {
	kept := r.Findings[:0:0]
	for _, f := range r.Findings {
		if f.Vulnerability.ID == id {
			kept = append(kept, f)
		}
	}
	r.Findings = kept
}
