//go:build e2e

package version

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll/e2e/lab"
)

// differentialPairs is how many random pairs each reference tool is asked.
const differentialPairs = 5000

// TestDifferential compares our order with that of the reference tools, each
// asked in one process, on random pairs that look alike.
func TestDifferential(t *testing.T) {
	debFirst := strings.Fields("0 1 2 1:1 0:2 12")
	debWords := strings.Fields("0 1 2 9 10 01 . . . + ~ - -1 a b rc deb12u ubuntu0. ~~ .0 A Z +b1")
	tests := []struct {
		name   string
		scheme Scheme
		first  []string // what versions begin with
		words  []string // what they go on with
		ask    func(t *testing.T, pairs [][2]string) []int
	}{
		{"DEB-12 dpkg", Deb, debFirst, debWords, askDpkg},
		{"DEB-12 Dpkg::Version", Deb, debFirst, debWords, askDpkgPerl},
		{"RPM-11 rpm", RPM, strings.Fields("0 1 2 1:1 0:2 a"), strings.Fields("0 1 2 9 10 01 . . . _ ~ ^ - a b rc el7 git +"), askRPM},
		{"NPM-08 node-semver", NPM, strings.Fields("1.0.0 1.0.1 1.1.0 v1.0.0"), strings.Fields("-0 -1 -alpha -beta -rc.1 .2 .10 .a .b-c +x"), askNode},
		{"PY-06 packaging", PEP440, strings.Fields("0 1 1.0 v1.0 1!0 01"), strings.Fields(".0 .1 .2 .3 .10 a1 b2 rc1 c1 .dev1 .dev .post1 -1 -r1 _alpha .pre_2 +local +ab.1 +1.ab +5 a . _1 rev1"), askPython},
		{"JAR-08 maven", Maven, strings.Fields("0 1 2 1.0"), strings.Fields("0 1 2 10 01 . . - - a b m alpha beta rc cr snapshot ga final sp x release xyz .Final .RC1 .0 -1 .x1"), askMaven},
		{"RB-01 ruby", Gem, strings.Fields("0 1 1.0 3"), strings.Fields(".0 .1 .2 .10 .a .b .a1 .pre -b4 -1 .0.0 .rc.1"), askRuby},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			var pairs [][2]string
			for range 20 * differentialPairs {
				a := randomVersion(r, test.first, test.words)
				b := randomVersion(r, test.first, test.words)
				if r.IntN(3) > 0 { // a change at the end of the same version
					b = a + test.words[r.IntN(len(test.words))]
				}
				_, errA := Parse(test.scheme, a)
				_, errB := Parse(test.scheme, b)
				if errA == nil && errB == nil && len(pairs) < differentialPairs {
					pairs = append(pairs, [2]string{a, b})
				}
			}
			want := test.ask(t, pairs)
			if len(want) != len(pairs) {
				t.Fatalf("%d answers to %d questions", len(want), len(pairs))
			}
			asked, wrong := 0, 0
			for i, p := range pairs {
				if want[i] == refused {
					continue
				}
				asked++
				got, err := Compare(test.scheme, p[0], p[1])
				if err == nil && got == want[i] {
					continue
				}
				if wrong++; wrong <= 20 {
					t.Errorf("%s ? %s: got %d, want %d", p[0], p[1], got, want[i])
				}
			}
			t.Logf("%d pairs compared, %d wrong", asked, wrong)
			if asked < differentialPairs/4 {
				t.Errorf("the reference refused all but %d of %d pairs", asked, len(pairs))
			}
		})
	}
}

// refused stands for a pair that the reference does not take as versions.
const refused = 2

func randomVersion(r *rand.Rand, first, words []string) string {
	v := first[r.IntN(len(first))]
	for range r.IntN(6) {
		v += words[r.IntN(len(words))]
	}
	return v
}

func askDpkgPerl(t *testing.T, pairs [][2]string) []int {
	return run(t, pairs, "perl", "-MDpkg::Version", "-ane",
		`my ($a, $b) = map { Dpkg::Version->new($_) } @F; print $a <=> $b, "\n"`)
}

// askDpkg starts dpkg up to twice for each pair, so it asks about some only.
func askDpkg(t *testing.T, pairs [][2]string) []int {
	lab.Need(t, "dpkg")
	const some = differentialPairs / 3
	answers := run(t, pairs[:some], "sh", "-c", `
		while read -r a b; do
			if dpkg --compare-versions "$a" lt "$b" 2>/dev/null; then echo -1
			elif dpkg --compare-versions "$a" eq "$b" 2>/dev/null; then echo 0
			else echo 1
			fi
		done`)
	for len(answers) < len(pairs) {
		answers = append(answers, refused)
	}
	return answers
}

func askRPM(t *testing.T, pairs [][2]string) []int {
	file := filepath.Join(t.TempDir(), "pairs")
	if err := os.WriteFile(file, question(pairs), 0o600); err != nil {
		t.Fatal(err)
	}
	return run(t, nil, "rpm", "--eval",
		`%{lua: for l in io.lines("`+file+`") do local a, b = l:match("(%S+) (%S+)"); print(rpm.vercmp(a, b) .. " ") end}`)
}

func askNode(t *testing.T, pairs [][2]string) []int {
	lab.Need(t, "npm")
	root, err := exec.Command("npm", "root", "-g").Output()
	if err != nil {
		t.Fatalf("npm root: %v", err)
	}
	return run(t, pairs, "node", "-e", `
		const semver = require(process.argv[1]);
		for (const line of require("fs").readFileSync(0, "utf8").trim().split("\n")) {
			const [a, b] = line.split(" ");
			console.log(semver.valid(a) && semver.valid(b) ? semver.compare(a, b) : 2);
		}`, filepath.Join(strings.TrimSpace(string(root)), "npm/node_modules/semver"))
}

func askPython(t *testing.T, pairs [][2]string) []int {
	return run(t, pairs, "python3", "-c", `
import sys
try:
    from packaging.version import Version, InvalidVersion
except ImportError:
    from pip._vendor.packaging.version import Version, InvalidVersion
for line in sys.stdin:
    try:
        a, b = map(Version, line.split())
        print((a > b) - (a < b))
    except InvalidVersion:
        print(2)
`)
}

// askMaven uses the command line of ComparableVersion, which compares each of
// its arguments with the one before: the answers to every second count.
func askMaven(t *testing.T, pairs [][2]string) []int {
	const jars = "/usr/share/java/maven3-artifact.jar:/usr/share/java/commons-lang3.jar" // Debian's libmaven3-core-java
	lab.Need(t, "java")
	args := []string{"-cp", jars, "org.apache.maven.artifact.versioning.ComparableVersion"}
	for _, p := range pairs {
		args = append(args, p[0], p[1])
	}
	out, err := exec.Command("java", args...).Output()
	if err != nil {
		t.Fatalf("ComparableVersion of Maven's artifact library: %v", err)
	}
	var answers []int
	n := 0
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "   ") {
			continue
		}
		if n++; n%2 == 1 {
			answers = append(answers, map[string]int{"<": -1, "==": 0, ">": 1}[strings.Fields(line)[1]])
		}
	}
	return answers
}

func askRuby(t *testing.T, pairs [][2]string) []int {
	return run(t, pairs, "ruby", "-ne", `a, b = $_.split
		puts Gem::Version.correct?(a) && Gem::Version.correct?(b) ? Gem::Version.new(a) <=> Gem::Version.new(b) : 2`)
}

func question(pairs [][2]string) []byte {
	var b bytes.Buffer
	for _, p := range pairs {
		fmt.Fprintln(&b, p[0], p[1])
	}
	return b.Bytes()
}

// run gives the pairs to a program, one a line, and reads its answers.
func run(t *testing.T, pairs [][2]string, name string, args ...string) []int {
	t.Helper()
	lab.Need(t, name)
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(question(pairs))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, stderr.String())
	}
	var answers []int
	for _, f := range strings.Fields(string(out)) {
		var n int
		if _, err := fmt.Sscan(f, &n); err != nil {
			t.Fatalf("%s: answer %q", name, f)
		}
		answers = append(answers, n)
	}
	return answers
}
