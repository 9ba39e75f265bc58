package bench

import (
	"archive/zip"
	"bufio"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// exported are the ecosystems of the exports, in turn.
var exported = [...]string{"npm", "PyPI", "Maven", "Go", "RubyGems", "crates.io", "NuGet", "Packagist", "Debian", "npm"}

// Exports writes an OSV export of n records, with an archive for each ecosystem: three
// records for a package name, of the size and form of published ones.
func Exports(dir string, n int) error {
	archives := make(map[string]*zip.Writer)
	var names []string
	for _, e := range exported {
		if archives[e] != nil {
			continue
		}
		names = append(names, e)
		if err := os.MkdirAll(filepath.Join(dir, e), 0o755); err != nil {
			return err
		}
		f, err := os.Create(filepath.Join(dir, e, "all.zip"))
		if err != nil {
			return err
		}
		defer f.Close()
		out := bufio.NewWriterSize(f, 1<<20)
		defer out.Flush()
		archives[e] = zip.NewWriter(out)
		archives[e].RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	}
	for i := range n {
		e := exported[i%len(exported)]
		id, text, err := record(e, i)
		if err != nil {
			return err
		}
		w, err := archives[e].Create(id + ".json")
		if err == nil {
			_, err = w.Write(text)
		}
		if err != nil {
			return err
		}
	}
	for _, z := range archives {
		if err := z.Close(); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "ecosystems.txt"), []byte(strings.Join(names, "\n")+"\n"), 0o644)
}

// record is record i of an export.
func record(ecosystem string, i int) (id string, text []byte, err error) {
	name := packageName(i / len(exported) / 3)
	id, kind, fixed := fmt.Sprintf("GHSA-%04d-%04d-%04d", i/1e8, i/1e4%1e4, i%1e4), "ECOSYSTEM", fmt.Sprintf("1.%d.0", i%25)
	scope := ecosystem
	switch ecosystem {
	case "Debian":
		id, scope, fixed = fmt.Sprintf("DEBIAN-CVE-%d-%d", 2010+i%15, i), "Debian:12", fixed+"-1"
	case "Maven":
		name = "org.example." + name + ":" + name
	case "Go":
		name = "example.com/" + name
		kind = "SEMVER"
	case "npm":
		kind = "SEMVER"
	}
	versions := make([]string, i%8)
	for v := range versions {
		versions[v] = fmt.Sprintf("1.%d.%d", v, i%3)
	}
	text, err = json.Marshal(map[string]any{
		"schema_version": "1.7.3", "id": id, "aliases": []string{fmt.Sprintf("CVE-%d-%d", 2010+i%15, 10_000+i)},
		"modified": "2026-01-02T00:00:00Z", "published": "2026-01-01T00:00:00Z", "summary": "A flaw in " + name + " lets attackers in",
		"details":  strings.Repeat(fmt.Sprintf("Whoever can reach %s may send it request %d, which it trusts. ", name, i), 6),
		"severity": []any{map[string]string{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}},
		"references": []any{
			map[string]string{"type": "ADVISORY", "url": "https://nvd.example/vuln/detail/" + id},
			map[string]string{"type": "FIX", "url": fmt.Sprintf("https://code.example/%s/commit/%x", name, i*7919)}},
		"affected": []any{map[string]any{
			"package": map[string]string{"ecosystem": scope, "name": name}, "versions": versions,
			"ranges": []any{map[string]any{"type": kind, "events": []any{map[string]string{"introduced": "0"}, map[string]string{"fixed": fixed}}}}}},
		"database_specific": map[string]any{"severity": "HIGH", "cwe_ids": []string{"CWE-79"}, "github_reviewed": true},
	})
	return id, text, err
}
