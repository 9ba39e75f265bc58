package layerfs

import (
	"bytes"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"plimsoll"
)

// The marks by which directories of a layer change what lies below them. Those
// of overlayfs are in Documentation/filesystems/overlayfs.rst of the kernel;
// fuse-overlayfs reads the same and writes its own where it may not write them.
// A redirect or metacopy counts in its trusted form only, as in the kernel.
const (
	markOpaqueTrusted   = "trusted.overlay.opaque"
	markOpaqueUser      = "user.overlay.opaque"
	markOpaqueFuse      = "user.fuseoverlayfs.opaque"
	markWhiteoutTrusted = "trusted.overlay.whiteout"
	markWhiteoutUser    = "user.overlay.whiteout"
	markRedirect        = "trusted.overlay.redirect"
	markMetacopy        = "trusted.overlay.metacopy"

	whiteoutPrefix = ".wh."         // then the name that is gone
	whiteoutMeta   = ".wh..wh."     // aufs's own records
	whiteoutOpaque = ".wh..wh..opq" // the directory is opaque
)

// whiteoutOf returns the name that a file called name removes, as in a tar.
// Names that would stand for the directory itself, its parent or a record of
// aufs remove nothing.
func whiteoutOf(name string) (string, bool) {
	gone, ok := strings.CutPrefix(name, whiteoutPrefix)
	return gone, ok && validName(gone) && !strings.HasPrefix(name, whiteoutMeta)
}

// readMarks reads the attributes of the directory fd.
func (w *dirWorker) readMarks(fd int, path string, d *dirNode) {
	if w.opaques[path] {
		d.flags |= flagOpaque
	}
	hasWhiteouts := false
	for name := range bytes.SplitSeq(xattrs(fd, w.attrs), []byte{0}) {
		switch string(name) {
		case markOpaqueTrusted, markOpaqueUser, markOpaqueFuse:
			switch xattr(fd, string(name)) {
			case "y":
				d.flags |= flagOpaque
			case "x":
				hasWhiteouts = true
			}
		case markRedirect:
			if to := xattr(fd, markRedirect); validRedirect(to) {
				d.redirect = to
			} else {
				d.flags |= flagOpaque // as good as the kernel's refusal
				w.problems.add(plimsoll.ProblemRedirect, path, "the directory's overlay redirect is malformed, so what lies below it is unknown")
			}
		}
	}
	if hasWhiteouts {
		for i := range d.ents {
			if e := &d.ents[i]; e.kind == KindFile && w.attributeWhiteout(join(path, d.name(i))) {
				e.kind = KindWhiteout
			}
		}
	}
}

// attributeWhiteout says whether the file at path, in a directory that is marked
// to hold such, is an empty file with the whiteout attribute.
func (w *dirWorker) attributeWhiteout(path string) bool {
	f, st, err := w.layer.root.openFile(path)
	if err != nil {
		return false
	}
	defer f.Close()
	if st.Size != 0 {
		return false
	}
	for name := range bytes.SplitSeq(xattrs(int(f.Fd()), make([]byte, 1024)), []byte{0}) {
		switch string(name) {
		case markWhiteoutTrusted, markWhiteoutUser:
			return true
		}
	}
	return false
}

// findWhiteouts turns the empty files by which fuse-overlayfs marks whiteouts
// and opaque directories, where it may not make devices, into what they mean.
func (w *dirWorker) findWhiteouts(fd int, d *dirNode) {
	kept := d.ents[:0]
	for _, e := range d.ents {
		name := d.raw(e)
		if e.kind != KindFile || !bytes.HasPrefix(name, []byte(whiteoutPrefix)) {
			kept = append(kept, e)
			continue
		}
		var st unix.Stat_t
		if err := unix.Fstatat(fd, string(name), &st, unix.AT_SYMLINK_NOFOLLOW); err != nil || st.Size != 0 {
			kept = append(kept, e)
			continue
		}
		if string(name) == whiteoutOpaque {
			d.flags |= flagOpaque
			continue
		}
		if _, ok := whiteoutOf(string(name)); ok {
			e.kind = KindWhiteout
			e.name += uint32(len(whiteoutPrefix))
			e.nlen -= uint8(len(whiteoutPrefix))
		}
		kept = append(kept, e)
	}
	d.ents = kept
}

// foldWhiteouts unites, in a sorted directory, a whiteout with an entry of the
// same name: the entry stays and, if a directory, hides what the whiteout hid.
func (d *dirNode) foldWhiteouts() {
	kept := d.ents[:0]
	for _, e := range d.ents {
		if n := len(kept); n > 0 && bytes.Equal(d.raw(kept[n-1]), d.raw(e)) {
			if kept[n-1].kind == KindWhiteout {
				kept[n-1] = e
			}
			if kept[n-1].kind == KindDir {
				kept[n-1].flags |= flagHides
			}
			continue
		}
		kept = append(kept, e)
	}
	d.ents = kept
}

// elsewhere says whether the content of a wanted file is not in this layer, and
// notes where it is.
func (w *dirWorker) elsewhere(f *os.File, st *unix.Stat_t, j job) bool {
	if !w.layer.trusted {
		// The mark would be invisible. Such a file is one hole.
		if !w.layer.opts.Lowest && st.Blocks == 0 && hole(f, st) {
			w.problems.add(plimsoll.ProblemRedirect, j.path, "the file has no content here; whether a lower layer has it cannot be seen without CAP_SYS_ADMIN")
			return true
		}
		return false
	}
	meta, to, err := w.layer.metacopy(f, st, j.path, w.attrs)
	if err != nil {
		w.problems.add(plimsoll.ProblemRedirect, j.path, "the file has no content here; whether a lower layer has it is unknown: "+err.Error())
		return true
	}
	if !meta {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.metacopies = append(w.metacopies, moved{j.node, j.ent, to})
	return true
}

// moved is a file whose content lower layers have.
type moved struct {
	node *dirNode
	ent  int
	to   string
}

// noteMetacopies enters what the visits of files found, after all of them.
func (s *dirScan) noteMetacopies() {
	for _, m := range s.metacopies {
		m.node.ents[m.ent].flags |= flagMetacopy
		if m.to != "" {
			if m.node.redirects == nil {
				m.node.redirects = make(map[int]string)
			}
			m.node.redirects[m.ent] = m.to
		}
	}
}

// hole says whether a file is one hole, as those are that overlayfs copied up
// without their content.
func hole(f *os.File, st *unix.Stat_t) bool {
	if st.Size == 0 {
		return false
	}
	_, err := unix.Seek(int(f.Fd()), 0, unix.SEEK_DATA)
	runtime.KeepAlive(f)
	return err == unix.ENXIO
}

// metacopy says whether an open file holds no content of its own and, if it was
// renamed since, where lower layers have it.
func (l *dirLayer) metacopy(f *os.File, st *unix.Stat_t, path string, buf []byte) (bool, string, error) {
	if l.metacopied != nil {
		if !hole(f, st) {
			return false, "", nil
		}
		return l.metacopied(path)
	}
	meta, to := metacopy(int(f.Fd()), buf)
	runtime.KeepAlive(f)
	return meta, to, nil
}

// metacopy says whether the file fd holds no content of its own and, if it was
// renamed since, where lower layers have it.
func metacopy(fd int, buf []byte) (bool, string) {
	names := xattrs(fd, buf)
	if !bytes.Contains(names, []byte(markMetacopy+"\x00")) {
		return false, ""
	}
	if to := xattr(fd, markRedirect); validRedirect(to) {
		return true, to
	}
	return true, ""
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
