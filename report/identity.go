package report

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"plimsoll"
)

// identifiers makes the names by which a document refers to its own elements:
// the same for the same element in every run, unique within the document, and
// free of foreign text.
type identifiers struct{ used map[string]bool }

func newIdentifiers() *identifiers { return &identifiers{make(map[string]bool)} }

func (ids *identifiers) unique(kind string, parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	id := kind + "-" + hex.EncodeToString(h[:8])
	for n := 2; ids.used[id]; n++ {
		id = kind + "-" + hex.EncodeToString(h[:8]) + "-" + strconv.Itoa(n)
	}
	ids.used[id] = true
	return id
}

func (ids *identifiers) image(img *plimsoll.Image) string {
	return ids.unique("image", string(img.ID), string(img.Engine)) // not its place: it may move
}

func (ids *identifiers) pkg(img *plimsoll.Image, p *plimsoll.Package) string {
	return ids.unique("package", string(img.ID), packageKey(p))
}

// packageKey tells the packages of one image apart.
func packageKey(p *plimsoll.Package) string {
	return strings.Join([]string{string(p.Type), p.Root, p.Name, p.Version, p.Arch, p.Path, p.Bundled}, "\x00")
}

// contentUUID derives a UUID (RFC 9562, version 8: by own rule) from content, so
// that the same document has the same serial number.
func contentUUID(content []byte) string {
	h := sha256.Sum256(content)
	h[6] = h[6]&0x0f | 0x80
	h[8] = h[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// reportDate is when what a report says was true: the date of the advisories,
// else of the newest image. It is no clock, so that two runs agree.
func reportDate(r plimsoll.Report) string {
	if r.Generation != nil {
		return date(r.Generation.Built)
	}
	newest := ""
	for i := range r.Results {
		newest = max(newest, date(r.Results[i].Image.Created))
	}
	return newest
}
