package ospkg

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"plimsoll"
	"plimsoll/inventory"
)

// chisel reads the manifest that Canonical's chisel leaves in images cut from
// slices of Ubuntu packages, which have no dpkg database. Format: jsonwall 1.0
// (one JSON value a line, zstd).
type chisel struct{}

// maxChiselWindow bounds the memory of the decoder; chisel's own writer uses
// less than 8 MiB.
const maxChiselWindow = 16 << 20

func (chisel) Name() string { return "chisel" }
func (chisel) Version() int { return 1 }

func (chisel) Wants(path string) inventory.Want {
	if _, ok := cutRoot(path, "var/lib/chisel/manifest.wall"); ok {
		return inventory.Yes
	}
	return inventory.No
}

func (chisel) Analyze(ctx context.Context, f inventory.File) (inventory.Facts, error) {
	root, _ := cutRoot(f.Path, "var/lib/chisel/manifest.wall")
	c := &collector{root: root, op: "read chisel manifest"}
	z, err := zstd.NewReader(f.Reader(maxText), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxChiselWindow))
	if err != nil {
		return c.result(&plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: c.op, Err: err})
	}
	defer z.Close()
	plain := &io.LimitedReader{R: z, N: maxText}
	in := &lines{r: bufio.NewReaderSize(plain, maxLine)}
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return c.result(ctx.Err())
		}
		line, more := in.next()
		if !more {
			break
		}
		if !bytes.HasPrefix(line, []byte("{")) {
			continue
		}
		var entry struct{ Kind, Name, Version, Arch, Slice, Path string }
		if err := json.Unmarshal(line, &entry); err != nil {
			c.damage(err)
			continue
		}
		switch entry.Kind {
		case "package":
			// The manifest names no source package; the matcher falls back on
			// the binary's name.
			err := c.add(plimsoll.Package{
				Type: plimsoll.TypeDeb, Name: entry.Name, Version: entry.Version, Arch: entry.Arch,
				Source: debSource(entry.Name, entry.Version, ""),
			})
			if err != nil {
				return c.result(err)
			}
		case "content":
			pkg, _, _ := strings.Cut(entry.Slice, "_")
			c.own(pkg, entry.Path, "")
		}
	}
	if plain.N == 0 {
		return c.result(plimsoll.Errorf(plimsoll.CodeLimit, c.op, "more than %d MiB unpacked", maxText>>20))
	}
	if err := in.done(c.op); err != nil {
		return c.result(&plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: c.op, Err: err})
	}
	return c.result(nil)
}
