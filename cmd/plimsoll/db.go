package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
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
	cmd.AddCommand(a.dbUpdateCommand(), a.dbStatusCommand(), a.dbImportCommand(), a.dbExportCommand(), a.dbVerifyCommand(), a.dbRollbackCommand(), a.dbKeyCommand(), a.dbTrustCommand())
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
	f.Var((*sourcesValue)(&o.Sources), "advisories", "a further `source` of advisories, KIND[@DISTRIBUTION:RELEASE]=URL|FILE|DIR; repeatable")
	f.Var((*preferencesValue)(&o.Prefer), "prefer", "whom to believe first where sources disagree, `ECOSYSTEM=SOURCE`; repeatable")
	f.Lookup("advisories").DefValue, f.Lookup("prefer").DefValue = "", ""
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
	a.noteServicePacks(o.Sources)
	progress := a.progress("update", 0)
	defer progress.done()
	o.Progress = func(p feed.Progress) { progress.count(p.Stage+" "+p.Source, p.Done, p.Total) }
	before, _ := feed.Status(a.dbDir()) // none the first time
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
		a.note("Nothing new: the advisory database holds %s of %s.", records(generation.Advisories), generation.Built.Format(time.DateOnly))
		return len(summary.Behind), nil
	}
	a.noteChanges(before, generation)
	a.note("The advisory database now holds %s of %s (%d MiB fetched).", records(generation.Advisories), generation.Built.Format(time.DateOnly), summary.Downloaded>>20)
	return len(summary.Behind), nil
}

// noteServicePacks tells of sources for a release whose service packs have none:
// images of these are not judged by it.
func (a *app) noteServicePacks(sources []feed.Source) {
	for _, s := range sources {
		packs := s.System.ServicePacks()
		if len(packs) == 0 || slices.ContainsFunc(sources, func(other feed.Source) bool {
			return other.System.Name == s.System.Name && slices.Contains(packs, other.System.Release)
		}) {
			continue
		}
		a.note("%s@%s is about %s alone: %s are releases of their own; name a source for each that you have.", s.Kind, report.Text(s.Claim), s.System.Bound(), strings.Join(packs, ", "))
	}
}

// noteChanges says by source what became of one generation.
func (a *app) noteChanges(before, after plimsoll.Generation) {
	if len(before.Sources) == 0 || before.Sample {
		return
	}
	old := make(map[string]plimsoll.DataSource)
	for _, s := range before.Sources {
		old[s.Name] = s
	}
	for _, s := range after.Sources {
		was, known := old[s.Name]
		delete(old, s.Name)
		switch {
		case !known:
			a.note("%s: new, %s of %s", report.Text(s.Name), records(s.Records), s.Newest.Format(time.DateOnly))
		case was.Records != s.Records || !was.Newest.Equal(s.Newest):
			a.note("%s: %+d records, %s → %s", report.Text(s.Name), s.Records-was.Records, was.Newest.Format(time.DateOnly), s.Newest.Format(time.DateOnly))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		a.note("%s: gone", report.Text(name))
	}
}

func records(n int) string {
	if n == 1 {
		return "1 record"
	}
	return fmt.Sprintf("%d records", n)
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
	var terms vulndb.Terms
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Use an advisory database that was exported elsewhere",
		Long: `Import takes a file that db export wrote, if the key that signed it is trusted
here (see db key and db trust), it is whole, and not older than what is in use.
Nothing in it is read before its signature has proved right.`,
		Example: "  plimsoll db import advisories.plim",
		Args:    oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := openNamed("import advisories", args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			return a.changeDatabase(func(d *vulndb.Dir) (plimsoll.Generation, error) {
				generation, err := d.Import(cmd.Context(), f, terms)
				if e := (*plimsoll.Error)(nil); errors.As(err, &e) {
					err = &plimsoll.Error{Code: e.Code, Op: e.Op, Err: fmt.Errorf("%s: %w", args[0], e.Err), Hint: plimsoll.HintOf(err)}
				}
				return generation, err
			})
		},
	}
	cmd.Flags().BoolVar(&terms.Force, "force", false, "accept fewer or older records than before")
	cmd.Flags().BoolVar(&terms.Unsigned, "unsigned", false, "accept a file that no trusted key vouches for")
	return cmd
}

func (a *app) dbExportCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "export FILE",
		Short:   "Write the advisory database to a signed file for db import",
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
			generation, by, err := vulndb.Verify(cmd.Context(), a.dbDir())
			if err != nil {
				return withoutDatabase(err)
			}
			signed := "not signed"
			if by != (vulndb.Key{}) {
				signed = "signed by " + by.String()
			}
			fmt.Fprintf(a.stdout, "ok: %d records, %s, %s\n", generation.Advisories, generation.ID, signed)
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

func (a *app) dbKeyCommand() *cobra.Command {
	var root string
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Show the key that vouches for this advisory database, and those that are trusted",
		Long: `Every generation is signed by a key that lives for three months and is certified
by a root key, which is made here with the first generation. Others trust what
comes from here by trusting the root key that this command shows.

With --root the root key is kept elsewhere, on a stick in a safe, say: the file
is made if it is not there, certifies a new signing key, and is not needed here
until that expires.`,
		Example: "  plimsoll db key\n  plimsoll db key --root /media/safe/plimsoll-root.json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			if root != "" {
				d, err := vulndb.Acquire(a.dbDir())
				if err != nil {
					return err
				}
				defer d.Release()
				if _, err := d.UseRoot(root, time.Now()); err != nil {
					return err
				}
			}
			keys, err := vulndb.ReadKeys(a.dbDir())
			if err != nil {
				return err
			}
			return buffered(a.stdout, func(w io.Writer) error {
				if keys.Root == (vulndb.Key{}) {
					fmt.Fprintln(w, "no key yet: it is made with the first generation")
				} else {
					fmt.Fprintf(w, "root key:     %s\nsigning key:  until %s\n", keys.Root, keys.Expires.Format(time.DateOnly))
				}
				for _, key := range keys.Trusted {
					fmt.Fprintf(w, "trusted:      %s\n", key)
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&root, "root", "", "file of a root key that is kept elsewhere")
	return cmd
}

func (a *app) dbTrustCommand() *cobra.Command {
	var remove bool
	cmd := &cobra.Command{
		Use:     "trust KEY",
		Short:   "Accept advisory databases that a root key vouches for",
		Example: "  plimsoll db trust ed25519:iZu0RhCGYFYzGd2qDoVFrwJsXpdHI0XdSmUcYSjKGDk",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("give one key, as plimsoll db key shows it where the file comes from")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			key, err := vulndb.ParseKey(args[0])
			if err != nil {
				return usageError{err}
			}
			d, err := vulndb.Acquire(a.dbDir())
			if err != nil {
				return err
			}
			defer d.Release()
			if err := d.Trust(key, !remove); err != nil {
				return err
			}
			a.note("%s is %s.", key, map[bool]string{false: "trusted now", true: "no longer trusted"}[remove])
			return nil
		},
	}
	cmd.Flags().BoolVar(&remove, "remove", false, "no longer accept them")
	return cmd
}

// changeDatabase runs change with the exclusive right to the directory.
func (a *app) changeDatabase(change func(*vulndb.Dir) (plimsoll.Generation, error)) error {
	d, err := vulndb.Acquire(a.dbDir())
	if err != nil {
		return err
	}
	defer d.Release()
	before, _ := feed.Status(a.dbDir()) // none the first time
	generation, err := change(d)
	if err != nil {
		return err
	}
	a.noteChanges(before, generation)
	a.note("The advisory database now holds %s of %s.", records(generation.Advisories), generation.Built.Format(time.DateOnly))
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
