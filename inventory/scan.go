package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"plimsoll"
	"plimsoll/layerfs"
)

// Cache keeps the encoded facts of layers and inventories of images by key. A
// failing cache costs time, never a result.
type Cache interface {
	// Get returns the value that was put under key. Any fault is a miss.
	Get(key string) ([]byte, bool)
	// Put keeps value under key.
	Put(key string, value []byte) error
}

// Scanner reads the inventories of images.
type Scanner struct {
	Analyzers []Analyzer
	// Workers bounds the goroutines that read layers; 0 means 1.
	Workers int
	// Cache is optional.
	Cache Cache
	// CacheFault is told when the cache cannot keep something; optional.
	CacheFault func(error)
	// Vouched says whether whoever can write the image's store is trusted like
	// the host's administrator. Facts of such layers are kept by diff ID and
	// analyser set alone, the same on every host; others by store. Without it
	// only archives, which are verified, are kept so.
	Vouched func(plimsoll.Image) bool
	// Counted is told of each layer, concurrently: whether its facts came from
	// the cache or it was read. Optional. An inventory that comes from the cache
	// as a whole counts no layer.
	Counted func(diff plimsoll.Digest, cached bool)
	// Isolated, when set, does what Extract does in a process of its own, with s as
	// its settings; see package sandbox. Where it is not, image bytes are read in
	// this process.
	Isolated func(ctx context.Context, s *Scanner, t Task) (plimsoll.Inventory, error)
	Limits   Limits // of Isolated
	// Monitor watches Extract from within the other process; optional.
	Monitor Monitor
	// Skip are files that brought down earlier attempts: they are told as problems.
	Skip []Skipped
}

// Limits bound the process that reads an image. Zero values stand for defaults.
type Limits struct {
	Memory     int64 // bytes
	CPUPercent int   // of one processor, over some seconds
}

// Task is an image whose layers are to be read.
type Task struct {
	ImageID plimsoll.Digest
	Diffs   []plimsoll.Digest // bottom first; empty for a layer without identity
	Scope   string            // what facts of the layers are good for, beside their diff ID
	Layers  []layerfs.Layer
}

// Key returns the key of the cache for the facts of layer i.
func (t *Task) Key(i int) string { return cacheKey("layer", t.Diffs[i], t.Scope) }

// Monitor is told what Extract is at. Its methods are called concurrently.
type Monitor interface {
	// Listed is called once, before any file of the image and any value of the
	// cache is read: only directories were listed.
	Listed() error
	// Start is called when an analyser begins with a file, end when it is done.
	Start(analyzer, path string) (end func())
	// Stale is called when the cache's value of a layer is damaged. Its error ends
	// Extract: the layer was not listed, and it may be too late for that.
	Stale(diff plimsoll.Digest) error
}

// Skipped is a file that an analyser must not read.
type Skipped struct {
	Analyzer, Path string
	Why            string // a sentence for the problem
}

// ErrCrashed is in the chain of the error for an image whose reading ended the
// process that read it, again and again.
var ErrCrashed = errors.New("the process that reads the image died")

// maxPackages bounds the packages of one image (reliability: an image can claim
// any number).
const maxPackages = 250_000

// maxListed bounds the packages that all layers of an image list together, those
// of files that higher layers replace counted: a few MiB can list the same
// hundred thousand packages in each of 256 layers, and all are held in memory.
const maxListed = 2 * maxPackages

// AnalyzerSet names the analysers with their versions. Facts and inventories
// are kept by it: raising one version makes them lapse.
func (s *Scanner) AnalyzerSet() string {
	names := make([]string, len(s.Analyzers))
	for i, a := range s.Analyzers {
		names[i] = fmt.Sprintf("%s/%d", a.Name(), a.Version())
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// Scan returns what img contains. open gives the image's layers, bottom first,
// and is called only when no cache has the answer; Scan closes them. An error
// means that nothing is known about the image; whatever is known partly comes
// back as an inventory with problems.
func (s *Scanner) Scan(ctx context.Context, img plimsoll.Image, open func() ([]layerfs.Layer, error)) (plimsoll.Inventory, error) {
	set := s.AnalyzerSet()
	scope := s.cacheScope(img, set)
	kept := identified(img)
	if kept {
		if inv, ok := s.cachedInventory(img.ID, set, scope); ok {
			return inv, nil
		}
	}
	layers, err := open()
	if err != nil {
		return plimsoll.Inventory{}, err
	}
	defer func() {
		for _, l := range layers {
			l.Close()
		}
	}()
	if len(layers) != len(img.Layers) {
		return plimsoll.Inventory{}, plimsoll.Errorf(plimsoll.CodeInternal, "open layers", "image %s has %d layers, got %d", img.ID.Short(), len(img.Layers), len(layers))
	}
	task := Task{ImageID: img.ID, Scope: scope, Layers: layers}
	for _, l := range img.Layers {
		task.Diffs = append(task.Diffs, l.DiffID)
	}
	var inv plimsoll.Inventory
	if s.Isolated != nil {
		inv, err = s.Isolated(ctx, s, task)
	} else {
		inv, err = s.Extract(ctx, task)
	}
	if err != nil {
		return plimsoll.Inventory{}, err
	}
	inv.Analyzers = set
	if kept && repeatable(inv.Problems) {
		s.keepInventory(inv, scope)
	}
	return inv, nil
}

// Extract reads the layers of an image, or takes their facts from the cache, and
// merges them. It is the part of Scan that touches what the image's author wrote.
func (s *Scanner) Extract(ctx context.Context, t Task) (plimsoll.Inventory, error) {
	first := make(map[plimsoll.Digest]int, len(t.Layers))
	for i, diff := range t.Diffs {
		if _, again := first[diff]; !again && diff != "" {
			first[diff] = i
		}
	}
	// The same change set twice in one image is read once.
	each := func(fn func(ctx context.Context, i int) error) error {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(max(s.Workers, 1))
		for i, diff := range t.Diffs {
			if diff == "" || first[diff] == i {
				group.Go(func() error { return fn(ctx, i) })
			}
		}
		return group.Wait()
	}

	var listed atomic.Int64
	visitors := make([]*visitor, len(t.Layers))
	packed := make([][]byte, len(t.Layers)) // facts as the cache has them
	err := each(func(ctx context.Context, i int) error {
		if s.Cache != nil && t.Diffs[i] != "" {
			if value, ok := s.Cache.Get(t.Key(i)); ok {
				packed[i] = value
				return nil
			}
		}
		visitors[i] = &visitor{scanner: s, layer: t.Layers[i], listed: &listed}
		if l, ok := t.Layers[i].(layerfs.Lister); ok {
			l.List(ctx, visitors[i])
		}
		return ctx.Err()
	})
	if err == nil && s.Monitor != nil {
		err = s.Monitor.Listed()
	}
	if err != nil {
		return plimsoll.Inventory{}, err
	}
	facts := make([]*layerFacts, len(t.Layers))
	err = each(func(ctx context.Context, i int) error {
		if packed[i] != nil {
			known, ok := unpackLayer(packed[i], t.Diffs[i], t.Scope)
			packed[i] = nil
			if ok {
				facts[i] = known
				return s.count(known, t.Diffs[i], &listed)
			}
			if s.Monitor != nil {
				return s.Monitor.Stale(t.Diffs[i])
			}
			visitors[i] = &visitor{scanner: s, layer: t.Layers[i], listed: &listed}
		}
		f, err := s.layer(ctx, t, i, visitors[i])
		facts[i] = f
		return err
	})
	if err != nil {
		return plimsoll.Inventory{}, err
	}
	for i := range facts {
		if facts[i] == nil {
			facts[i] = facts[first[t.Diffs[i]]]
		}
	}
	inv, err := s.merge(ctx, t, facts)
	inv.Analyzers = s.AnalyzerSet()
	return inv, err
}

// identified says whether every layer has a diff ID, so that the image's ID
// stands for its content. A bare directory has no such identity.
func identified(img plimsoll.Image) bool {
	for _, l := range img.Layers {
		if l.DiffID == "" {
			return false
		}
	}
	return img.ID != ""
}

// repeatable says whether reading again would meet the same problems: those
// that depend on this process's rights or on the moment must not be kept.
func repeatable(problems []plimsoll.Problem) bool {
	return !slices.ContainsFunc(problems, func(p plimsoll.Problem) bool {
		switch p.Code {
		case plimsoll.ProblemOpaqueUnknown, plimsoll.ProblemUnreadableDir, plimsoll.ProblemUnreadableFile, plimsoll.ProblemCrash:
			return true
		}
		return false
	})
}

// layerFacts are all facts of one layer, a pure function of its content and the
// analyser set.
type layerFacts struct {
	index *layerfs.Index
	// Files are sorted by path and analyser.
	Files []fileFacts
	// Links are wanted names that are symbolic links or special files, in byte
	// order.
	Links    []string
	Problems []plimsoll.Problem // of the layer as a whole
}

// fileFacts are the facts that one analyser found in one file.
type fileFacts struct {
	Path     string
	Analyzer string
	// Link is set instead of Facts for a further name of the file at Link.
	Link  string
	Facts Facts

	listed map[listedPackage]bool // of Facts.Packages, made when first asked
}

func compareFiles(a, b fileFacts) int {
	return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Analyzer, b.Analyzer))
}

// file returns the facts that an analyser found in a file, or nil.
func (f *layerFacts) file(path, analyzer string) *fileFacts {
	i, ok := slices.BinarySearchFunc(f.Files, fileFacts{Path: path, Analyzer: analyzer}, compareFiles)
	if !ok {
		return nil
	}
	return &f.Files[i]
}

// layer reads a layer.
func (s *Scanner) layer(ctx context.Context, t Task, i int, v *visitor) (*layerFacts, error) {
	index, problems, err := v.layer.Scan(ctx, v)
	if err != nil {
		return nil, err
	}
	if v.listed.Load() > maxListed {
		return nil, errTooMany
	}
	diff := t.Diffs[i]
	if s.Counted != nil {
		s.Counted(diff, false)
	}
	facts := &layerFacts{index: index, Files: v.facts(index), Problems: problems}
	for name := range index.Links() {
		if v.Wants(name) == Yes {
			facts.Links = append(facts.Links, name)
		}
	}
	if diff != "" && facts.repeatable() {
		s.keepLayer(t.Key(i), diff, t.Scope, facts)
	}
	return facts, nil
}

var errTooMany = plimsoll.Errorf(plimsoll.CodeLimit, "scan layers", "they list more than %d packages", maxListed)

// count adds the packages of a layer whose facts were known.
func (s *Scanner) count(facts *layerFacts, diff plimsoll.Digest, listed *atomic.Int64) error {
	for _, f := range facts.Files {
		listed.Add(int64(len(f.Facts.Packages)))
	}
	if listed.Load() > maxListed {
		return errTooMany
	}
	if s.Counted != nil {
		s.Counted(diff, true)
	}
	return nil
}

func (f *layerFacts) repeatable() bool {
	if !repeatable(f.Problems) {
		return false
	}
	for _, file := range f.Files {
		if !repeatable(file.Facts.Problems) {
			return false
		}
	}
	return true
}

// visitor runs the analysers on the files of one layer.
type visitor struct {
	scanner *Scanner
	layer   layerfs.Layer
	listed  *atomic.Int64 // packages found so far in all layers

	mu    sync.Mutex
	files map[string][]fileFacts // by path
}

func (v *visitor) Wants(path string) Want {
	want := No
	for _, a := range v.scanner.Analyzers {
		switch a.Wants(path) {
		case Yes:
			return Yes
		case IfExecutable:
			want = IfExecutable
		}
	}
	return want
}

func (v *visitor) Visit(ctx context.Context, path string, f *layerfs.File, link string) {
	path = strings.Clone(path)
	var found []fileFacts
	for _, a := range v.scanner.Analyzers {
		if want := a.Wants(path); want == No || want == IfExecutable && f != nil && !layerfs.Executable(path[strings.LastIndexByte(path, '/')+1:], f.Mode) {
			continue
		}
		file := fileFacts{Path: path, Analyzer: a.Name(), Link: link}
		switch {
		case f != nil:
			file.Facts = v.analyze(ctx, a, path, f)
		case a.Wants(link) == No:
			// The other name of the file means nothing to this analyser.
			file.Link, file.Facts = "", v.reopen(ctx, a, path)
		}
		if v.listed.Add(int64(len(file.Facts.Packages))) > maxListed {
			return // the scan will fail: nothing needs to be kept
		}
		if file.Link == "" && file.Facts.empty() {
			continue
		}
		found = append(found, file)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.files == nil {
		v.files = make(map[string][]fileFacts)
	}
	v.files[path] = found // a tar may hold a name twice: the last one counts
}

func (v *visitor) analyze(ctx context.Context, a Analyzer, path string, f *layerfs.File) Facts {
	return v.scanner.analyze(ctx, a, File{Path: path, Size: f.Size, Mode: f.Mode, ReaderAt: f.ReaderAt, Sibling: v.layer.Open})
}

func (v *visitor) reopen(ctx context.Context, a Analyzer, path string) Facts {
	f, err := v.layer.Open(path)
	if err != nil {
		return Facts{Problems: []plimsoll.Problem{{Code: problemOf(err), Path: path, Analyzer: a.Name(), Detail: err.Error()}}}
	}
	defer f.Close()
	return v.analyze(ctx, a, path, f)
}

// facts returns what was found in files that the layer has in the end, sorted
// by path and analyser. The names of one file refer to the first of them.
func (v *visitor) facts(index *layerfs.Index) []fileFacts {
	firsts := make(map[string]string) // by the name that the walk met first
	for path, found := range v.files {
		if e, ok := index.Lookup(path); !ok || e.Kind != layerfs.KindFile {
			delete(v.files, path)
			continue
		}
		for _, f := range found {
			if f.Link != "" {
				first := cmp.Or(firsts[f.Link], f.Link)
				firsts[f.Link] = min(first, path)
			}
		}
	}
	var all []fileFacts
	for _, found := range v.files {
		for _, f := range found {
			met := cmp.Or(f.Link, f.Path)
			first, several := firsts[met]
			switch {
			case !several || first == met:
			case f.Link == "": // its facts go to the first name, it becomes a further one
				moved := fileFacts{Path: first, Analyzer: f.Analyzer, Facts: *f.Facts.moved(met, first)}
				all = append(all, moved)
				f.Link, f.Facts = first, Facts{}
			case f.Path == first:
				continue // stands for the facts that are moved here
			default:
				f.Link = first
			}
			all = append(all, f)
		}
	}
	slices.SortFunc(all, compareFiles)
	return all
}

func (f *Facts) empty() bool {
	return len(f.Packages) == 0 && f.System == nil && len(f.Owns) == 0 && len(f.Notes) == 0 && len(f.Problems) == 0
}

// analyze calls one analyser on one file, unless it must not.
func (s *Scanner) analyze(ctx context.Context, a Analyzer, f File) Facts {
	for _, skip := range s.Skip {
		if skip.Analyzer == a.Name() && skip.Path == f.Path {
			return Facts{Problems: []plimsoll.Problem{{Code: plimsoll.ProblemCrash, Path: f.Path, Analyzer: a.Name(), Detail: skip.Why}}}
		}
	}
	if s.Monitor != nil {
		defer s.Monitor.Start(a.Name(), f.Path)()
	}
	return analyze(ctx, a, f)
}

// analyze calls one analyser on one file. Whatever goes wrong stays with the
// file: a panic or an error becomes a problem beside the facts found so far.
func analyze(ctx context.Context, a Analyzer, f File) (facts Facts) {
	defer func() {
		if r := recover(); r != nil {
			// The stack names the place for a bug report; it holds no image text.
			frame := firstFrame(string(debug.Stack()))
			facts.Problems = append(facts.Problems, plimsoll.Problem{Code: plimsoll.ProblemPanic, Detail: "the analyser failed at " + frame})
		}
		for i := range facts.Problems {
			p := &facts.Problems[i]
			p.Analyzer = a.Name()
			if p.Path == "" {
				p.Path = f.Path
			}
		}
		for i := range facts.Packages {
			if facts.Packages[i].Path == "" {
				facts.Packages[i].Path = f.Path
			}
		}
	}()
	facts, err := a.Analyze(ctx, f)
	if err != nil {
		facts.Problems = append(facts.Problems, plimsoll.Problem{Code: problemOf(err), Detail: err.Error()})
	}
	return facts
}

func problemOf(err error) plimsoll.ProblemCode {
	switch plimsoll.CodeOf(err) {
	case plimsoll.CodeLimit:
		return plimsoll.ProblemLimit
	case plimsoll.CodeUnreadable, plimsoll.CodeUnavailable, plimsoll.CodeNotFound:
		return plimsoll.ProblemUnreadableFile
	}
	return plimsoll.ProblemCorruptFile
}

// firstFrame returns the source position below the panic in a stack trace.
func firstFrame(stack string) string {
	_, below, ok := strings.Cut(stack, "panic(")
	if !ok {
		return "an unknown place"
	}
	lines := strings.Split(below, "\n")
	for _, line := range lines[min(2, len(lines)):] {
		if file, ok := strings.CutPrefix(line, "\t"); ok && !strings.Contains(file, "/runtime/") {
			if i := strings.LastIndex(file, "/"); i >= 0 {
				file = file[i+1:]
			}
			file, _, _ = strings.Cut(file, " ")
			return file
		}
	}
	return "an unknown place"
}
