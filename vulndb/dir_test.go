package vulndb

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"plimsoll"
)

// generation writes a candidate of n made-up records, dated day d.
func generation(t *testing.T, d *Dir, n, date int) {
	t.Helper()
	w := d.NewWriter()
	for _, r := range many(n) {
		if err := w.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	sources := []plimsoll.DataSource{{Name: "osv/npm", Records: n, Newest: day(date)}}
	if _, err := w.Finish(t.Context(), sources, false); err != nil {
		t.Fatal(err)
	}
}

func acquire(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Release() })
	return d
}

// inUse returns the number of advisories of the active generation.
func inUse(t *testing.T, path string) int {
	t.Helper()
	db, err := OpenCurrent(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	return db.Generation().Advisories
}

func TestADV15ActivateAndRollBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	if list, err := Generations(path); err != nil || len(list) != 0 {
		t.Fatal(list, err)
	}
	d := acquire(t, path)
	for i, tt := range []struct {
		records, date int
		force         bool
		want          plimsoll.Code
		inUse         int
	}{
		{100, 2, false, "", 100},
		{100, 2, false, "", 100},                   // the same again is no new generation
		{101, 3, false, "", 101},                   //
		{101, 1, false, plimsoll.CodeInvalid, 101}, // ADV-15 older
		{90, 4, false, plimsoll.CodeInvalid, 101},  // more than a tenth lost
		{91, 4, false, "", 91},                     // just less
		{10, 5, true, "", 10},                      // forced
		{11, 6, false, "", 11},                     // and on
		{12, 1, true, "", 12},                      //
	} {
		generation(t, d, tt.records, tt.date)
		g, err := d.Activate(t.Context(), tt.force)
		if plimsoll.CodeOf(err) != tt.want || inUse(t, path) != tt.inUse {
			t.Fatalf("step %d: %v, %d advisories in use; want %q, %d", i, err, inUse(t, path), tt.want, tt.inUse)
		}
		if err == nil && g.Advisories != tt.inUse {
			t.Errorf("step %d: %+v", i, g)
		}
	}
	list, err := Generations(path)
	if err != nil || len(list) != keepGenerations || !list[0].Current || list[1].Current || list[1].Advisories != 11 {
		t.Fatalf("%+v %v", list, err)
	}
	for _, want := range []int{11, 10} {
		if g, err := d.Rollback(t.Context()); err != nil || g.Advisories != want || inUse(t, path) != want {
			t.Fatalf("rolled back to %+v %v, want %d", g, err, want)
		}
	}
	if _, err := d.Rollback(t.Context()); plimsoll.CodeOf(err) != plimsoll.CodeNotFound || inUse(t, path) != 10 {
		t.Errorf("nothing left: %v", err)
	}
	// What was rolled back to is not pruned while it is in use.
	generation(t, d, 13, 7)
	if _, err := d.Activate(t.Context(), false); err != nil || inUse(t, path) != 13 {
		t.Error(err)
	}
}

func TestSampleIsReplacedByAnything(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	d := acquire(t, path)
	w := d.NewWriter()
	if _, err := w.Finish(t.Context(), []plimsoll.DataSource{{Name: "x", Newest: day(9), Records: 5}}, true); err != nil {
		t.Fatal(err)
	}
	if g, err := d.Activate(t.Context(), false); err != nil || !g.Sample {
		t.Fatal(g, err)
	}
	generation(t, d, 5, 1)
	if _, err := d.Activate(t.Context(), false); err != nil {
		t.Error("a real one must replace a sample:", err)
	}
	w = d.NewWriter()
	if _, err := w.Finish(t.Context(), nil, true); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Activate(t.Context(), false); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
		t.Error("a sample must not replace a real one:", err)
	}
}

// TestKilledBetweenWriteAndActivate: what a killed process leaves behind does
// not disturb readers and is cleared by the next one.
func TestKilledBetweenWriteAndActivate(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	d := acquire(t, path)
	generation(t, d, 10, 1)
	if _, err := d.Activate(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	generation(t, d, 20, 2) // written, complete, and then the process is gone
	os.Symlink("gen/nothing", filepath.Join(path, currentLink+tmpSuffix))
	d.Release()
	if n := inUse(t, path); n != 10 {
		t.Fatalf("%d advisories in use", n)
	}
	d = acquire(t, path)
	if left, _ := filepath.Glob(filepath.Join(path, "gen", "*.tmp")); left != nil {
		t.Errorf("left behind: %v", left)
	}
	if _, err := d.Activate(t.Context(), false); plimsoll.CodeOf(err) != plimsoll.CodeNotFound || inUse(t, path) != 10 {
		t.Errorf("nothing to activate: %v", err)
	}
	generation(t, d, 20, 2)
	if _, err := d.Activate(t.Context(), false); err != nil || inUse(t, path) != 20 {
		t.Error(err)
	}
	// Renamed, but killed before the link was turned: the number is not used again.
	generation(t, d, 30, 3)
	if err := os.Rename(d.candidate(), filepath.Join(path, genDir, "000003-aaaaaaaaaaaa"+genSuffix)); err != nil {
		t.Fatal(err)
	}
	if n := inUse(t, path); n != 20 {
		t.Fatalf("%d advisories in use", n)
	}
	generation(t, d, 31, 4)
	if _, err := d.Activate(t.Context(), false); err != nil || inUse(t, path) != 31 || !strings.HasPrefix(currentName(path), "000004-") {
		t.Error(err, currentName(path))
	}
}

// TestFailingDisk: a writer that cannot write says so and leaves nothing.
func TestFailingDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gone", "x.plimdb")
	w := NewWriter(path)
	w.records.most = 100
	var err error
	for _, r := range many(10) {
		if err = w.Add(r); err != nil {
			break
		}
	}
	if plimsoll.CodeOf(err) != plimsoll.CodeUnavailable || plimsoll.HintOf(err) == "" {
		t.Errorf("spilling: %v", err)
	}
	if _, err := w.Finish(t.Context(), nil, false); plimsoll.CodeOf(err) != plimsoll.CodeUnavailable {
		t.Errorf("finishing after a failure: %v", err)
	}
	w = NewWriter(path)
	if _, err := w.Finish(t.Context(), nil, false); plimsoll.CodeOf(err) != plimsoll.CodeUnavailable {
		t.Errorf("finishing: %v", err)
	}
	path = filepath.Join(t.TempDir(), "x.plimdb")
	w = NewWriter(path)
	for _, r := range many(10) {
		w.Add(r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Finish(ctx, nil, false); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("a file was left")
	}
}

func TestOneAtATime(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	d := acquire(t, path)
	if _, err := Acquire(path); plimsoll.CodeOf(err) != plimsoll.CodeUnavailable {
		t.Errorf("second holder: %v", err)
	}
	d.Release()
	acquire(t, path)
}

func TestSYS10ExportAndImport(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	if _, err := Export(from, &bytes.Buffer{}); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
		t.Errorf("nothing to export: %v", err)
	}
	d := acquire(t, from)
	generation(t, d, 50, 5)
	if _, err := d.Activate(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	var bundle bytes.Buffer
	want, err := Export(from, &bundle)
	if err != nil {
		t.Fatal(err)
	}
	e := acquire(t, to)
	keys, err := ReadKeys(from)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Import(t.Context(), bytes.NewReader(bundle.Bytes()), Terms{}); plimsoll.CodeOf(err) != plimsoll.CodeInvalid || !strings.Contains(plimsoll.HintOf(err), "db trust "+keys.Root.String()) {
		t.Fatalf("nobody trusts the key yet: %v, %s", err, plimsoll.HintOf(err))
	}
	if err := e.Trust(keys.Root, true); err != nil {
		t.Fatal(err)
	}
	got, err := e.Import(t.Context(), bytes.NewReader(bundle.Bytes()), Terms{})
	if err != nil || got.ID != want.ID || inUse(t, to) != 50 {
		t.Fatalf("%+v %v", got, err)
	}

	generation(t, d, 49, 4)
	if _, err := d.Activate(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	var older bytes.Buffer
	if _, err := Export(from, &older); err != nil {
		t.Fatal(err)
	}
	flip := func(at int) []byte {
		flipped := bytes.Clone(bundle.Bytes())
		flipped[at] ^= 1
		return flipped
	}
	_, bare, err := cutSeal(bytes.NewReader(bundle.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	unsigned, err := io.ReadAll(bare)
	if err != nil {
		t.Fatal(err)
	}
	sealEnd := bundle.Len() - len(unsigned)
	unsigned[len(unsigned)/2] ^= 1
	damaged := unsigned
	unsigned = bundle.Bytes()[sealEnd:]
	for _, tt := range []struct {
		name  string
		file  []byte
		terms Terms
		want  plimsoll.Code
	}{
		{"older", older.Bytes(), Terms{}, plimsoll.CodeInvalid},
		{"truncated", bundle.Bytes()[:bundle.Len()-1], Terms{}, plimsoll.CodeCorrupt},
		{"half", bundle.Bytes()[:bundle.Len()/2], Terms{}, plimsoll.CodeCorrupt},
		{"longer", append(bytes.Clone(bundle.Bytes()), 0), Terms{}, plimsoll.CodeCorrupt},
		{"flipped bit", flip(bundle.Len() / 2), Terms{}, plimsoll.CodeCorrupt},
		{"flipped bit of the last byte", flip(bundle.Len() - 1), Terms{}, plimsoll.CodeCorrupt},
		{"flipped bit, without a care", flip(bundle.Len() / 2), Terms{Force: true, Unsigned: true}, plimsoll.CodeCorrupt},
		{"a seal alone", bundle.Bytes()[:sealEnd], Terms{}, plimsoll.CodeCorrupt},
		{"half a seal", bundle.Bytes()[:sealEnd/2], Terms{}, plimsoll.CodeCorrupt},
		{"a seal that claims gigabytes", append([]byte(bundleMagic), 0xff, 0xff, 0xff, 0xff), Terms{}, plimsoll.CodeCorrupt},
		{"without a seal", unsigned, Terms{}, plimsoll.CodeInvalid},
		{"without a seal, older, without a care for the seal", older.Bytes(), Terms{Unsigned: true}, plimsoll.CodeInvalid},
		{"without a seal, damaged", damaged, Terms{Unsigned: true}, plimsoll.CodeCorrupt},
		{"garbage", []byte(strings.Repeat("garbage", 1000)), Terms{}, plimsoll.CodeCorrupt},
		{"empty", nil, Terms{}, plimsoll.CodeCorrupt},
	} {
		if _, err := e.Import(t.Context(), bytes.NewReader(tt.file), tt.terms); plimsoll.CodeOf(err) != tt.want || plimsoll.HintOf(err) == "" {
			t.Errorf("%s: %v, want %s and a hint", tt.name, err, tt.want)
		} else if strings.Contains(err.Error(), tmpSuffix) || strings.Contains(plimsoll.HintOf(err), "rollback") {
			t.Errorf("%s: %v (%s): it is the imported file that is wrong, nothing here", tt.name, err, plimsoll.HintOf(err))
		}
		if n := inUse(t, to); n != 50 {
			t.Fatalf("%s: %d advisories in use", tt.name, n)
		}
	}
	if _, err := e.Import(t.Context(), iotest.ErrReader(errors.New("the stick was pulled")), Terms{}); err == nil || inUse(t, to) != 50 {
		t.Errorf("a failing medium: %v", err)
	}
	if _, err := e.Import(t.Context(), bytes.NewReader(older.Bytes()), Terms{Force: true}); err != nil || inUse(t, to) != 49 {
		t.Errorf("forced: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(to, genDir, "*.tmp")); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

// TestObjection: what stands against a new generation is told as it is.
func TestObjection(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	with := func(sources ...plimsoll.DataSource) plimsoll.Generation {
		return plimsoll.Generation{Built: now, Sources: sources}
	}
	source := func(name string, records int) plimsoll.DataSource {
		return plimsoll.DataSource{Name: name, Records: records, Newest: now}
	}
	for _, tt := range []struct {
		name   string
		before plimsoll.Generation
		want   string
	}{
		{"the same", with(source("npm", 100)), ""},
		{"a source that is gone", with(source("npm", 100), source("updateinfo/Kylin:V10", 40)), "source updateinfo/Kylin:V10 with its 40 records is gone"},
		{"a source that was empty and is gone", with(source("npm", 100), source("Go", 0)), ""},
		{"a source that has shrunk", with(source("npm", 200)), "source npm has shrunk from 200 to 100 records"},
		{"a source that has lost little", with(source("npm", 110)), ""},
	} {
		if got := objection(tt.before, with(source("npm", 100))); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestDamagedCurrent: a damaged active generation can be replaced and rolled
// back from.
func TestDamagedCurrent(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	d := acquire(t, path)
	for i := 1; i <= 2; i++ {
		generation(t, d, 10*i, i)
		if _, err := d.Activate(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(path, genDir, currentName(path))
	if err := os.Truncate(file, 1000); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenCurrent(path); plimsoll.CodeOf(err) != plimsoll.CodeCorrupt || !strings.Contains(plimsoll.HintOf(err), "db update") {
		t.Errorf("%v", err)
	}
	if g, err := d.Rollback(t.Context()); err != nil || g.Advisories != 10 {
		t.Errorf("%+v %v", g, err)
	}
}
