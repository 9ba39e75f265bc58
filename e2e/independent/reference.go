package independent

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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
		p, err := programFor(order)
		if err != nil {
			return err
		}
		var results []int
		switch order {
		case "Go":
			results = inProcess(list, compareGo)
		case "Alpine", "Wolfi", "NuGet":
			results = inProcess(list, comparePlain)
		case "Maven":
			results, err = p.asArguments(ctx, list)
		default:
			results, err = p.run(ctx, list)
		}
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

func inProcess(list []question, compare func(a, b string) int) []int {
	results := make([]int, len(list))
	for i, k := range list {
		results[i] = compare(k.a, k.b)
	}
	return results
}

var plain = regexp.MustCompile(`^((?:0|[1-9][0-9]{0,17})(?:\.(?:0|[1-9][0-9]{0,17}))*)(?:-r(0|[1-9][0-9]{0,8}))?$`)

// comparePlain stands in where this machine has no reference (apk, NuGet): it
// orders what every scheme orders alike, numbers compared from left to right and
// then Alpine's revision, and refuses the rest: letters, suffixes, leading
// zeros, and numbers of which one version has more.
func comparePlain(a, b string) int {
	x, y := plain.FindStringSubmatch(a), plain.FindStringSubmatch(b)
	if x == nil || y == nil || (x[2] == "") != (y[2] == "") {
		return unordered
	}
	m, n := strings.Split(x[1], "."), strings.Split(y[1], ".")
	for i := range min(len(m), len(n)) {
		if c := compareNumbers(m[i], n[i]); c != 0 {
			return c
		}
	}
	if len(m) != len(n) {
		return unordered
	}
	return compareNumbers(x[2], y[2])
}

// compareNumbers compares without leading zeros.
func compareNumbers(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// program reads lines "a<TAB>b" and writes for each -1, 0, 1 or 2 on a line.
type program []string

// dpkgLoop asks the library of dpkg's own developers, which starts once where
// dpkg --compare-versions would start twice for each line.
const dpkgLoop = `use Dpkg::Version;
while (<STDIN>) {
  chomp; my ($a, $b) = split /\t/;
  my $c = eval { version_compare($a, $b) };
  print defined $c ? $c : 2, "\n";
}`

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

const rubyLoop = `STDIN.each_line do |line|
  a, b = line.chomp.split("\t")
  puts Gem::Version.correct?(a) && Gem::Version.correct?(b) ? Gem::Version.new(a) <=> Gem::Version.new(b) : 2
end`

// phpLoop asks Composer's own library, as Debian installs it.
const phpLoop = `require "/usr/share/php/Composer/Semver/autoload.php";
$parser = new Composer\Semver\VersionParser();
while (($line = fgets(STDIN)) !== false) {
  list($a, $b) = explode("\t", rtrim($line, "\n"));
  try {
    $a = $parser->normalize($a); $b = $parser->normalize($b);
    echo Composer\Semver\Comparator::lessThan($a, $b) ? -1 : (Composer\Semver\Comparator::greaterThan($a, $b) ? 1 : 0), "\n";
  } catch (UnexpectedValueException $e) { echo "2\n"; }
}`

// mavenJars are those of Debian's libmaven3-core-java.
const mavenJars = "/usr/share/java/maven3-artifact.jar:/usr/share/java/commons-lang3.jar"

// programFor returns the reference implementation of an order, named by the
// ecosystem or "SEMVER".
func programFor(order string) (program, error) {
	var p program
	switch order {
	case "Debian", "Ubuntu":
		p = program{"perl", "-e", dpkgLoop}
	case "AlmaLinux", "Azure Linux", "Red Hat", "Rocky Linux", "openSUSE":
		p = program{"rpm", "--eval", rpmLoop}
	case "PyPI":
		p = program{"python3", "-c", pythonLoop}
	case "npm", "crates.io", "SEMVER":
		library, err := nodeSemver()
		if err != nil {
			return nil, err
		}
		p = program{"node", "-e", nodeLoop, library}
	case "RubyGems":
		p = program{"ruby", "-e", rubyLoop}
	case "Packagist":
		p = program{"php", "-r", phpLoop}
	case "Maven":
		p = program{"java", "-cp", mavenJars, "org.apache.maven.artifact.versioning.ComparableVersion"}
	case "Go", "Alpine", "Wolfi", "NuGet":
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

// asArguments is for Maven's ComparableVersion, which compares each of its
// arguments with the one before; the answers to every second count. Arguments
// behind the name of a class are no options to Java.
func (p program) asArguments(ctx context.Context, list []question) ([]int, error) {
	const atOnce = 10000 // below the kernel's limit of 2 MiB
	var results []int
	for part := range slices.Chunk(list, atOnce) {
		args := slices.Clone(p[1:])
		for _, k := range part {
			args = append(args, k.a, k.b)
		}
		out, err := exec.CommandContext(ctx, p[0], args...).Output()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p[0], err)
		}
		n := 0
		for line := range strings.Lines(string(out)) {
			if !strings.HasPrefix(line, "   ") {
				continue
			}
			if n++; n%2 == 0 {
				continue
			}
			// A version may hold spaces; the sign stands between the two.
			k := part[n/2]
			sign := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), k.a+" "), " "+k.b)
			c, ok := map[string]int{"<": -1, "==": 0, ">": 1}[sign]
			if !ok {
				c = unordered
			}
			results = append(results, c)
		}
	}
	if len(results) != len(list) {
		return nil, fmt.Errorf("%s answered %d of %d questions", p[0], len(results), len(list))
	}
	return results, nil
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
