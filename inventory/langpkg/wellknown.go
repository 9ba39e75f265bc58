package langpkg

import (
	"bytes"
	"context"
	"io"
	"regexp"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// program is a well-known program or library that images hold without package,
// and the text around its version in its read-only data.
type program struct {
	file   string // base name, or its beginning when prefix is set
	prefix bool
	name   string
	mark   string // stands before the version
	then   string // stands behind it; may be empty
	// before: the version, digits and dots only, ends where the mark begins.
	before bool
	// whole: the mark is the beginning of the version.
	whole bool
	// built: the version stands before the host and time of the build.
	built bool
}

// programs is searched in order; the first mark that is followed by a version
// counts.
var programs = [...]program{
	{file: "node", name: "node", mark: "nodejs.org/download/release/v"},
	{file: "nginx", name: "nginx", mark: "nginx/"},
	{file: "openresty", name: "openresty", mark: "openresty/"},
	{file: "httpd", name: "httpd", mark: "Apache/"},
	{file: "lighttpd", name: "lighttpd", mark: "lighttpd/"},
	{file: "redis-server", name: "redis", mark: "buildkitsandbox-", before: true},
	{file: "redis-server", name: "redis", built: true},
	{file: "valkey-server", name: "valkey", mark: "buildkitsandbox-", before: true},
	{file: "valkey-server", name: "valkey", built: true},
	{file: "memcached", name: "memcached", mark: "memcached "},
	{file: "mariadbd", name: "mariadb", mark: "-MariaDB", before: true},
	{file: "mysqld", name: "mysql", mark: "/mysql-", then: "/"},
	{file: "mysql", name: "mysql", mark: "/mysql-", then: "/"},
	{file: "mariadb", name: "mariadb", mark: "-MariaDB", before: true},
	{file: "postgres", name: "postgresql", mark: "\x00PostgreSQL "},
	{file: "haproxy", name: "haproxy", mark: " version ", then: ", released 20"},
	{file: "busybox", name: "busybox", mark: "BusyBox v"},
	{file: "bash", name: "bash", mark: "@(#)Bash version "},
	{file: "curl", name: "curl", mark: "curl "},
	{file: "libcurl", prefix: true, name: "curl", mark: "libcurl/"},
	{file: "openssl", name: "openssl", mark: "OpenSSL "},
	{file: "libcrypto", prefix: true, name: "openssl", mark: "OpenSSL "},
	{file: "libruby", prefix: true, name: "ruby", mark: "ruby ", then: " (20"},
	{file: "ruby", name: "ruby", mark: "ruby ", then: " (20"},
	{file: "libperl.so", prefix: true, name: "perl", mark: "/lib/perl5/"},
	{file: "perl", prefix: true, name: "perl", mark: "/lib/perl5/"},
	{file: "php", prefix: true, name: "php", mark: "X-Powered-By: PHP/"},
	{file: "libphp", prefix: true, name: "php", mark: "X-Powered-By: PHP/"},
}

// wellKnown looks for the version string of the program that the file is named
// for. The evidence is weak, and says so; a program that a system package owns
// is that package (acceptance BIN-02, decided by the merge).
func wellKnown(ctx context.Context, f inventory.File, e elfFile) (inventory.Facts, error) {
	_, base := split(f.Path)
	for _, p := range programs {
		if p.file != base && !(p.prefix && strings.HasPrefix(base, p.file)) {
			continue
		}
		version, err := findVersion(ctx, f, e, p)
		if err != nil || version != "" {
			return programFacts(f, p.name, version), err
		}
	}
	// CPython has its version as a string, to which linkers shorten paths that
	// end in it; the name says how it begins.
	for _, stem := range [...]string{"libpython3.", "python3."} {
		if minor, ok := strings.CutPrefix(base, stem); ok {
			minor, _, _ = strings.Cut(minor, ".")
			if minor = strings.TrimRight(minor, "dmut"); minor == "" {
				break
			}
			version, err := findVersion(ctx, f, e, program{mark: "3." + minor + ".", then: "\x00", whole: true})
			return programFacts(f, "python", version), err
		}
	}
	return inventory.Facts{}, nil
}

func programFacts(f inventory.File, name, version string) inventory.Facts {
	if version == "" {
		return inventory.Facts{}
	}
	return inventory.Facts{Packages: []plimsoll.Package{{
		Type: plimsoll.TypeGeneric, Name: name, Version: version, Path: f.Path, Evidence: plimsoll.EvidenceBinary,
	}}}
}

// findVersion searches the read-only data for the mark of p, then the writable,
// where versions are that the source keeps in a variable.
func findVersion(ctx context.Context, f inventory.File, e elfFile, p program) (string, error) {
	for _, name := range [...]string{".rodata", ".data"} {
		if s, ok := e.section(name); ok {
			if v, err := searchSection(ctx, f, s, p); v != "" || err != nil {
				return v, err
			}
		}
	}
	return "", nil
}

// searchSection goes through a section window by window.
func searchSection(ctx context.Context, f inventory.File, s elfSection, p program) (version string, err error) {
	err = windows(f, s, func(data []byte) bool {
		version = p.version(data)
		return version != "" || ctx.Err() != nil
	})
	if err == nil && ctx.Err() != nil {
		err = readError("read executable", ctx.Err())
	}
	return version, err
}

// windows calls look with one part of a section after the other until it says
// that it has seen enough. Parts overlap by more than a mark and its version.
func windows(f inventory.File, s elfSection, look func([]byte) (done bool)) error {
	const (
		window  = 256 << 10
		overlap = 256
	)
	if s.size > maxBinary {
		return plimsoll.Errorf(plimsoll.CodeLimit, "read executable", "its data of %d bytes is larger than the limit", s.size)
	}
	buf := make([]byte, min(window, s.size))
	for at := int64(0); ; at += window - overlap {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), s.size-at)], s.offset+at)
		if err != nil && err != io.EOF {
			return readError("read executable", err)
		}
		if look(buf[:n]) || at+int64(len(buf)) >= s.size {
			return nil
		}
	}
}

// buildHost is what Redis puts together: its version, the name of the machine that
// built it, which in a container is twelve digits, and the time.
var buildHost = regexp.MustCompile(`(\d{1,3}\.\d{1,3}\.\d{1,3})[0-9a-f]{12}-\d{10,20}`)

func (p program) version(data []byte) string {
	if p.built {
		if m := buildHost.FindSubmatch(data); m != nil {
			return string(m[1])
		}
		return ""
	}
	for i := 0; ; i++ {
		n := bytes.Index(data[i:], []byte(p.mark))
		if n < 0 {
			return ""
		}
		i += n
		start, end := i+len(p.mark), i+len(p.mark)
		if p.before {
			start, end = i, i
			for start > 0 && i-start < 16 && (digit(data[start-1]) || data[start-1] == '.') {
				start--
			}
		} else {
			for end < len(data) && end-start < 48 && versionByte(data[end]) {
				end++
			}
			if p.whole && i > 0 && (digit(data[i-1]) || data[i-1] == '.') || !bytes.HasPrefix(data[end:], []byte(p.then)) {
				continue
			}
		}
		if p.whole {
			start = i
		}
		if v := release(string(data[start:end])); strings.Contains(v, ".") && digit(v[0]) {
			return v
		}
	}
}

// release cuts what builders append to a version: "2.9.3-5d2a1ce",
// "2.6.12-1+deb12u4", Ruby's "2.7.8p225". A pre-release is part of it.
func release(v string) string {
	v = strings.Trim(v, ".-+~")
	if i := strings.IndexAny(v, "-+~"); i >= 0 {
		pre := false
		for _, word := range [...]string{"-dev", "-rc", "-alpha", "-beta", "-pre"} {
			pre = pre || strings.HasPrefix(v[i:], word)
		}
		if !pre {
			v = v[:i]
		}
	}
	if i := strings.LastIndexByte(v, 'p'); i > 0 && i+1 < len(v) && strings.Trim(v[i+1:], "0123456789") == "" && digit(v[i-1]) {
		v = v[:i]
	}
	return v
}

func versionByte(c byte) bool {
	return digit(c) || c == '.' || c == '-' || c == '+' || c == '~' || 'a' <= c && c <= 'z'
}
