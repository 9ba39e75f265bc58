package langpkg

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"

	"plimsoll"
)

func TestPY04CondaNamesWhatItInstalled(t *testing.T) {
	t.Parallel()
	facts := analyze(t, conda{}, "opt/conda/conda-meta/pytorch-2.1.0-py311_0.json", `{"name":"pytorch","version":"2.1.0","files":[
		"lib/python3.11/site-packages/torch/__init__.py","lib/python3.11/site-packages/torch-2.1.0.dist-info/METADATA",
		"../../etc/x.dist-info/METADATA","/abs.dist-info/METADATA"]}`)
	equal(t, brief(facts), []string{"pytorch 2.1.0"})
	equal(t, facts.Packages[0].Type, plimsoll.TypeConda)
	equal(t, notes(facts), []string{"opt/conda/lib/python3.11/site-packages/torch-2.1.0.dist-info/METADATA origin conda: pytorch 2.1.0"})
}

func TestDartHaskellSwiftAsInstalled(t *testing.T) {
	t.Parallel()
	equal(t, brief(analyze(t, dart{}, "root/.pub-cache/hosted/pub.dev/http-1.2.0-beta.1/pubspec.yaml", "")), []string{"http 1.2.0-beta.1"})
	equal(t, brief(analyze(t, dart{}, "usr/lib/dart/version", "3.2.4\n")), []string{"dart 3.2.4"})
	equal(t, brief(analyze(t, dart{}, "opt/dart/version", "none")), nil)

	conf := "name: aeson\nversion: 2.2.1.0\nvisibility: public\nlicense: BSD-3-Clause\nmaintainer: Ann <ann@example.org>\nexposed-modules:\n    Data.Aeson\n    version: 9\n"
	facts := analyze(t, haskell{}, "root/.cabal/store/ghc-9.4.7/package.db/aeson-2.2.1.0-01.conf", conf)
	equal(t, brief(facts), []string{"aeson 2.2.1.0"})
	equal(t, facts.Packages[0].Licenses, []string{"BSD-3-Clause"})
	equal(t, brief(analyze(t, haskell{}, "usr/lib/ghc-9.4.7/lib/package.conf.d/base-4.17.2.conf", "name: base\nversion: 4.17.2.0\n")), []string{"base 4.17.2.0 in ghc"})

	equal(t, brief(analyze(t, swift{}, "app/.build/workspace-state.json", `{"object":{"dependencies":[
		{"packageRef":{"identity":"swift-nio","location":"https://github.com/apple/swift-nio.git"},"state":{"checkoutState":{"revision":"a","version":"2.40.0"}}},
		{"packageRef":{"identity":"x","path":"git@github.com:Acme/x.git"},"state":{"checkoutState":{"version":"1.0.0"}}},
		{"packageRef":{"identity":"b","location":"https://example.org/b"},"state":{"checkoutState":{"branch":"main"}}}]},"version":6}`)),
		[]string{"github.com/apple/swift-nio 2.40.0", "github.com/Acme/x 1.0.0"})
}

func TestNET01SharedRuntimeIsNamedLikeItsPack(t *testing.T) {
	t.Parallel()
	equal(t, brief(analyze(t, dotnet{}, "usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.11/Microsoft.NETCore.App.deps.json",
		`{"runtimeTarget":{"name":".NETCoreApp,Version=v8.0/linux-musl-x64"},"targets":{},"libraries":{}}`)), []string{"Microsoft.NETCore.App.Runtime.linux-musl-x64 8.0.11"})
}

// What deps.json accounts for is not found again by its assembly.
func TestNET01AssembliesOfDepsAreNoted(t *testing.T) {
	t.Parallel()
	equal(t, notes(analyze(t, dotnet{}, "app/App.deps.json", depsJSON)), []string{
		"app/App.dll absent", "app/Newtonsoft.Json.dll absent", "app/System.Private.CoreLib.dll absent"})
}

// assemblyOf makes the smallest PE file with a CLR header and a version resource.
func assemblyOf(clr bool, values ...string) string {
	var rsrc []byte
	for i := 0; i < len(values); i += 2 {
		entry := make([]byte, 6)
		for _, u := range utf16.Encode([]rune(values[i] + "\x00")) {
			entry = binary.LittleEndian.AppendUint16(entry, u)
		}
		for len(entry)%4 != 0 {
			entry = append(entry, 0)
		}
		for _, u := range utf16.Encode([]rune(values[i+1] + "\x00")) {
			entry = binary.LittleEndian.AppendUint16(entry, u)
		}
		for len(entry)%4 != 0 {
			entry = append(entry, 0)
		}
		rsrc = append(rsrc, entry...)
	}
	const start = 0x200
	b := make([]byte, start, start+len(rsrc))
	copy(b, "MZ")
	le := binary.LittleEndian
	le.PutUint32(b[0x3c:], 0x80)
	coff := b[0x80:]
	copy(coff, "PE\x00\x00")
	le.PutUint16(coff[4:], 0x14c)  // i386
	le.PutUint16(coff[6:], 1)      // sections
	le.PutUint16(coff[20:], 224)   // optional header
	le.PutUint16(coff[24:], 0x10b) // PE32
	le.PutUint32(coff[24+92:], 16) // directories
	if clr {
		le.PutUint32(coff[24+96+14*8:], 0x2000)
		le.PutUint32(coff[24+96+14*8+4:], 72)
	}
	section := coff[24+224:]
	copy(section, ".rsrc")
	le.PutUint32(section[8:], uint32(len(rsrc)))
	le.PutUint32(section[16:], uint32(len(rsrc)))
	le.PutUint32(section[20:], start)
	return string(append(b, rsrc...))
}

func TestNET01AssemblyVersion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		content string
		want    []string
	}{
		{assemblyOf(true, "CompanyName", "Newtonsoft", "FileVersion", "13.0.3.27908", "ProductVersion", "13.0.3+0a2e291c0d9c"), []string{"Newtonsoft.Json 13.0.3"}},
		{assemblyOf(true, "FileVersion", "4.6.26515.6", "ProductVersion", "unknown"), []string{"Newtonsoft.Json 4.6.26515.6"}},
		{assemblyOf(true, "FileVersion", "0.0.0.0"), nil},
		{assemblyOf(true, "Nothing", "1.0.0"), nil},
		{assemblyOf(false, "ProductVersion", "13.0.3"), nil}, // a native library
		{"MZ", nil},
		{"not a PE file", nil},
		{assemblyOf(true, "ProductVersion", "13.0.3")[:0x200], nil},
	} {
		facts := analyze(t, dotnet{}, "app/Newtonsoft.Json.dll", c.content)
		equal(t, brief(facts), c.want)
		for _, p := range facts.Packages {
			equal(t, p.Evidence, plimsoll.EvidenceBinary)
		}
	}
}

// bundleOf makes a .NET program as one file: the program that starts it, its
// deps.json, and the header to which the program's data leads.
func bundleOf(deps string, edit func(header []byte)) string {
	le := binary.LittleEndian
	offset := make([]byte, 8)
	host := func() string {
		return elfOf(".rodata", "x", ".data", strings.Repeat("d", 16)+string(offset)+string(bundleMark))
	}
	padding := strings.Repeat("\x00", minBundle)
	at := len(host()) + len(padding)
	header := make([]byte, 12)
	le.PutUint32(header, 6)
	header = append(append(header, 4), "id42"...)
	header = le.AppendUint64(header, uint64(at))
	header = le.AppendUint64(header, uint64(len(deps)))
	if edit != nil {
		edit(header)
	}
	le.PutUint64(offset, uint64(at+len(deps)))
	return host() + padding + deps + string(header)
}

func TestNET01SingleFileBundle(t *testing.T) {
	t.Parallel()
	analyzeBundle := func(content string) (got []string, err error) {
		f := file("app/App", content)
		f.Mode = 0o755
		facts, err := executable{}.Analyze(t.Context(), f)
		return brief(facts), err
	}
	got, err := analyzeBundle(bundleOf(depsJSON, nil))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, got, []string{"Newtonsoft.Json 13.0.3", "Native.Lib 3.0.0", "Microsoft.NETCore.App.Runtime.linux-x64 8.0.11"})

	whole := bundleOf(depsJSON, nil)
	for what, content := range map[string]string{
		"cut off":            whole[:len(whole)-len(depsJSON)],
		"unknown version":    bundleOf(depsJSON, func(h []byte) { h[0] = 1 }),
		"list beyond":        bundleOf(depsJSON, func(h []byte) { binary.LittleEndian.PutUint64(h[17:], 1<<40) }),
		"size beyond":        bundleOf(depsJSON, func(h []byte) { binary.LittleEndian.PutUint64(h[25:], 1<<20) }),
		"negative":           bundleOf(depsJSON, func(h []byte) { binary.LittleEndian.PutUint64(h[17:], 1<<63) }),
		"long ID":            bundleOf(depsJSON, func(h []byte) { h[12] = 0xff }),
		"list is not a list": bundleOf("nonsense", nil),
	} {
		if _, err := analyzeBundle(content); plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
			t.Errorf("%s: %v", what, err)
		}
	}
	got, err = analyzeBundle(bundleOf(depsJSON, func(h []byte) { clear(h[17:33]) }))
	if err != nil || got != nil {
		t.Errorf("without a list: %v, %v", got, err)
	}
	if _, err := analyzeBundle(bundleOf(depsJSON, func(h []byte) { binary.LittleEndian.PutUint64(h[25:], maxRecords+1) })); plimsoll.CodeOf(err) != plimsoll.CodeLimit {
		t.Errorf("a list of 64 MiB: %v", err)
	}
}
