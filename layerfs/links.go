package layerfs

import "iter"

// Links returns the paths of the layer's symbolic links and special files
// (devices, FIFOs, sockets), in byte order: what a name can stand for instead of
// a file to read.
func (x *Index) Links() iter.Seq[string] {
	return func(yield func(string) bool) {
		if len(x.nodes) > 0 {
			x.links(0, "", yield)
		}
	}
}

// links makes paths of directories and links alone: most entries are files.
func (x *Index) links(dir uint32, prefix string, yield func(string) bool) bool {
	d := x.nodes[dir]
	for id := d.a; id < d.a+d.b; id++ {
		switch x.nodes[id].kind {
		case KindSymlink, KindOther:
			if !yield(prefix + x.name(id)) {
				return false
			}
		case KindDir:
			if !x.links(id, prefix+x.name(id)+"/", yield) {
				return false
			}
		}
	}
	return true
}
