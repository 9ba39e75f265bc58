package layerfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"plimsoll"
)

// dirScan is one Scan of a dirLayer: a pool of workers over a stack of jobs, first
// the directories, then the wanted files.
type dirScan struct {
	layer    *dirLayer
	visitor  Visitor
	opaques  map[string]bool // from DirOptions.Record
	root     *dirNode
	problems problems
	names    atomic.Int64 // found so far, and the bytes of names and link targets
	bytes    atomic.Int64

	mu     sync.Mutex
	idle   sync.Cond
	jobs   []job
	files  []job // wanted, visited when all directories are listed
	active int
	err    error // of the layer as a whole; ends the scan
	links  map[inode][]wanted

	metacopies []moved
}

// job is a directory to list or a file to visit.
type job struct {
	path   string
	node   *dirNode // the directory, or the one that holds the file
	depth  int      // of the directory; the root's is 0
	based  bool     // the parent of a legacy layer has the directory, too
	file   bool
	ent    int      // the file's place in node
	others []string // not nil: further names of the file, which share its visit
}

type inode struct{ dev, ino uint64 }

// wanted is a wanted name of a file that has several.
type wanted struct {
	path string
	node *dirNode
	ent  int
}

// findOpaques asks the other source of opaque directories where it is needed.
func (s *dirScan) findOpaques(ctx context.Context) error {
	l := s.layer
	if l.form != formOverlay || l.trusted || l.opts.Lowest {
		return nil
	}
	if l.opts.Record == nil {
		return errors.New("whether the layer hides directories of lower layers cannot be seen without CAP_SYS_ADMIN: run as root or grant the capability")
	}
	record, err := l.opts.Record()
	if err == nil {
		s.opaques, err = record.opaques(ctx)
		record.File.Close()
	}
	if err != nil {
		return fmt.Errorf("whether the layer hides directories of lower layers cannot be seen without CAP_SYS_ADMIN, and the engine's records do not tell: %w", err)
	}
	return nil
}

func (s *dirScan) push(jobs ...job) {
	if len(jobs) == 0 {
		return
	}
	s.mu.Lock()
	s.jobs = append(s.jobs, jobs...)
	s.mu.Unlock()
	s.idle.Broadcast()
}

// fail ends the scan with the first error.
func (s *dirScan) fail(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	s.idle.Broadcast()
}

// run works until no job is left or the scan failed.
func (s *dirScan) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { s.fail(ctx.Err()) })
	defer stop()
	var wg sync.WaitGroup
	for range s.layer.opts.Workers {
		wg.Go(func() {
			w := &dirWorker{dirScan: s, buf: make([]byte, direntBuffer), attrs: make([]byte, 1024)}
			for {
				j, ok := s.next()
				if !ok {
					return
				}
				if j.file {
					w.visit(ctx, j)
				} else {
					w.list(j)
				}
				s.done()
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		s.fail(err)
	}
}

func (s *dirScan) next() (job, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.err == nil && len(s.jobs) == 0 && s.active > 0 {
		s.idle.Wait()
	}
	if s.err != nil || len(s.jobs) == 0 {
		return job{}, false
	}
	last := len(s.jobs) - 1
	j := s.jobs[last]
	s.jobs[last] = job{}
	s.jobs = s.jobs[:last]
	s.active++
	return j, true
}

func (s *dirScan) done() {
	s.mu.Lock()
	s.active--
	last := s.active == 0 && len(s.jobs) == 0
	s.mu.Unlock()
	if last {
		s.idle.Broadcast()
	}
}

// pushLinks queues the wanted files that have several names: each is read once,
// under the first of its wanted names.
func (s *dirScan) pushLinks() {
	for _, names := range s.links {
		slices.SortFunc(names, func(a, b wanted) int { return strings.Compare(a.path, b.path) })
		j := job{path: names[0].path, node: names[0].node, ent: names[0].ent, file: true, others: []string{}}
		for _, n := range names[1:] {
			j.others = append(j.others, n.path)
		}
		s.push(j)
	}
	s.links = nil
}

// dirWorker is a goroutine's part of a scan.
type dirWorker struct {
	*dirScan
	buf, attrs []byte
	paths      []byte
	ents       []node // room for a listing, whose size is not known before
	text       []byte
}

const direntBuffer = 64 << 10

// list reads a directory into its node and queues what follows from it.
func (w *dirWorker) list(j job) {
	d, l := j.node, w.layer
	fd, err := l.root.openDir(j.path)
	if err == nil {
		defer unix.Close(fd)
		err = w.read(fd, d)
	}
	if err != nil {
		w.unlistable(j.path, err)
		return
	}
	entries, text := w.names.Add(int64(len(d.ents))), w.bytes.Add(int64(len(d.text)))
	if entries > int64(l.bounds.entries) || text > int64(l.bounds.text) {
		w.fail(limitError("scan layer", "more than %d names or %d bytes of names", l.bounds.entries, l.bounds.text))
		return
	}
	if l.form == formOverlay {
		w.readMarks(fd, j.path, d)
		w.findWhiteouts(fd, d)
	}
	d.sort()
	switch {
	case l.form == formOverlay:
		d.foldWhiteouts()
	case j.based:
		if err := w.subtract(fd, j.path, d); err != nil {
			w.unlistable(j.path, err)
			return
		}
	}
	dirs, files := w.follow(fd, j, d)
	w.mu.Lock()
	w.files = append(w.files, files...)
	w.mu.Unlock()
	w.push(dirs...)
}

// follow completes a directory's entries and returns the jobs they make.
func (w *dirWorker) follow(fd int, j job, d *dirNode) (dirs, files []job) {
	prefix := j.path
	if prefix != "" {
		prefix += "/"
	}
	w.paths = w.paths[:0]
	for i := range d.ents {
		if e := &d.ents[i]; e.kind == KindFile {
			w.paths = append(append(w.paths, prefix...), d.raw(*e)...)
		}
	}
	paths := string(w.paths) // one allocation for all files of the directory
	for i := range d.ents {
		e := &d.ents[i]
		e.a, e.b = 0, 0
		switch e.kind {
		case KindDir:
			sub := &dirNode{based: e.flags&flagBased != 0}
			if e.flags&flagHides != 0 {
				sub.flags = flagOpaque
			}
			e.flags = 0
			e.a = uint32(len(d.subs))
			d.subs = append(d.subs, sub)
			path := prefix + d.name(i)
			if j.depth+1 >= w.layer.bounds.components {
				w.problems.add(plimsoll.ProblemLimit, path, fmt.Sprintf("what lies below is not read: directories are nested more than %d deep", w.layer.bounds.components))
				continue
			}
			dirs = append(dirs, job{path: path, node: sub, depth: j.depth + 1, based: sub.based})
		case KindSymlink:
			w.readTarget(fd, prefix, d, i)
		case KindFile:
			n := len(prefix) + int(e.nlen)
			path := paths[:n]
			paths = paths[n:]
			if w.wants(fd, path, path[len(prefix):]) {
				files = append(files, job{path: strings.Clone(path), node: d, ent: i, file: true})
			}
		}
	}
	return dirs, files
}

// read lists the directory fd. The type comes from the listing itself; entries
// carry their inode number in a and b.
func (w *dirWorker) read(fd int, d *dirNode) error {
	ents, text := w.ents[:0], w.text[:0]
	for {
		n, err := retry(func() (int, error) { return unix.ReadDirent(fd, w.buf) })
		if err != nil {
			return err
		}
		if n <= 0 {
			w.ents, w.text = ents, text
			d.ents, d.text = slices.Clone(ents), slices.Clone(text)
			return nil
		}
		for b := w.buf[:n]; len(b) > 0; {
			// struct linux_dirent64: ino u64, off i64, reclen u16, type u8, name.
			if len(b) < 20 {
				return unix.EIO
			}
			size := int(binary.NativeEndian.Uint16(b[16:]))
			if size < 20 || size > len(b) {
				return unix.EIO
			}
			ino, typ, name := binary.NativeEndian.Uint64(b), b[18], b[19:size]
			b = b[size:]
			if end := bytes.IndexByte(name, 0); end >= 0 {
				name = name[:end]
			}
			if string(name) == "." || string(name) == ".." || len(name) == 0 || len(name) > maxName {
				continue
			}
			e := node{name: uint32(len(text)), nlen: uint8(len(name)), a: uint32(ino), b: uint32(ino >> 32)}
			text = append(text, name...)
			switch e.kind = kindOf(typ); {
			case typ == unix.DT_UNKNOWN, typ == unix.DT_CHR && w.layer.form == formOverlay:
				e.kind = w.kindByStat(fd, string(name))
			}
			ents = append(ents, e)
		}
	}
}

func kindOf(direntType byte) Kind {
	switch direntType {
	case unix.DT_DIR:
		return KindDir
	case unix.DT_REG:
		return KindFile
	case unix.DT_LNK:
		return KindSymlink
	}
	return KindOther
}

// kindByStat finds what a listing does not tell: the kind of an entry on file
// systems without types, and whether a character device is a whiteout.
func (w *dirWorker) kindByStat(fd int, name string) Kind {
	var st unix.Stat_t
	if err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return KindOther
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return KindDir
	case unix.S_IFREG:
		return KindFile
	case unix.S_IFLNK:
		return KindSymlink
	case unix.S_IFCHR:
		if st.Rdev == 0 && w.layer.form == formOverlay {
			return KindWhiteout
		}
	}
	return KindOther
}

// readTarget reads where the link at place i leads.
func (w *dirWorker) readTarget(fd int, prefix string, d *dirNode, i int) {
	buf := w.buf[:maxTarget+1]
	n, err := retry(func() (int, error) { return unix.Readlinkat(fd, d.name(i), buf) })
	switch {
	case err != nil:
		w.problems.add(plimsoll.ProblemUnreadableFile, prefix+d.name(i), "the link's target cannot be read: "+err.Error())
	case n > maxTarget:
		w.problems.add(plimsoll.ProblemLimit, prefix+d.name(i), fmt.Sprintf("the link's target is longer than %d bytes", maxTarget))
	default:
		d.setTarget(i, buf[:n])
		if w.bytes.Add(int64(n)) > int64(w.layer.bounds.text) {
			w.fail(limitError("scan layer", "more than %d bytes of names", w.layer.bounds.text))
		}
	}
}

// wants asks the visitor about a regular file.
func (w *dirWorker) wants(fd int, path, name string) bool {
	switch w.visitor.Wants(path) {
	case Yes:
		return true
	case IfExecutable:
		var st unix.Stat_t
		err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
		return err != nil || Executable(name, fs.FileMode(st.Mode)) // an error shows again on opening
	}
	return false
}

// visit opens a wanted file and hands it to the visitor.
func (w *dirWorker) visit(ctx context.Context, j job) {
	f, st, err := w.layer.root.openFile(j.path)
	if err != nil {
		w.unreadable(j.path, err)
		return
	}
	defer f.Close()
	if st.Nlink > 1 && j.others == nil {
		w.mu.Lock()
		key := inode{st.Dev, st.Ino}
		w.links[key] = append(w.links[key], wanted{j.path, j.node, j.ent})
		w.mu.Unlock()
		return
	}
	if w.layer.form == formOverlay && w.elsewhere(f, st, j) {
		return
	}
	w.visitor.Visit(ctx, j.path, newFile(f, st), "")
	for _, name := range j.others {
		w.visitor.Visit(ctx, name, nil, j.path)
	}
}

// unlistable reports a directory that could not be listed.
func (w *dirWorker) unlistable(path string, err error) {
	switch {
	case errors.Is(err, unix.ENOENT):
		w.fail(vanished(path))
	case path == "" || errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM):
		w.fail(openError("list directory of layer", path, err))
	case errors.Is(err, unix.EXDEV):
		w.problems.add(plimsoll.ProblemUnreadableDir, path, "another file system is mounted there")
	default:
		w.problems.add(plimsoll.ProblemUnreadableDir, path, "the directory cannot be listed: "+err.Error())
	}
}

// unreadable reports a wanted file that could not be opened.
func (w *dirWorker) unreadable(path string, err error) {
	switch {
	case errors.Is(err, unix.ENOENT):
		w.fail(vanished(path))
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOMEM):
		w.fail(openError("open file of layer", path, err))
	default:
		w.problems.add(plimsoll.ProblemUnreadableFile, path, "the file cannot be opened: "+err.Error())
	}
}
