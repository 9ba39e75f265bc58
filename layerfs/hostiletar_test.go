package layerfs

import (
	"archive/tar"
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"plimsoll"
)

// hostileMember is one tar header as it is, with what follows it, padded to blocks.
// Its size is what size says, in whatever spelling.
func hostileMember(kind byte, name, size, content string) []byte {
	h := make([]byte, 512)
	copy(h, name)
	copy(h[100:], "0000644\x00")
	copy(h[124:136], size)
	h[156] = kind
	copy(h[257:], "ustar\x0000")
	checksum(h)
	body := []byte(content)
	return append(append(h, body...), make([]byte, -len(body)&511)...)
}

func paxRecord(key, value string) string {
	n := len(key) + len(value) + 3
	for len(fmt.Sprint(n))+len(key)+len(value)+3 != n {
		n = len(fmt.Sprint(n)) + len(key) + len(value) + 3
	}
	return fmt.Sprintf("%d %s=%s\n", n, key, value)
}

// Each tar attacks its reader: by sizes that are claimed, by headers without end,
// by what it expands to. It is refused, or it costs no more than it is worth.
func TestHostileTars(t *testing.T) {
	const most = 64 << 20 // bytes allocated in all
	size := func(n int) string { return string(octal(n)) }
	extended := func(records string) []byte {
		return hostileMember(tar.TypeXHeader, "PaxHeaders/a", size(len(records)), records)
	}
	end := make([]byte, 1024)
	join := func(parts ...[]byte) []byte { return append(bytes.Join(parts, nil), end...) }
	file := hostileMember(tar.TypeReg, "etc/os-release", size(3), "ID=")
	sparse := func(realsize string) []byte {
		return join(extended(paxRecord("GNU.sparse.major", "1")+paxRecord("GNU.sparse.minor", "0")+paxRecord("GNU.sparse.name", "etc/os-release")+paxRecord("GNU.sparse.realsize", realsize)),
			hostileMember(tar.TypeReg, "GNUSparseFile.0/a", size(512), "0\n"+strings.Repeat("\x00", 510)))
	}
	for name, test := range map[string]struct {
		tar     []byte
		refused bool
	}{
		"negative size":                        {join(hostileMember(tar.TypeReg, "etc/os-release", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "")), true},
		"size of 2^95":                         {join(hostileMember(tar.TypeReg, "etc/os-release", "\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "")), true},
		"size of 2^63 - 1":                     {join(hostileMember(tar.TypeReg, "etc/os-release", "\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff", "")), true},
		"size of 8 GiB that is not there":      {join(hostileMember(tar.TypeReg, "etc/os-release", "77777777777\x00", "")), true},
		"negative size by PAX":                 {join(extended(paxRecord("size", "-1")), file), true},
		"size of 2^63 - 1 by PAX":              {join(extended(paxRecord("size", "9223372036854775807")), file), true},
		"PAX header of 64 MiB":                 {join(extended(paxRecord("path", strings.Repeat("a", 64<<20))), file), true},
		"PAX header of a million records":      {join(extended(strings.Repeat(paxRecord("a", "b"), 1<<20)), file), true},
		"PAX record of no length":              {join(extended("0 a=b\n"), file), true},
		"PAX record longer than its header":    {join(extended("999999999 a=b\n"), file), true},
		"global header of 64 MiB":              {join(hostileMember(tar.TypeXGlobalHeader, "g", size(64<<20), strings.Repeat("a", 64<<20)), file), true},
		"GNU long name of 64 MiB":              {join(hostileMember(tar.TypeGNULongName, "././@LongLink", size(64<<20), strings.Repeat("a", 64<<20)), file), true},
		"ten thousand extended headers":        {join(bytes.Repeat(extended(paxRecord("path", "b")), 10_000), file), false},
		"sparse file of 1 TiB":                 {sparse("1099511627776"), false},
		"sparse file of 2^63 - 1 bytes":        {sparse("9223372036854775807"), false},
		"sparse file of a negative size":       {sparse("-1"), true},
		"sparse map that is all of the member": {join(extended(paxRecord("GNU.sparse.major", "1")+paxRecord("GNU.sparse.minor", "0")+paxRecord("GNU.sparse.name", "a")+paxRecord("GNU.sparse.realsize", "1")), hostileMember(tar.TypeReg, "a", size(2<<20), "999999999\n"+strings.Repeat("1\n0\n", 1<<18))), true},
		"a layer compressed by xz":             {append([]byte("\xfd7zXZ\x00\x00\x04"), bytes.Repeat([]byte{0xff}, 512)...), true},
		"a window of zstd of 2 TiB":            {append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8}, bytes.Repeat([]byte{0xff}, 512)...), true},
		"a zstd frame that claims 2^63 bytes":  {append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, bytes.Repeat([]byte{0xff}, 512)...), true},
		"frames of zstd that are skipped":      {bytes.Repeat([]byte{0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0}, 1<<17), false},
		"a skipped frame of zstd of 4 GiB":     {append([]byte{0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff}, make([]byte, 512)...), true},
		"gzip members without end":             {bytes.Repeat(compressGzip(t, nil), 100_000), false},
		"gzip in gzip":                         {compressGzip(t, compressGzip(t, join(file))), true},
	} {
		t.Run(name, func(t *testing.T) {
			for form, l := range map[string]Layer{
				"random access": TarAt(bytes.NewReader(test.tar), int64(len(test.tar)), TarOptions{}),
				"stream":        streamOf(test.tar, TarOptions{}),
			} {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				_, problems, err := l.Scan(t.Context(), &recorder{want: Yes})
				runtime.ReadMemStats(&after)
				if took := after.TotalAlloc - before.TotalAlloc; took > most {
					t.Errorf("%s: allocated %d MiB", form, took>>20)
				}
				if code := plimsoll.CodeOf(err); err != nil && code != plimsoll.CodeCorrupt && code != plimsoll.CodeLimit {
					t.Errorf("%s: %v", form, err)
				}
				if told := err != nil || len(problems) > 0; test.refused && !told && form == "stream" {
					t.Errorf("%s: nothing is told", form)
				}
			}
		})
	}
}
