package store

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/local"
	"plimsoll/sample"
)

// leaseOn starts a scan of image n and returns the lease that the host gets.
func leaseOn(t testing.TB, s *Store, host int64, n int) string {
	t.Helper()
	img := imageNumber(t, s, plimsoll.Everything, n)
	if _, err := s.StartScan(t.Context(), NewScan{Title: "scan", CreatedBy: "ann", Scope: plimsoll.Everything, Images: []int64{img.ID}, Force: true}); err != nil {
		t.Fatal(err)
	}
	work, err := s.WorkFor(t.Context(), host)
	if err != nil {
		t.Fatal(err)
	}
	if work.Scan == nil || work.Scan.Image != digestOf("image", n) {
		t.Fatalf("no lease on image %d: %+v", n, work)
	}
	return work.Scan.ID
}

// A host speaks only for what it was asked, and each report counts once (SYS-03).
func TestSYS03ApplyResult(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		one, two := joinHost(t, s, "one"), joinHost(t, s, "two")
		mustSync(t, s, one, fullSync(1, hostImage(1, "shop/web:1")))
		mustSync(t, s, two, fullSync(1, hostImage(2, "shop/db:1")))
		judge := &testJudge{generation: 1, flaws: []testFlaw{newFlaw(1, "left", plimsoll.SeverityHigh, "")}}
		mustActivate(t, s, judge)
		r := reportOf(1, "r1", npm("left", "1.0"))
		r.Lease = leaseOn(t, s, one, 1)
		if _, err := s.ApplyResult(t.Context(), two, r, judge); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("another host's lease: %v", err)
		}
		stranger := r
		stranger.Lease = "stranger"
		if _, err := s.ApplyResult(t.Context(), one, stranger, judge); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("a lease that was never given: %v", err)
		}
		other := reportOf(2, "r1", npm("left", "1.0"))
		other.Lease = r.Lease
		if _, err := s.ApplyResult(t.Context(), one, other, judge); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
			t.Errorf("a lease on another image: %v", err)
		}
		foreign := r
		p := npm("left", "1.0")
		p.Layer = digestOf("layer", 77)
		foreign.Inventory = &plimsoll.Inventory{ImageID: r.Image, Packages: []plimsoll.Package{p}}
		if _, err := s.ApplyResult(t.Context(), one, foreign, judge); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
			t.Errorf("a layer of another image: %v", err)
		}
		if img := imageNumber(t, s, plimsoll.Everything, 1); img.State != plimsoll.ImageNever || img.Packages != 0 {
			t.Errorf("refused results changed the image: %+v", img)
		}
		for i, want := range []bool{false, true, true} {
			known, err := s.ApplyResult(t.Context(), one, r, judge)
			if err != nil || known != want {
				t.Errorf("time %d: known %v, %v", i, known, err)
			}
		}
		if judge.judged != 3 { // once for each result under a lease of the host, whatever it was
			t.Errorf("judged %d packages", judge.judged)
		}
		wantList(t, "findings", list(t, s, plimsoll.Everything, every()), "shop/web:1 "+cve(1)+" left open")
		tasks, err := s.Tasks(t.Context(), plimsoll.Everything, "ann", api.TaskFilter{}, api.List{})
		if err != nil || len(tasks.Items) != 1 || tasks.Items[0].State != plimsoll.TaskSucceeded {
			t.Errorf("the task: %v, %+v", err, tasks.Items)
		}
		checkFindings(t, s)
	})
}

func TestRefusedResults(t *testing.T) {
	long := strings.Repeat("x", 5000)
	tests := map[string]func(r *api.ScanResult){
		"no report":              func(r *api.ScanResult) { r.Report = "" },
		"no lease":               func(r *api.ScanResult) { r.Lease = "" },
		"no digest":              func(r *api.ScanResult) { r.Image = "latest" },
		"no status":              func(r *api.ScanResult) { r.Status = "" },
		"another image":          func(r *api.ScanResult) { r.Inventory.ImageID = digestOf("image", 9) },
		"no inventory":           func(r *api.ScanResult) { r.Inventory = nil },
		"failed with inventory":  func(r *api.ScanResult) { r.Status, r.Problem = plimsoll.ScanFailed, &api.Problem{Code: "limit"} },
		"failed without problem": func(r *api.ScanResult) { r.Status, r.Inventory = plimsoll.ScanFailed, nil },
		"long name":              func(r *api.ScanResult) { r.Inventory.Packages[0].Name = long },
		"no name":                func(r *api.ScanResult) { r.Inventory.Packages[0].Name = "" },
		"no type":                func(r *api.ScanResult) { r.Inventory.Packages[0].Type = "" },
		"zero byte":              func(r *api.ScanResult) { r.Inventory.Packages[0].Version = "1\x00" },
		"not UTF-8":              func(r *api.ScanResult) { r.Inventory.Packages[0].Path = "\xff" },
		"long path":              func(r *api.ScanResult) { r.Inventory.Packages[0].Path = long },
		"bad layer":              func(r *api.ScanResult) { r.Inventory.Packages[0].Layer = "layer" },
		"bad licence":            func(r *api.ScanResult) { r.Inventory.Packages[0].Licenses = []string{"\xff"} },
		"bad location":           func(r *api.ScanResult) { r.Inventory.Packages[0].Locations = []string{long} },
		"two systems at a root":  func(r *api.ScanResult) { r.Inventory.Systems = []plimsoll.OS{debian, debian} },
		"bad system":             func(r *api.ScanResult) { r.Inventory.Systems[0].Name = "\x00" },
		"negative count":         func(r *api.ScanResult) { r.Inventory.Problems = []plimsoll.Problem{{Code: "limit", Count: -1}} },
		"too many packages":      func(r *api.ScanResult) { r.Inventory.Packages = make([]plimsoll.Package, api.MaxPackages+1) },
		"negative layers":        func(r *api.ScanResult) { r.Analyzed = -1 },
	}
	for name, spoil := range tests {
		r := reportOf(1, "r1", npm("left", "1.0"))
		spoil(&r)
		if err := checkResult(&r); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	r := reportOf(1, "r1", npm("left", "1.0"))
	if err := checkResult(&r); err != nil {
		t.Errorf("a good one: %v", err)
	}
}

// SYS-06: a failed or partial scan never resolves findings.
func TestSYS06OnlyCompleteScansResolve(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		host := joinHost(t, s, "one")
		mustSync(t, s, host, fullSync(1, hostImage(1, "shop/web:1")))
		judge := &testJudge{generation: 1, flaws: []testFlaw{newFlaw(1, "left", plimsoll.SeverityHigh, ""), newFlaw(2, "right", plimsoll.SeverityLow, "")}}
		mustActivate(t, s, judge)
		failed := api.ScanResult{Lease: "l", Image: digestOf("image", 1), Status: plimsoll.ScanFailed, Problem: &api.Problem{Code: plimsoll.ProblemLayerMissing, Detail: "a layer is gone"}}
		partial := func(report string, packages ...plimsoll.Package) api.ScanResult {
			r := reportOf(1, report, packages...)
			r.Inventory.Problems = []plimsoll.Problem{{Code: plimsoll.ProblemUnreadableDir, Path: "opt", Detail: "may not list it"}}
			return r // its agent calls it complete: the inventory knows better
		}
		left, right := "shop/web:1 "+cve(1)+" left open", "shop/web:1 "+cve(2)+" right open"
		steps := []struct {
			what   string
			result api.ScanResult
			state  plimsoll.ScanState
			code   string
			want   []string
		}{
			{"failed first", failed, plimsoll.ImageFailed, "layer-missing", nil},
			{"a partial one is better than none", partial("", npm("left", "1")), plimsoll.ImagePartial, "unreadable-dir", []string{left}},
			{"a partial one that saw less changes nothing", partial("", npm("right", "1")), plimsoll.ImagePartial, "unreadable-dir", []string{left}},
			{"failed after partial", failed, plimsoll.ImagePartial, "layer-missing", []string{left}},
			{"a partial one that saw more replaces it", partial("", npm("left", "1"), npm("right", "1")), plimsoll.ImagePartial, "unreadable-dir", []string{left, right}},
			{"complete", reportOf(1, "", npm("left", "1")), plimsoll.ImageSucceeded, "", []string{left}},
			{"partial after complete", partial("", npm("right", "1")), plimsoll.ImageSucceeded, "unreadable-dir", []string{left}},
			{"failed after complete", failed, plimsoll.ImageSucceeded, "layer-missing", []string{left}},
			{"complete without packages resolves", reportOf(1, ""), plimsoll.ImageSucceeded, "", nil},
		}
		for i, step := range steps {
			step.result.Report = step.what
			mustStore(t, s, host, step.result, judge)
			img := imageNumber(t, s, plimsoll.Everything, 1)
			if img.State != step.state || img.Code != step.code {
				t.Errorf("%d, %s: state %s, code %q, want %s, %q", i, step.what, img.State, img.Code, step.state, step.code)
			}
			wantList(t, step.what, list(t, s, plimsoll.Everything, every()), step.want...)
			checkFindings(t, s)
		}
	})
}

// What a store that others can write holds under a digest never replaces what a
// trusted one does.
func TestPrivateResultReplacesNoTrustedOne(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		host := joinHost(t, s, "one")
		mustSync(t, s, host, fullSync(1, hostImage(1, "shop/web:1")))
		private := func(report string, p plimsoll.Package) api.ScanResult {
			r := reportOf(1, report, p)
			r.Private = true
			return r
		}
		packages := func() string {
			_, inv, err := s.Inventory(t.Context(), plimsoll.Everything, imageNumber(t, s, plimsoll.Everything, 1).ID)
			if err != nil || len(inv.Packages) != 1 {
				t.Fatal(err, inv)
			}
			return inv.Packages[0].Name
		}
		for i, step := range []struct {
			result api.ScanResult
			want   string
		}{
			{private("1", npm("forged", "1")), "forged"},
			{reportOf(1, "2", npm("true", "1")), "true"},
			{private("3", npm("forged", "1")), "true"},
		} {
			mustStore(t, s, host, step.result, nil)
			if got := packages(); got != step.want {
				t.Errorf("step %d: %s, want %s", i, got, step.want)
			}
		}
	})
}

// Software that is not judged is not called clean.
func TestWithoutAdvisories(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		host := joinHost(t, s, "one")
		mustSync(t, s, host, fullSync(1, hostImage(1, "shop/web:1")))
		mustStore(t, s, host, reportOf(1, "r1", npm("left", "1")), nil)
		if img := imageNumber(t, s, plimsoll.Everything, 1); img.Risk != "unknown" || img.Uncovered != 1 {
			t.Errorf("risk %q, uncovered %d", img.Risk, img.Uncovered)
		}
		judge := &testJudge{generation: 1}
		mustEvaluate(t, s, judge)
		if img := imageNumber(t, s, plimsoll.Everything, 1); img.Risk != "safe" || img.Uncovered != 0 {
			t.Errorf("once judged: risk %q, uncovered %d", img.Risk, img.Uncovered)
		}
		mustStore(t, s, host, reportOf(1, "r2"), judge)
		if img := imageNumber(t, s, plimsoll.Everything, 1); img.Risk != "unknown" || img.Packages != 0 {
			t.Errorf("nothing was recognised in it: risk %q, packages %d", img.Risk, img.Packages)
		}
		checkFindings(t, s)
	})
}

// scanSamples reads the sample images with the real scanner.
func scanSamples(t testing.TB) []plimsoll.Result {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "layout")
	if err := sample.Write(dir); err != nil {
		t.Fatal(err)
	}
	host, err := local.Open(t.Context(), local.Options{Inputs: []string{dir}, Scratch: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	var results []plimsoll.Result
	for _, img := range host.Images(t.Context()) {
		r := local.Read(t.Context(), local.NewScanner(nil, nil), img, time.Minute)
		if r.Status == plimsoll.ScanFailed {
			t.Fatal(r.Problem)
		}
		results = append(results, r)
	}
	return results
}

// asReported is an image as an agent lists it.
func asReported(img plimsoll.Image) api.HostImage {
	h := api.HostImage{ID: img.ID, Manifests: img.Manifests, Platform: img.Platform, Created: img.Created, Size: img.Size,
		Config: api.ImageConfig{User: img.Config.User, WorkingDir: img.Config.WorkingDir, Entrypoint: img.Config.Entrypoint, Cmd: img.Config.Cmd, Labels: img.Config.Labels},
		Places: []api.HostPlace{{Engine: plimsoll.Docker, Store: "/var/lib/docker", Names: img.Names}}}
	for _, l := range img.Layers {
		h.Layers = append(h.Layers, api.HostLayer{DiffID: l.DiffID, Size: l.Size, CreatedBy: l.CreatedBy, Base: l.Base})
	}
	for _, step := range img.History {
		b := api.BuildStep{CreatedBy: step.CreatedBy, Comment: step.Comment, EmptyLayer: step.EmptyLayer}
		if !step.Created.IsZero() {
			b.Created = &step.Created
		}
		h.History = append(h.History, b)
	}
	return hashed(h)
}

// What real scans found comes back as it was, and so does what an odd agent sends.
func TestInventoryComesBack(t *testing.T) {
	results := scanSamples(t)
	odd := plimsoll.Result{Image: plimsoll.Image{ID: digestOf("image", 1), Names: []string{"odd:1"}, Platform: plimsoll.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}}}
	odd.Image.Layers = plimsoll.NewLayers([]plimsoll.Digest{digestOf("base", 1), digestOf("layer", 1)}, nil)
	p := npm("z", "1")
	p.Layer = digestOf("layer", 1)
	p.Licenses, p.Supplier, p.Remark, p.Locations, p.Dev, p.Bundled = []string{"MIT", "<script>"}, "me", "é\u202e", []string{"b", "a"}, true, "y"
	same := p
	same.Licenses, same.Supplier, same.PURL = nil, "", ""
	chroot := deb("openssl", "3")
	chroot.Root, chroot.Origin, chroot.Module = "srv/chroot", "Docker", "m:1"
	inner := debian
	inner.Root, inner.VersionID, inner.IDLike = "srv/chroot", "11", []string{"x", "y"}
	odd.Inventory = plimsoll.Inventory{ImageID: odd.Image.ID, Analyzers: "set 1", Systems: []plimsoll.OS{debian, inner},
		Packages: []plimsoll.Package{p, same, same, chroot, npm("a", "1"), npm("a", "1")},
		Problems: []plimsoll.Problem{{Code: "z", Count: 3}, {Code: "a", Path: "p", Layer: digestOf("layer", 1), Analyzer: "x", Detail: "d"}}}
	results = append(results, odd)
	if len(results) < 3 {
		t.Fatalf("%d samples", len(results))
	}
	contract(t, func(t *testing.T, s *Store) {
		host := joinHost(t, s, "one")
		var images []api.HostImage
		for _, r := range results {
			images = append(images, asReported(r.Image))
		}
		mustSync(t, s, host, fullSync(1, images...))
		packages := 0
		ids := map[plimsoll.Digest]int64{}
		check := func(what string, img plimsoll.Image, want plimsoll.Inventory) {
			t.Helper()
			gotImage, got, err := s.Inventory(t.Context(), plimsoll.Everything, ids[img.ID])
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s of %s (-want +got):\n%s", what, img.Name(), diff)
			}
			a, _ := json.Marshal(want)
			b, _ := json.Marshal(got)
			if norm := func(s []byte) string { return strings.ReplaceAll(string(s), "[]", "null") }; norm(a) != norm(b) {
				t.Errorf("%s of %s: other bytes", what, img.Name())
			}
			img.Engine, img.Store, img.Config.Env = "", "", nil // not told of the fleet
			if diff := cmp.Diff(img, gotImage, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("image (-want +got):\n%s", diff)
			}
		}
		for _, r := range results {
			page, err := s.Images(t.Context(), plimsoll.Everything, api.ImageFilter{Query: string(r.Image.ID)}, api.List{})
			if err != nil || len(page.Items) != 1 {
				t.Fatal(err, len(page.Items))
			}
			ids[r.Image.ID] = page.Items[0].ID
			inv := r.Inventory
			report := api.ScanResult{Report: r.Image.Name(), Lease: "l", Image: r.Image.ID, Status: plimsoll.ScanComplete, Inventory: &inv}
			mustStore(t, s, host, report, nil)
			check("first", r.Image, r.Inventory)
			packages += len(inv.Packages)

			// Read again by other analysers that found less, more, and another order:
			// what stays keeps its ID.
			before := instanceIDs(t, s, ids[r.Image.ID])
			changed := inv
			changed.Packages = slices.Clone(inv.Packages)
			slices.Reverse(changed.Packages)
			changed.Packages = append([]plimsoll.Package{npm("new", "1")}, changed.Packages[1:]...)
			changed.Analyzers = "set 2"
			report.Report, report.Inventory = "again "+r.Image.Name(), &changed
			mustStore(t, s, host, report, nil)
			check("second", r.Image, changed)
			kept := 0
			for _, id := range instanceIDs(t, s, ids[r.Image.ID]) {
				if slices.Contains(before, id) {
					kept++
				}
			}
			if kept != len(before)-1 {
				t.Errorf("%d of %d instances kept their ID", kept, len(before))
			}
			report.Report, report.Inventory = "third "+r.Image.Name(), &inv
			mustStore(t, s, host, report, nil)
			check("third", r.Image, r.Inventory)
		}
		if packages < 20 {
			t.Errorf("only %d packages", packages)
		}
		checkFindings(t, s)
	})
}

func instanceIDs(t testing.TB, s *Store, image int64) (ids []int64) {
	t.Helper()
	err := s.read(t.Context(), "read", func(t *tx) (err error) {
		ids, err = t.ids("SELECT id FROM instance WHERE image_id = ? ORDER BY id", image)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// Facts are given and taken only with a lease on an image that has the layer.
func TestFactsOfLayers(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		one, two := joinHost(t, s, "one"), joinHost(t, s, "two")
		mustSync(t, s, one, fullSync(1, hostImage(1, "shop/web:1")))
		mustSync(t, s, two, fullSync(1, hostImage(2, "shop/db:1")))
		leaseOn(t, s, one, 1)
		ctx := context.Background()
		layer, data := digestOf("layer", 1), []byte{0, 1, 2}
		if err := s.KeepFacts(ctx, two, "key", layer, "set 1", data); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("without a lease: %v", err)
		}
		for range 2 {
			if err := s.KeepFacts(ctx, one, "key", layer, "set 1", data); err != nil {
				t.Errorf("with a lease: %v", err)
			}
		}
		got, err := s.Facts(ctx, one, "key")
		if err != nil || !reflect.DeepEqual(got, data) {
			t.Errorf("facts %v, %v", got, err)
		}
		for host, key := range map[int64]string{one: "other", two: "key"} {
			if _, err := s.Facts(ctx, host, key); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
				t.Errorf("host %d, %s: %v", host, key, err)
			}
		}
		if err := s.KeepFacts(ctx, one, "big", layer, "set 1", make([]byte, api.MaxFacts+1)); plimsoll.CodeOf(err) != plimsoll.CodeLimit {
			t.Errorf("too big: %v", err)
		}
	})
}

// Software that came while nobody could judge it leaves its image without a date
// of judgement, whatever was judged before, until it is judged.
func TestWhatNobodyJudgedHasNoDate(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		host := joinHost(t, s, "one")
		mustSync(t, s, host, fullSync(1, hostImage(1, "shop/web:1"), hostImage(2, "shop/db:1")))
		judge := &testJudge{generation: 1}
		mustActivate(t, s, judge)
		evaluate := func() {
			t.Helper()
			if err := s.Evaluate(t.Context(), judge, func(int64, int64) {}); err != nil {
				t.Fatal(err)
			}
		}
		evaluate()
		for n, by := range map[int]plimsoll.Judge{1: judge, 2: nil} {
			r := reportOf(n, fmt.Sprint("r", n), npm(fmt.Sprint("package-", n), "1.0"))
			r.Lease = leaseOn(t, s, host, n)
			if _, err := s.ApplyResult(t.Context(), host, r, by); err != nil {
				t.Fatal(err)
			}
		}
		judged := func(n int) bool { return imageNumber(t, s, plimsoll.Everything, n).EvaluatedAt != nil }
		if !judged(1) || judged(2) {
			t.Errorf("judged: %v and %v, want the first alone", judged(1), judged(2))
		}
		evaluate()
		if !judged(1) || !judged(2) {
			t.Errorf("judged: %v and %v after an evaluation, want both", judged(1), judged(2))
		}
	})
}
