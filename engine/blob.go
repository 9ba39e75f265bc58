package engine

import (
	"bytes"
	"io"

	"plimsoll/layerfs"
)

// BlobLayer returns the layer whose tar, plain or compressed by gzip or zstd,
// is the first size bytes of r. Only of a plain one are single files read
// without unpacking what comes before. For the options see layerfs.TarOptions.
func BlobLayer(r io.ReaderAt, size int64, o layerfs.TarOptions) layerfs.Layer {
	magic := make([]byte, 4)
	n, _ := r.ReadAt(magic, 0)
	if Compressed(magic[:n]) {
		return layerfs.Tar(func() (io.ReadCloser, error) {
			return io.NopCloser(io.NewSectionReader(r, 0, size)), nil
		}, o)
	}
	return layerfs.TarAt(r, size, o)
}

// Compressed says whether a file that begins with magic is one that
// layerfs.Decompress inflates.
func Compressed(magic []byte) bool {
	return bytes.HasPrefix(magic, []byte{0x1f, 0x8b}) || bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd})
}
