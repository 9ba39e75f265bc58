package layerfs

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// subtract leaves in the listing d of a legacy layer's directory what differs
// from its parent layer: Docker's overlay driver made the full tree with hard
// links, so an unchanged file is the same inode, and copied the links.
func (w *dirWorker) subtract(fd int, path string, d *dirNode) error {
	base := new(dirNode)
	baseFD, err := w.layer.parent.openDir(path)
	if err != nil {
		return err
	}
	defer unix.Close(baseFD)
	if err := w.read(baseFD, base); err != nil {
		return err
	}
	base.sort()
	old := d.ents
	d.ents = make([]node, 0, len(old))
	for i, k := 0, 0; i < len(old) || k < len(base.ents); {
		order := 0
		switch {
		case i == len(old):
			order = 1
		case k == len(base.ents):
			order = -1
		default:
			order = bytes.Compare(d.raw(old[i]), base.raw(base.ents[k]))
		}
		if order > 0 {
			d.add(base.name(k), KindWhiteout)
			k++
			continue
		}
		e := old[i]
		i++
		if order == 0 {
			b := base.ents[k]
			k++
			if e.kind == KindDir && b.kind == KindDir {
				e.flags |= flagBased
			} else if e.kind == b.kind && (e.a == b.a && e.b == b.b || e.kind == KindSymlink && w.sameTarget(fd, baseFD, string(d.raw(e)))) {
				continue
			}
		}
		d.ents = append(d.ents, e)
	}
	return nil
}

func (w *dirWorker) sameTarget(fd, baseFD int, name string) bool {
	var a, b [maxTarget]byte
	n, err := unix.Readlinkat(fd, name, a[:])
	m, baseErr := unix.Readlinkat(baseFD, name, b[:])
	return err == nil && baseErr == nil && string(a[:n]) == string(b[:m])
}

// prune drops the directories in which a legacy layer changed nothing.
func prune(d *dirNode) {
	kept := d.ents[:0]
	for _, e := range d.ents {
		if e.kind == KindDir {
			sub := d.subs[e.a]
			prune(sub)
			if sub.based && len(sub.ents) == 0 {
				continue
			}
		}
		kept = append(kept, e)
	}
	d.ents = kept
	subs := make([]*dirNode, 0, len(d.subs))
	for i := range d.ents {
		if e := &d.ents[i]; e.kind == KindDir {
			subs = append(subs, d.subs[e.a])
			e.a = uint32(len(subs) - 1)
		}
	}
	d.subs = subs
}
