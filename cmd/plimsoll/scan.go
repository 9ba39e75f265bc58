package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"plimsoll"
	"plimsoll/inventory"
	"plimsoll/local"
	"plimsoll/match"
	"plimsoll/report"
	"plimsoll/sandbox"
	"plimsoll/sbom"
	"plimsoll/vulndb"
	"plimsoll/vulndb/feed"
)

type scanOptions struct {
	all           bool
	outputs       outputs
	filter        filter
	failOn        string
	exitCode      int
	distros       distros
	configured    bool // the distros come from the configuration, which is about other images too
	comprehensive bool
	packages      bool
	offline       bool
	dbPath        string
	maxDBAge      time.Duration
	timeout       time.Duration
	vex           []string     // documents
	feed          feed.Options // of the first generation, which is fetched when there is none
}

func (a *app) scanCommand() *cobra.Command {
	var o scanOptions
	cmd := &cobra.Command{
		Use:   "scan IMAGE… | sbom:FILE… | --all | --input PATH",
		Short: "Find the vulnerabilities of images and say what to do",
		Long: `Scan reads images in place, lists their software and finds what is vulnerable.

IMAGE is a name, a digest, an image ID or the beginning of one. sbom:FILE is a
CycloneDX or SPDX document of another tool, judged by what it claims. Nothing is
written but the cache, the results and, when there is none yet, the advisory
database.

` + exitHelp,
		Example: `  plimsoll scan debian:12
  plimsoll scan --all --min-severity high --only-fixed
  plimsoll scan app:v1 -o table -o json=app.json -o html=app.html --fail-on high+fixable,kev
  plimsoll scan app:v1 --vex app.openvex.json
  plimsoll scan sbom:app.cdx.json`,
		ValidArgsFunction: a.completeImages,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("fail-on") && strings.TrimSpace(o.failOn) == "" {
				return usagef("--fail-on names no condition: nothing would ever fail")
			}
			o.configured = len(cmd.Flags().Lookup("distro").Annotations[originAnnotation]) > 0
			return a.scan(cmd.Context(), args, o)
		},
	}
	f := cmd.Flags()
	a.scanFlags(cmd, &o)
	o.filter.flags(f)
	vexFlag(cmd, &o)
	f.StringVar(&o.failOn, "fail-on", "", "end with exit code 3 when a finding fits: none, low, medium, high, critical (at least), fixable, kev, malicious, confident (not of low confidence); join with + (and) and , (or)")
	f.IntVar(&o.exitCode, "exit-code", exitGate, "the exit code of --fail-on")
	o.distros.flag(f)
	f.BoolVar(&o.comprehensive, "comprehensive", false, "also judge language packages that the distribution owns, as information")
	f.BoolVar(&o.packages, "packages", false, "list the software too (alias --list-all-pkgs)")
	f.BoolVar(&o.packages, "list-all-pkgs", false, "")
	f.BoolVar(&o.offline, "offline", false, "do not fetch the advisory database when there is none")
	f.StringVar(&o.dbPath, "db-path", "", "use this advisory database file")
	f.DurationVar(&o.maxDBAge, "max-db-age", 0, "end with exit code 4 when the advisories are older; 0 means any age")
	hideFlags(f, "list-all-pkgs")
	firstFetchFlags(cmd, &o)
	return cmd
}

func (a *app) sbomCommand() *cobra.Command {
	o := scanOptions{packages: true}
	cmd := &cobra.Command{
		Use:   "sbom IMAGE… | --all | --input PATH",
		Short: "List the software of images",
		Long: `Sbom reads images in place and lists their software, without asking advisories.

Exit codes:
  0  done
  1  a scan failed, or an internal error
  2  wrong command line or configuration
  4  incomplete: something could not be read
  5  an image or file that was named does not exist here`,
		Example: `  plimsoll sbom debian:12
  plimsoll sbom app:v1 -o cyclonedx-json=app.cdx.json -o spdx-json=app.spdx.json
  plimsoll sbom --input image.tar -o json`,
		ValidArgsFunction: a.completeImages,
		RunE: func(cmd *cobra.Command, args []string) error {
			read, err := a.inventories(cmd.Context(), args, o)
			if err != nil {
				return err
			}
			if err := a.write(plimsoll.Report{Tool: "plimsoll " + version, Results: read.results}, o); err != nil {
				return err
			}
			return read.verdict()
		},
	}
	a.scanFlags(cmd, &o)
	return cmd
}

func (a *app) scanFlags(cmd *cobra.Command, o *scanOptions) {
	f := cmd.Flags()
	f.BoolVar(&o.all, "all", false, "every image that is stored here")
	f.StringArrayVar(&a.host.Inputs, "input", nil, "read this docker-save tar, OCI layout (directory or tar) or root file system directory instead of an engine; repeatable")
	f.VarP(&o.outputs, "output", "o", "FORMAT or FORMAT=FILE, repeatable: "+formatNames())
	f.DurationVar(&o.timeout, "timeout", local.DefaultTimeout, "longest time for one image")
}

func (a *app) scan(ctx context.Context, args []string, o scanOptions) error {
	gate, err := parseGate(o.failOn)
	if err != nil {
		return err
	}
	if o.maxDBAge < 0 {
		return usagef("--max-db-age: %s is no age", o.maxDBAge)
	}
	if o.exitCode < 0 || o.exitCode > 255 {
		return usagef("--exit-code: %d is not between 0 and 255", o.exitCode)
	}
	if err := o.filter.check(); err != nil {
		return err
	}
	statements, err := readVEX(o.vex)
	if err != nil {
		return err
	}
	chosen, err := a.targets(ctx, args, o)
	if err != nil {
		return err
	}
	defer chosen.Close()
	db, err := a.openDatabase(ctx, o)
	if err != nil {
		return err
	}
	if db != nil {
		defer db.Close()
	}
	read, err := a.read(ctx, chosen, o.timeout)
	if err != nil {
		return err
	}
	results := read.results
	if o.all || !o.configured {
		for _, pattern := range o.distros.idle(results) {
			a.note("--distro: no image here has a name that fits %s", report.Text(pattern))
		}
	}
	all := plimsoll.Report{Tool: "plimsoll " + version, Results: results}
	if db != nil {
		generation := db.Generation()
		all.Generation = &generation
		for i := range results {
			if err := a.judge(ctx, db, &results[i], o); err != nil {
				return err
			}
			applyVEX(statements, &results[i])
		}
	}
	failed := gate.met(results)
	all.Hidden = o.filter.apply(results)
	if err := a.write(all, o); err != nil {
		return err
	}
	verdict := read.verdict()
	switch {
	case failed != "":
		return &outcome{o.exitCode, "--fail-on: " + failed}
	case exitOf(verdict) == exitError:
		return verdict
	case db == nil:
		return &outcome{exitIncomplete, "no advisory database: the software was listed, nothing was judged; run: plimsoll db update"}
	case o.maxDBAge > 0 && time.Since(all.Generation.Built) > o.maxDBAge:
		return &outcome{exitIncomplete, fmt.Sprintf("the advisories are of %s, older than --max-db-age %s; run: plimsoll db update", all.Generation.Built.Format(time.DateOnly), o.maxDBAge)}
	case verdict != nil:
		return verdict
	}
	return unjudged(results)
}

// unjudged is the outcome when software of an image was listed and nobody was
// asked about its system, or about any of it: no finding then proves nothing.
// Third-party packages beside judged ones are no such gap, and an image in which
// nothing was found has nothing to ask about.
func unjudged(results []plimsoll.Result) error {
	images := 0
	for i := range results {
		r := &results[i]
		unnamed := slices.ContainsFunc(r.Problems, func(p plimsoll.Problem) bool {
			return p.Code == plimsoll.ProblemUnidentified || p.Code == plimsoll.ProblemPackedBinary
		})
		if found := len(r.Inventory.Packages) > 0 || unnamed; found && r.Status != plimsoll.ScanFailed && !r.Judged(plimsoll.ClassSystem) {
			images++
		}
	}
	if images == 0 {
		return nil
	}
	return &outcome{exitIncomplete, fmt.Sprintf("inventory only: in %d of %d images nobody could be asked about the system, or about any package (see Coverage); plimsoll db update --advisories names further sources", images, len(results))}
}

// reading is what was read of the chosen images.
type reading struct {
	results []plimsoll.Result
	named   bool // the images were named one by one
	gaps    int  // problems of the stores that may hide images which were meant
}

// verdict turns what could not be read into an outcome; nil when all was read.
func (read reading) verdict() error {
	failed, partial := 0, 0
	for _, r := range read.results {
		switch r.Status {
		case plimsoll.ScanFailed:
			failed++
		case plimsoll.ScanPartial:
			partial++
		}
	}
	switch {
	case failed > 0 && (read.named || failed == len(read.results)):
		return &outcome{exitError, fmt.Sprintf("%d of %d images could not be scanned", failed, len(read.results))}
	case failed > 0 || partial > 0:
		return &outcome{exitIncomplete, fmt.Sprintf("of %d images %d could not be scanned and %d only in part", len(read.results), failed, partial)}
	case read.gaps > 0:
		return &outcome{exitIncomplete, "the images that were found are scanned, but what could not be read (see above) may hide others"}
	}
	return nil
}

// targets are the images that the command line names, with the stores that hold
// them open.
type targets struct {
	*local.Host // nil when no image is asked for
	images      []local.Image
	sboms       []string // files
	named       bool     // one by one
}

// Close lets the stores go.
func (t *targets) Close() {
	if t.Host != nil {
		t.Host.Close()
	}
}

// sbomPrefix marks what is no image but a document about one.
const sbomPrefix = "sbom:"

// splitSBOMs tells documents from images.
func splitSBOMs(refs []string) (images, sboms []string) {
	for _, ref := range refs {
		if file, ok := strings.CutPrefix(ref, sbomPrefix); ok {
			sboms = append(sboms, file)
		} else {
			images = append(images, ref)
		}
	}
	return images, sboms
}

// targets finds the images to read.
func (a *app) targets(ctx context.Context, refs []string, o scanOptions) (*targets, error) {
	if err := a.checkTargets(refs, o); err != nil {
		return nil, err
	}
	named := len(refs) > 0
	refs, sboms := splitSBOMs(refs)
	if named && len(refs) == 0 && len(a.host.Inputs) == 0 {
		return &targets{sboms: sboms, named: true}, nil
	}
	h, err := a.openHost(ctx)
	if err != nil {
		return nil, err
	}
	images, err := h.Choose(ctx, refs)
	a.noteProblems(h.Problems)
	if err == nil && len(images) == 0 {
		err = h.Empty(h.Gaps())
	}
	if err != nil {
		h.Close()
		return nil, err
	}
	return &targets{Host: h, images: images, sboms: sboms, named: named}, nil
}

// read reads the images, one after the other.
func (a *app) read(ctx context.Context, t *targets, timeout time.Duration) (reading, error) {
	read := reading{named: t.named}
	if !read.named {
		read.gaps = t.Gaps()
	}
	scanner := a.scanner()
	progress := a.progress("scan", len(t.images)+len(t.sboms))
	defer progress.done()
	for _, img := range t.images {
		progress.step(img.Name())
		start := time.Now()
		r := local.Read(ctx, scanner, img, timeout)
		a.log.Debug("image read", "image", img.Name(), "packages", len(r.Inventory.Packages), "dur", time.Since(start))
		if r.Status == plimsoll.ScanComplete && img.Engine == plimsoll.Archive && len(r.Inventory.Systems)+len(r.Inventory.Packages) == 0 {
			a.note("%s: nothing was recognised in it; is it an image or a root file system?", report.Text(img.Store))
		}
		read.results = append(read.results, r)
		if err := ctx.Err(); err != nil {
			return reading{}, err
		}
	}
	for _, file := range t.sboms {
		progress.step(file)
		r, err := readDocument(file, sbom.Read)
		if err != nil {
			return reading{}, err
		}
		r.Image.Store = file
		if r.Status == plimsoll.ScanComplete && len(r.Inventory.Systems)+len(r.Inventory.Packages)+len(r.Problems) == 0 {
			a.note("%s: the SBOM names no software.", report.Text(file))
		}
		read.results = append(read.results, r)
	}
	return read, nil
}

// inventories finds images and reads them.
func (a *app) inventories(ctx context.Context, refs []string, o scanOptions) (reading, error) {
	chosen, err := a.targets(ctx, refs, o)
	if err != nil {
		return reading{}, err
	}
	defer chosen.Close()
	return a.read(ctx, chosen, o.timeout)
}

// checkTargets refuses a command line that names nothing to read, or too much,
// or nowhere to write: better now than when all is read.
func (a *app) checkTargets(refs []string, o scanOptions) error {
	switch {
	case o.all && len(refs) > 0:
		return usagef("give either --all or images, not both")
	case !o.all && len(refs) == 0 && len(a.host.Inputs) == 0:
		return usagef("name an image, or give --all or --input; plimsoll images lists what is here")
	case slices.Contains(refs, ""):
		return usagef("an image without a name was given; an empty variable, perhaps?")
	case slices.Contains(refs, sbomPrefix):
		return usagef("%s names no file", sbomPrefix)
	case slices.Contains(a.host.Inputs, ""):
		return usagef("--input names no file or directory")
	case o.timeout <= 0:
		return usagef("--timeout: %s leaves no time", o.timeout)
	}
	return o.outputs.check()
}

func (a *app) scanner() *inventory.Scanner {
	cache := &local.Cache{Dir: a.cacheDir, Fail: func(err error) { a.log.Warn("scans will be slower", "error", err) }}
	scanner := local.NewScanner(cache, cache.Fault)
	scanner.Isolated = (&sandbox.Sandbox{Log: a.log}).Read
	return scanner
}

// judge asks the advisories about one inventory.
func (a *app) judge(ctx context.Context, db *vulndb.DB, r *plimsoll.Result, o scanOptions) error {
	if r.Status == plimsoll.ScanFailed {
		return nil
	}
	return match.Result(ctx, db, r, match.Options{
		Comprehensive: o.comprehensive,
		Distro:        o.distros.of(r.Image),
		Now:           db.Generation().Built,
	})
}
