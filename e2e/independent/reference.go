package independent

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/semver"
)

// unordered is the answer for versions that the reference refuses.
const unordered = 2

type question struct{ order, a, b string }

// questions are comparisons that are asked together.
type questions struct {
	list    []question
	answers map[question]int
}

func newQuestions() *questions { return &questions{answers: make(map[question]int)} }

// note remembers a comparison to make; its result means nothing yet.
func (q *questions) note(order, a, b string) int {
	k := question{order, a, b}
	if _, ok := q.answers[k]; !ok {
		q.answers[k] = unordered
		q.list = append(q.list, k)
	}
	return unordered
}

func (q *questions) lookup(order, a, b string) int { return q.answers[question{order, a, b}] }

// answer makes all comparisons that were noted.
func (q *questions) answer(ctx context.Context) error {
	byOrder := make(map[string][]question)
	for _, k := range q.list {
		if strings.ContainsAny(k.a+k.b, "\t\n\r") {
			continue // stays unordered
		}
		byOrder[k.order] = append(byOrder[k.order], k)
	}
	for order, list := range byOrder {
		if order == "Go" {
			for _, k := range list {
				q.answers[k] = compareGo(k.a, k.b)
			}
			continue
		}
		p, err := programFor(order)
		if err != nil {
			return err
		}
		results, err := p.run(ctx, list)
		if err != nil {
			return fmt.Errorf("compare %s versions: %w", order, err)
		}
		for i, k := range list {
			q.answers[k] = results[i]
		}
	}
	return nil
}

// compareGo is the order of Go's own library.
func compareGo(a, b string) int {
	a, b = "v"+strings.TrimPrefix(a, "v"), "v"+strings.TrimPrefix(b, "v")
	if !semver.IsValid(a) || !semver.IsValid(b) {
		return unordered
	}
	return semver.Compare(a, b)
}

// program reads lines "a<TAB>b" and writes for each -1, 0, 1 or 2 on a line.
type program []string

// dpkgLoop asks dpkg --compare-versions for each line. dpkg starts twice for
// most lines; nothing but dpkg decides.
const dpkgLoop = `tab=$(printf '\t')
while IFS="$tab" read -r a b; do
  if dpkg --compare-versions "$a" lt "$b" 2>/dev/null; then echo -1
  elif dpkg --compare-versions "$a" gt "$b" 2>/dev/null; then echo 1
  else echo 0; fi
done`

const rpmLoop = `%{lua:
for line in io.lines() do
  local a, b = line:match("^(.-)\t(.*)$")
  local ok, c = pcall(rpm.vercmp, a, b)
  io.stdout:write(ok and string.format("%d", c) or "2", "\n")
end
io.stdout:flush()}`

const pythonLoop = `import sys
try:
    from packaging.version import Version
except ImportError:
    from pip._vendor.packaging.version import Version
for line in sys.stdin:
    a, b = line.rstrip("\n").split("\t")
    try:
        a, b = Version(a), Version(b)
        print((a > b) - (a < b))
    except Exception:
        print(2)
`

const nodeLoop = `const semver = require(process.argv[1]);
const lines = require("fs").readFileSync(0, "utf8").split("\n").slice(0, -1);
console.log(lines.map(l => {
  const [a, b] = l.split("\t");
  try { return semver.compare(a, b); } catch (e) { return 2; }
}).join("\n"));`

// programFor returns the reference implementation of an order, named by the
// ecosystem or "SEMVER".
func programFor(order string) (program, error) {
	var p program
	switch order {
	case "Debian", "Ubuntu":
		if _, err := exec.LookPath("dpkg"); err != nil {
			return nil, err
		}
		p = program{"sh", "-c", dpkgLoop}
	case "AlmaLinux", "Azure Linux", "Red Hat", "Rocky Linux":
		p = program{"rpm", "--eval", rpmLoop}
	case "PyPI":
		p = program{"python3", "-c", pythonLoop}
	case "npm", "crates.io", "SEMVER":
		library, err := nodeSemver()
		if err != nil {
			return nil, err
		}
		p = program{"node", "-e", nodeLoop, library}
	case "Go":
		return nil, nil // in this process
	default:
		return nil, fmt.Errorf("no reference implementation for %q", order)
	}
	_, err := exec.LookPath(p[0])
	return p, err
}

// nodeSemver finds the semver library that npm uses itself.
func nodeSemver() (string, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return "", err
	}
	prefix := filepath.Dir(filepath.Dir(node))
	for _, dir := range []string{"lib/node_modules/npm/node_modules/semver", "share/nodejs/semver", "share/npm/node_modules/semver"} {
		if path := filepath.Join(prefix, dir); exists(filepath.Join(path, "package.json")) {
			return path, nil
		}
	}
	return "", fmt.Errorf("npm's semver is not under %s", prefix)
}

func (p program) run(ctx context.Context, list []question) ([]int, error) {
	var in, stderr bytes.Buffer
	for _, k := range list {
		in.WriteString(k.a + "\t" + k.b + "\n")
	}
	cmd := exec.CommandContext(ctx, p[0], p[1:]...)
	cmd.Stdin, cmd.Stderr = &in, &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", p[0], err, stderr.String())
	}
	lines := strings.Fields(string(out))
	if len(lines) != len(list) {
		return nil, fmt.Errorf("%s answered %d of %d questions: %s", p[0], len(lines), len(list), stderr.String())
	}
	results := make([]int, len(list))
	for i, l := range lines {
		if results[i], err = strconv.Atoi(l); err != nil {
			return nil, fmt.Errorf("%s: %w", p[0], err)
		}
	}
	return results, nil
}
