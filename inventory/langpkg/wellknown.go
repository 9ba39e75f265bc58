package langpkg

import (
	"bytes"
	"context"
	"io"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// program is a well-known program or library that images hold without package,
// and the text before its version in its read-only data.
type program struct {
	file   string // base name, or its beginning when prefix is set
	prefix bool
	name   string
	mark   string
	// before: the version ends where the mark starts, instead of beginning where
	// it ends.
	before bool
	// whole: the mark is the beginning of the version, and a string ends with it.
	whole bool
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
	{file: "valkey-server", name: "valkey", mark: "buildkitsandbox-", before: true},
	{file: "memcached", name: "memcached", mark: "memcached "},
	{file: "postgres", name: "postgresql", mark: "\x00PostgreSQL "},
	{file: "haproxy", name: "haproxy", mark: "HAProxy version "},
	{file: "haproxy", name: "haproxy", mark: "HA-Proxy version "},
	{file: "busybox", name: "busybox", mark: "BusyBox v"},
	{file: "bash", name: "bash", mark: "@(#)Bash version "},
	{file: "curl", name: "curl", mark: "curl "},
	{file: "libcurl", prefix: true, name: "curl", mark: "libcurl/"},
	{file: "openssl", name: "openssl", mark: "OpenSSL "},
	{file: "libcrypto.so", prefix: true, name: "openssl", mark: "OpenSSL "},
	{file: "libruby.so", prefix: true, name: "ruby", mark: "ruby "},
	{file: "ruby", name: "ruby", mark: "ruby "},
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
			version, err := findVersion(ctx, f, e, program{mark: "3." + minor + ".", whole: true})
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

// findVersion searches the read-only data for the mark of p, window by window.
func findVersion(ctx context.Context, f inventory.File, e elfFile, p program) (string, error) {
	const (
		window  = 256 << 10
		overlap = 256 // a mark and its version are shorter
	)
	s, ok := e.section(".rodata")
	if !ok {
		return "", nil
	}
	if s.size > maxBinary {
		return "", plimsoll.Errorf(plimsoll.CodeLimit, "read executable", "its data of %d bytes is larger than the limit", s.size)
	}
	buf := make([]byte, min(window, s.size))
	for at := int64(0); ; at += window - overlap {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := f.ReadAt(buf[:min(int64(len(buf)), s.size-at)], s.offset+at)
		if err != nil && err != io.EOF {
			return "", readError("read executable", err)
		}
		if v := p.version(buf[:n]); v != "" {
			return v, nil
		}
		if at+int64(len(buf)) >= s.size {
			return "", nil
		}
	}
}

func (p program) version(data []byte) string {
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
			for end < len(data) && end-start < 32 && versionByte(data[end]) {
				end++
			}
		}
		if p.whole {
			if start == end || !digit(data[start]) || end == len(data) || data[end] != 0 || i > 0 && (digit(data[i-1]) || data[i-1] == '.') {
				continue
			}
			start = i
		}
		v := strings.Trim(string(data[start:end]), ".-/")
		if v != "" && digit(v[0]) && (strings.Contains(v, ".") || p.mark[0] == 0) {
			return v
		}
	}
}

func versionByte(c byte) bool {
	return digit(c) || c == '.' || c == '-' || 'a' <= c && c <= 'z'
}
