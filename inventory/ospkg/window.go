package ospkg

import "io"

// window serves small reads near each other from one large read, because the
// pages of a database are small and a chain of them mostly lies in a row. It
// is not safe for concurrent use.
type window struct {
	io.ReaderAt
	start int64
	data  []byte
	buf   []byte
}

const windowBytes = 64 << 10

func newWindow(f io.ReaderAt) *window {
	return &window{ReaderAt: f, buf: make([]byte, windowBytes)}
}

func (w *window) ReadAt(p []byte, off int64) (int, error) {
	if len(p) > windowBytes || off < 0 {
		return w.ReaderAt.ReadAt(p, off)
	}
	if off < w.start || off+int64(len(p)) > w.start+int64(len(w.data)) {
		n, err := w.ReaderAt.ReadAt(w.buf, off)
		w.start, w.data = off, w.buf[:n]
		if n < len(p) {
			return copy(p, w.data), err
		}
	}
	return copy(p, w.data[off-w.start:]), nil
}
