package engine

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"path"
	"strings"

	"plimsoll"
)

// Limits of tar-split records.
const (
	maxTarSplit     = 4 << 30  // bytes, uncompressed: some 10 million files
	maxTarSplitLine = 64 << 10 // bytes of a line that names a file; a path has at most 4 KiB
	maxOpaques      = 1 << 20  // opaque directories of one layer
)

const opaqueMark = ".wh..wh..opq"

// Opaques returns the opaque directories of a layer, relative to its root, from
// the tar-split record (gzip) that Docker and containers-storage keep of the
// layer's tar. It needs no privilege, unlike the extended attributes of the
// unpacked layer. Errors have CodeCorrupt or CodeLimit.
//
// The format is that of vbatts/tar-split: one JSON object per line, and type 1
// for a member of the tar.
func Opaques(r io.Reader) (map[string]bool, error) {
	const op = "read tar-split record"
	zr, err := gzip.NewReader(bufio.NewReader(r))
	if err != nil {
		return nil, plimsoll.Errorf(plimsoll.CodeCorrupt, op, "%w", err)
	}
	opaque := map[string]bool{}
	limited := &io.LimitedReader{R: zr, N: maxTarSplit}
	lines := bufio.NewReaderSize(limited, maxTarSplitLine)
	for long := false; ; {
		line, err := lines.ReadSlice('\n')
		// A line longer than the buffer holds raw bytes between members.
		skip := long
		long = errors.Is(err, bufio.ErrBufferFull)
		if !skip && !long {
			if dir, ok := opaqueDir(line); ok {
				opaque[dir] = true
			}
		}
		switch {
		case len(opaque) > maxOpaques, limited.N <= 0:
			return nil, plimsoll.Errorf(plimsoll.CodeLimit, op, "too many members")
		case err == io.EOF:
			return opaque, nil
		case err != nil && !long:
			return nil, plimsoll.Errorf(plimsoll.CodeCorrupt, op, "%w", err)
		}
	}
}

// opaqueDir returns the directory that a line of a tar-split record marks as
// opaque. A name that is not valid UTF-8 stands in name_raw.
func opaqueDir(line []byte) (string, bool) {
	if !bytes.Contains(line, []byte(opaqueMark)) && !bytes.Contains(line, []byte(`"name_raw"`)) {
		return "", false // nearly all lines: not worth decoding
	}
	var entry struct {
		Type    int
		Name    string
		NameRaw []byte `json:"name_raw"`
	}
	if json.Unmarshal(line, &entry) != nil || entry.Type != 1 {
		return "", false
	}
	name := entry.Name
	if len(entry.NameRaw) > 0 {
		name = string(entry.NameRaw)
	}
	dir, base := path.Split(path.Clean("/" + name))
	return strings.Trim(dir, "/"), base == opaqueMark
}
