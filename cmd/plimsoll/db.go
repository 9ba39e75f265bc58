package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"plimsoll"
	"plimsoll/report"
	"plimsoll/sample"
	"plimsoll/vulndb"
	"plimsoll/vulndb/feed"
)

func (a *app) dbDir() string { return filepath.Join(a.dataDir, "db") }

func (a *app) dbCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "db",
		Short: "Look after the advisory database",
		Args:  knownCommand,
		RunE:  showHelp,
	}
	cmd.AddCommand(a.dbUpdateCommand(), a.dbStatusCommand(), a.dbImportCommand(), a.dbExportCommand(), a.dbVerifyCommand(), a.dbRollbackCommand())
	return cmd
}

func (a *app) dbUpdateCommand() *cobra.Command {
	o := feed.Options{}
	cmd := &cobra.Command{
		Use:   "update",
		Short: "Fetch advisories and compile them",
		Long: `Update fetches what changed since the last time, compiles it into a new
generation and makes it the active one when it is complete. Until then, and
whenever that fails, the generation in use stays. Of a source that cannot be
fetched its last copy is used; the exit code is 4 then.

Sources are the public OSV exports, CISA's known exploited vulnerabilities and
EPSS; each can be another address or a directory or file in the same shape.
--advisories names further ones, such as the errata of a distribution's package
repository; see docs/advisories.md.`,
		Example: `  plimsoll db update
  plimsoll db update --ecosystems Debian,npm,Go
  plimsoll db update --osv https://mirror.example/osv --kev /srv/kev.json.gz
  plimsoll db update --advisories updateinfo@euleros:2.0-SP9=https://repo.example/euleros/2.9/updates/x86_64`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			missed, err := a.updateDatabase(cmd.Context(), o)
			if err == nil && missed > 0 {
				err = &outcome{exitIncomplete, fmt.Sprintf("%d of the sources could not be fetched", missed)}
			}
			return err
		},
	}
	feedFlags(cmd, &o)
	cmd.Flags().BoolVar(&o.Force, "force", false, "accept fewer or older records than before")
	return cmd
}

// feedFlags say where advisories come from.
func feedFlags(cmd *cobra.Command, o *feed.Options) {
	f := cmd.Flags()
	f.StringVar(&o.Base, "osv", feed.PublicOSV, "base address or directory of OSV exports")
	f.StringVar(&o.KEV, "kev", feed.PublicKEV, "address or file of CISA's catalogue (JSON); empty for none")
	f.StringVar(&o.EPSS, "epss", feed.PublicEPSS, "address or file of EPSS scores (CSV); empty for none")
	f.StringVar(&o.CVSS, "cvss", "", "address or file of further CVSS scores (CSV: cve, source, version, vector, base_score, base_severity)")
	f.Var((*sourcesValue)(&o.Sources), "advisories", "a further source of advisories, KIND[@DISTRIBUTION:RELEASE]=URL|FILE|DIR; repeatable")
	f.Var((*preferencesValue)(&o.Prefer), "prefer", "whom to believe first where sources disagree, ECOSYSTEM=SOURCE; repeatable")
	f.StringSliceVar(&o.Ecosystems, "ecosystems", nil, "OSV ecosystems to fetch (default: all that Plimsoll can match)")
}

// firstFetchFlags let a command that fetches the first generation take its
// sources from the configuration, as db update does.
func firstFetchFlags(cmd *cobra.Command, o *scanOptions) {
	feedFlags(cmd, &o.feed)
	hideFlags(cmd.Flags(), "osv", "kev", "epss", "cvss", "advisories", "prefer", "ecosystems")
}

// sourcesValue makes a flag of sources of advisories.
type sourcesValue []feed.Source

func (v *sourcesValue) Set(s string) error {
	source, err := feed.ParseSource(s)
	if err != nil {
		return usagef("%w", err)
	}
	*v = append(*v, source)
	return nil
}

func (v *sourcesValue) String() string {
	var list []string
	for _, s := range *v {
		list = append(list, s.String())
	}
	return "[" + strings.Join(list, ",") + "]"
}

// Type ends like those of other flags that may be repeated.
func (v *sourcesValue) Type() string { return "sourceArray" }

// preferencesValue makes a flag of preferences.
type preferencesValue []feed.Preference

func (v *preferencesValue) Set(s string) error {
	p, err := feed.ParsePreference(s)
	if err != nil {
		return usagef("%w", err)
	}
	*v = append(*v, p)
	return nil
}

func (v *preferencesValue) String() string {
	var list []string
	for _, p := range *v {
		list = append(list, p.String())
	}
	return "[" + strings.Join(list, ",") + "]"
}

func (v *preferencesValue) Type() string { return "preferenceArray" }

// updateDatabase returns how many sources could not be fetched; it has told which.
func (a *app) updateDatabase(ctx context.Context, o feed.Options) (missed int, err error) {
	o.Dir = a.dbDir()
	progress := a.progress("update", 0)
	defer progress.done()
	o.Progress = func(p feed.Progress) { progress.count(p.Stage+" "+p.Source, p.Done, p.Total) }
	generation, summary, err := feed.Update(ctx, o)
	progress.done()
	if err != nil {
		return 0, err
	}
	if len(summary.Behind) > 0 {
		a.note("%s", report.Text(behind(summary)))
	}
	for _, p := range summary.Problems {
		a.log.Info("record left out", "record", p.Path, "detail", p.Detail)
	}
	if summary.Broken > 0 {
		a.note("%d records could not be read and were left out; -v names them.", summary.Broken)
	}
	if summary.Unchanged {
		a.note("Nothing new: the advisory database holds %d records of %s.", generation.Advisories, generation.Built.Format(time.DateOnly))
		return len(summary.Behind), nil
	}
	a.note("The advisory database now holds %d records of %s (%d MiB fetched).", generation.Advisories, generation.Built.Format(time.DateOnly), summary.Downloaded>>20)
	return len(summary.Behind), nil
}

// behind says which sources could not be fetched; "" when all were.
func behind(s feed.Summary) string {
	var all []string
	for _, b := range s.Behind {
		all = append(all, b.String())
	}
	return strings.Join(all, "; ")
}

func (a *app) dbStatusCommand() *cobra.Command {
	format := report.Table
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show the sources of the advisory database with their dates",
		Example: "  plimsoll db status -o json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			generation, err := feed.Status(a.dbDir())
			if err != nil {
				return withoutDatabase(err)
			}
			options := a.look(a.stdout)
			return buffered(a.stdout, func(w io.Writer) error {
				return report.Database(w, format, generation, time.Now(), options)
			})
		},
	}
	a.formatFlag(cmd, &format)
	return cmd
}

func (a *app) dbImportCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:     "import FILE",
		Short:   "Use an advisory database that was exported elsewhere",
		Example: "  plimsoll db import advisories.plim",
		Args:    oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				code := plimsoll.CodeUnreadable
				if errors.Is(err, fs.ErrNotExist) {
					code = plimsoll.CodeNotFound
				}
				return plimsoll.Errorf(code, "import advisories", "%w", err)
			}
			defer f.Close()
			return a.changeDatabase(func(d *vulndb.Dir) (plimsoll.Generation, error) {
				return d.Import(cmd.Context(), f, force)
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "accept fewer or older records than before")
	return cmd
}

func (a *app) dbExportCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "export FILE",
		Short:   "Write the advisory database to a file for db import",
		Example: "  plimsoll db export advisories.plim",
		Args:    oneFile,
		RunE: func(_ *cobra.Command, args []string) error {
			return replaceFile(args[0], 0o644, func(w io.Writer) error {
				_, err := vulndb.Export(a.dbDir(), w)
				return withoutDatabase(err)
			})
		},
	}
}

func (a *app) dbVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "verify",
		Short:   "Read the whole advisory database and check it",
		Example: "  plimsoll db verify",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			db, err := vulndb.OpenCurrent(a.dbDir())
			if err != nil {
				return withoutDatabase(err)
			}
			defer db.Close()
			if err := db.Verify(cmd.Context()); err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "ok: %d records, %s\n", db.Generation().Advisories, db.Generation().ID)
			return nil
		},
	}
}

func (a *app) dbRollbackCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "rollback",
		Short:   "Use the generation before the current one again",
		Example: "  plimsoll db rollback",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.changeDatabase(func(d *vulndb.Dir) (plimsoll.Generation, error) { return d.Rollback(cmd.Context()) })
		},
	}
}

// changeDatabase runs change with the exclusive right to the directory.
func (a *app) changeDatabase(change func(*vulndb.Dir) (plimsoll.Generation, error)) error {
	d, err := vulndb.Acquire(a.dbDir())
	if err != nil {
		return err
	}
	defer d.Release()
	generation, err := change(d)
	if err != nil {
		return err
	}
	a.note("The advisory database now holds %d records of %s.", generation.Advisories, generation.Built.Format(time.DateOnly))
	return nil
}

func oneFile(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("give one file")
	}
	return nil
}

// withoutDatabase tells what to do when there is no database.
func withoutDatabase(err error) error {
	var absent *plimsoll.Error
	if !errors.As(err, &absent) || absent.Code != plimsoll.CodeNotFound {
		return err
	}
	return &plimsoll.Error{
		Code: plimsoll.CodeUnavailable, Op: absent.Op, Err: absent.Err,
		Hint: "Fetch them with plimsoll db update, or bring them with plimsoll db import FILE.",
	}
}

// openDatabase opens the file that was named, else the active generation,
// fetching one when there is none. It returns nil without an error when there is
// none and none could be fetched: the software can be listed all the same.
func (a *app) openDatabase(ctx context.Context, o scanOptions) (*vulndb.DB, error) {
	if o.dbPath != "" {
		return vulndb.Open(o.dbPath)
	}
	db, err := vulndb.OpenCurrent(a.dbDir())
	if plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
		return db, err
	}
	if o.offline {
		return nil, nil
	}
	a.note("No advisory database yet: fetching one into %s.", a.dbDir())
	from := o.feed
	if from.Base == "" {
		from = feed.Options{Base: feed.PublicOSV, KEV: feed.PublicKEV, EPSS: feed.PublicEPSS}
	}
	if _, err := a.updateDatabase(ctx, from); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		a.note("The advisory database could not be fetched: %s", report.Text(err.Error()))
		return nil, nil
	}
	return vulndb.OpenCurrent(a.dbDir())
}

// sampleDatabase returns the path of the built-in sample of advisories, or ""
// when a real database is there or, with fetch, could be fetched.
func (a *app) sampleDatabase(ctx context.Context, fetch bool) (string, error) {
	db, err := a.openDatabase(ctx, scanOptions{offline: !fetch})
	if err != nil {
		return "", err
	}
	if db != nil {
		return "", db.Close()
	}
	if err := os.MkdirAll(a.cacheDir, 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(a.cacheDir, "sample.plim")
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // of another version
		return "", err
	}
	if err := writeSample(ctx, vulndb.NewWriter(path)); err != nil {
		return "", err
	}
	a.noteSample()
	return path, nil
}

// writeSample makes a generation of the built-in sample of advisories.
func writeSample(ctx context.Context, w *vulndb.Writer) error {
	sources, _, err := feed.Compile(ctx, w, sample.Advisories())
	if err != nil {
		w.Abort()
		return err
	}
	_, err = w.Finish(ctx, sources, true)
	return err
}

func (a *app) noteSample() {
	a.note("Using the built-in SAMPLE of advisories: it is small and dated, and misses nearly everything.\nFor real results: plimsoll db update\nIts facts come from the GitHub and PyPA advisory databases (CC-BY 4.0), Debian, Alpine, CISA and FIRST (EPSS).\n")
}
