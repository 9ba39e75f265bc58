package layerfs

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path"
	"strings"

	"plimsoll"
)

// Record is a file in which an engine keeps the names of the tar that a layer's
// directory was unpacked from. It tells which directories are opaque to those who
// may not see that on the directories themselves.
type Record struct {
	File *os.File // closed by whoever asked for the record
	// Tar says that the file is the tar itself, plain or compressed, whose diff ID
	// is DiffID. Otherwise it is the list that vbatts/tar-split makes of a tar.
	Tar    bool
	DiffID plimsoll.Digest
}

// opaques reads the opaque directories of a layer.
func (r Record) opaques(ctx context.Context) (map[string]bool, error) {
	if !r.Tar {
		return tarSplitOpaques(r.File)
	}
	info, err := r.File.Stat()
	if err != nil {
		return nil, err
	}
	index, _, err := TarBlob(r.File, info.Size(), TarOptions{DiffID: r.DiffID}).Scan(ctx, nothing{})
	if err != nil {
		return nil, err
	}
	found := make(map[string]bool)
	err = index.Walk(func(e Entry) error {
		if e.Opaque {
			found[e.Path] = true
		}
		return nil
	})
	return found, err
}

// Limits of tar-split records.
const (
	maxTarSplit     = 4 << 30  // bytes, uncompressed: some 10 million files
	maxTarSplitLine = 64 << 10 // bytes of a line that names a file; a path has at most 4 KiB
	maxOpaques      = 1 << 20  // opaque directories of one layer
)

// tarSplitOpaques returns the opaque directories of a layer, relative to its root,
// from the tar-split record (gzip) that Docker and containers-storage keep of the
// layer's tar. It needs no privilege, unlike the extended attributes of the
// unpacked layer. Errors have CodeCorrupt or CodeLimit.
//
// The format is that of vbatts/tar-split: one JSON object per line, and type 1
// for a member of the tar.
func tarSplitOpaques(r io.Reader) (map[string]bool, error) {
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
	if !bytes.Contains(line, []byte(whiteoutOpaque)) && !bytes.Contains(line, []byte(`"name_raw"`)) {
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
	return strings.Trim(dir, "/"), base == whiteoutOpaque
}
