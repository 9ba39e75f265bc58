package lab

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// DpkgQuery runs the host's dpkg-query on a root file system and returns one
// sorted line for each installed package, made by a format in dpkg-query's own
// language, for example "${Package} ${Version} ${source:Package}".
func DpkgQuery(t testing.TB, root, format string) []string {
	t.Helper()
	Need(t, "dpkg-query")
	const installed = "installed "
	out := run(t, exec.Command("dpkg-query", "--admindir", filepath.Join(root, "var/lib/dpkg"),
		"--show", "--showformat", "${db:Status-Status} "+format+`\n`))
	var lines []string
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, installed); ok {
			lines = append(lines, strings.TrimSuffix(rest, "\n"))
		}
	}
	slices.Sort(lines)
	return lines
}
