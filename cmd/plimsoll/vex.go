package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"plimsoll"
	"plimsoll/local"
	"plimsoll/match"
	"plimsoll/report"
	"plimsoll/vex"
)

func (a *app) vexCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "vex",
		Short: "Look into VEX documents",
		Args:  knownCommand,
		RunE:  showHelp,
	}
	cmd.AddCommand(a.vexExplainCommand())
	return cmd
}

func (a *app) vexExplainCommand() *cobra.Command {
	var o scanOptions
	format := report.Table
	cmd := &cobra.Command{
		Use:   "explain IMAGE… --vex FILE…",
		Short: "Tell why statements of VEX documents apply to images or not",
		Long: `Explain scans images and says of every statement of the VEX documents what it is
about there; of one that does not apply what kept it from that, and which finding
came nearest.

` + exitHelp,
		Example: `  plimsoll vex explain app:v1 --vex app.openvex.json
  plimsoll vex explain sbom:app.cdx.json --vex vendor.csaf.json -o json`,
		ValidArgsFunction: a.completeImages,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(o.vex) == 0 {
				return usagef("give the documents to explain with --vex")
			}
			return a.explainVEX(cmd.Context(), args, o, format)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.all, "all", false, "every image that is stored here")
	f.StringArrayVar(&a.host.Inputs, "input", nil, "explain for this archive or directory; repeatable")
	o.distros.flag(f)
	f.StringVar(&o.dbPath, "db-path", "", "use this advisory database file")
	f.BoolVar(&o.offline, "offline", false, "do not fetch the advisory database when there is none")
	f.DurationVar(&o.timeout, "timeout", local.DefaultTimeout, "longest time for one image")
	vexFlag(cmd, &o)
	firstFetchFlags(cmd, &o)
	a.formatFlag(cmd, &format)
	return cmd
}

func vexFlag(cmd *cobra.Command, o *scanOptions) {
	cmd.Flags().StringArrayVar(&o.vex, "vex", nil, "apply this VEX document (OpenVEX, CSAF or CycloneDX, by its content); repeatable")
}

func (a *app) explainVEX(ctx context.Context, refs []string, o scanOptions, format report.Format) error {
	statements, err := readVEX(o.vex)
	if err != nil {
		return err
	}
	db, err := a.openDatabase(ctx, o)
	if err != nil {
		return err
	}
	if db == nil {
		return &outcome{exitIncomplete, "no advisory database: without findings there is nothing to explain; run: plimsoll db update"}
	}
	defer db.Close()
	o.comprehensive = true // an owned package may be what a statement is about
	read, err := a.inventories(ctx, refs, o)
	if err != nil {
		return err
	}
	generation := db.Generation()
	r := plimsoll.Report{Tool: "plimsoll " + version, Generation: &generation, Results: read.results}
	explanations := make([][]plimsoll.VEXExplanation, len(r.Results))
	for i := range r.Results {
		if err := a.judge(ctx, db, &r.Results[i], o); err != nil {
			return err
		}
		applyVEX(statements, &r.Results[i])
		explanations[i] = statements.Explain(&r.Results[i])
	}
	options := a.look(a.stdout)
	err = buffered(a.stdout, func(w io.Writer) error { return report.VEX(w, format, r, explanations, options) })
	return cmp.Or(err, read.verdict())
}

// applyVEX gives the findings of a result their statements. What they handle needs
// no plan.
func applyVEX(statements *vex.Set, r *plimsoll.Result) {
	if statements == nil || !r.Matched {
		return
	}
	statements.Apply(r)
	r.Plan = match.Plan(r.Image, r.Inventory, r.Findings)
}

// readVEX reads the documents of --vex; nil when there are none.
func readVEX(files []string) (*vex.Set, error) {
	if len(files) == 0 {
		return nil, nil
	}
	var docs []vex.Document
	for _, name := range files {
		d, err := readDocument(name, vex.Read)
		if err != nil {
			return nil, err
		}
		docs = append(docs, d)
	}
	return vex.NewSet(docs...), nil
}

// readDocument opens a file that the user named and reads it; the error names it.
func readDocument[T any](name string, read func(io.Reader) (T, error)) (T, error) {
	var none T
	f, err := openNamed("open document", name)
	if err != nil {
		return none, err
	}
	defer f.Close()
	d, err := read(f)
	if err != nil {
		return none, plimsoll.Errorf(plimsoll.CodeOf(err), name, "%w", err)
	}
	return d, nil
}

// openNamed opens a file that the user named.
func openNamed(op, name string) (*os.File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, namedError(op, err)
	}
	return f, nil
}

// namedError says of a file that the user named whether it is not there or cannot
// be read: the exit codes differ.
func namedError(op string, err error) error {
	code := plimsoll.CodeUnreadable
	if errors.Is(err, fs.ErrNotExist) {
		code = plimsoll.CodeNotFound
	}
	return plimsoll.Errorf(code, op, "%w", err)
}
