package langpkg

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"strings"
	"unicode/utf16"

	"plimsoll"
	"plimsoll/inventory"
)

// Limits on .NET files.
const (
	// maxPE bounds what debug/pe may read of one file: headers and symbols.
	maxPE = 8 << 20
	// maxResources is how much of the resources is searched for the version.
	maxResources = 1 << 20
	// maxBundleHeader bounds the beginning of a bundle's header.
	maxBundleHeader = 1 << 10
)

// assembly reads the version that a managed library states in its resources
// (acceptance NET-01). The name is the file's; a product version is that of the
// package, the file version has a fourth number that packages do not have.
func assembly(f inventory.File) (inventory.Facts, error) {
	var facts inventory.Facts
	limited := &readBudget{r: f.ReaderAt, left: maxPE}
	file, err := pe.NewFile(limited)
	if limited.err != nil {
		return facts, limited.err
	}
	if err != nil || !managed(file) {
		return facts, nil // a native library, or something else by the name
	}
	s := file.Section(".rsrc")
	if s == nil {
		return facts, nil
	}
	data := make([]byte, min(int64(s.Size), maxResources, max(f.Size-int64(s.Offset), 0)))
	if n, err := f.ReadAt(data, int64(s.Offset)); err != nil {
		if err := notEOF(err); err != nil {
			return facts, err
		}
		data = data[:n]
	}
	version := packageVersion(versionResource(data, "ProductVersion"))
	if version == "" {
		version = packageVersion(versionResource(data, "FileVersion"))
	}
	_, base := split(f.Path)
	p := plimsoll.Package{Type: plimsoll.TypeNuGet, Name: base[:len(base)-len(".dll")], Version: version, Path: f.Path,
		Supplier: text(versionResource(data, "CompanyName"), maxName), Evidence: plimsoll.EvidenceBinary}
	if identified(&p) && strings.Trim(version, "0.") != "" {
		facts.Packages = []plimsoll.Package{p}
	}
	return facts, nil
}

// managed says whether the file has a CLR header (ECMA-335, II.25.3.3).
func managed(f *pe.File) bool {
	const clr = 14 // IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR
	switch h := f.OptionalHeader.(type) {
	case *pe.OptionalHeader32:
		return h.NumberOfRvaAndSizes > clr && h.DataDirectory[clr].Size > 0
	case *pe.OptionalHeader64:
		return h.NumberOfRvaAndSizes > clr && h.DataDirectory[clr].Size > 0
	}
	return false
}

// versionResource returns a value of the StringFileInfo of a VS_VERSIONINFO: the
// key and the value are UTF-16 with a zero at the end, aligned to four bytes.
func versionResource(data []byte, key string) string {
	var mark []byte
	for _, c := range key + "\x00" {
		mark = append(mark, byte(c), 0)
	}
	i := bytes.Index(data, mark)
	if i < 6 {
		return ""
	}
	data = data[i-6:] // length, length of the value, type
	at := (6 + len(mark) + 3) &^ 3
	var units []uint16
	for ; at+1 < len(data) && len(units) < maxName; at += 2 {
		u := binary.LittleEndian.Uint16(data[at:])
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return string(utf16.Decode(units))
}

// packageVersion cuts the commit from "13.0.3+0a2e291c"; what is no version
// gives nothing.
func packageVersion(v string) string {
	v, _, _ = strings.Cut(strings.TrimSpace(v), "+")
	if !versionText(v) {
		return ""
	}
	return v
}

// bundleMark stands behind the offset of a bundle's header in the program that
// starts it (dotnet/designs, single-file/bundler.md).
var bundleMark = []byte("\x8b\x12\x02\xb9\x6a\x61\x20\x38\x72\x7b\x93\x02\x14\xd7\xa0\x32\x13\xf5\xb9\xe6\xef\xae\x33\x18\xee\x3b\x2d\xce\x24\xb3\x6a\xae")

// bundled reads the deps.json that a .NET program published as a single file
// carries. ok is false when the file is no such bundle.
func bundled(f inventory.File, e elfFile) (facts inventory.Facts, ok bool, err error) {
	const op = "read .NET bundle"
	s, found := e.section(".data")
	if !found {
		return facts, false, nil
	}
	header := int64(0)
	err = windows(f, s, func(data []byte) bool {
		if i := bytes.Index(data, bundleMark); i >= 8 {
			header = int64(binary.LittleEndian.Uint64(data[i-8:]))
			return true
		}
		return false
	})
	if err != nil || header <= 0 {
		return facts, false, err // 0: a program that starts an assembly beside it
	}
	if header >= f.Size {
		return facts, true, corrupt(op, "its header lies beyond the end of the file: it was cut off")
	}
	b := make([]byte, min(maxBundleHeader, f.Size-header))
	if _, err := f.ReadAt(b, header); err != nil {
		return facts, true, readError(op, err)
	}
	// Major and minor version, number of files, the bundle's ID with its length
	// before it, then offset and size of deps.json.
	const fixed = 12
	if len(b) < fixed+1 || b[fixed] > 127 || len(b) < fixed+1+int(b[fixed])+16 {
		return facts, true, corrupt(op, "its header is cut off")
	}
	if major := binary.LittleEndian.Uint32(b); major < 2 || major > 100 {
		return facts, true, corrupt(op, "version %d of the format is not known", major)
	}
	b = b[fixed+1+int(b[fixed]):]
	offset, size := int64(binary.LittleEndian.Uint64(b)), int64(binary.LittleEndian.Uint64(b[8:]))
	switch {
	case offset == 0 && size == 0:
		return facts, true, nil // published without a list
	case size > maxRecords:
		return facts, true, plimsoll.Errorf(plimsoll.CodeLimit, op, "its deps.json of %d bytes is larger than the limit", size)
	case offset < 0 || size < 0 || offset > f.Size || size > f.Size-offset:
		return facts, true, corrupt(op, "its deps.json lies beyond the end of the file")
	}
	data := make([]byte, size)
	if _, err := f.ReadAt(data, offset); err != nil {
		return facts, true, readError(op, err)
	}
	facts, err = deployedLibraries(f.Path, data)
	facts.Notes = nil // what it accounts for is inside
	return facts, true, err
}
