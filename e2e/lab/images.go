package lab

import (
	"archive/tar"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Debian is a minimal Debian: release "11", "12", "13" or "sid".
func Debian(release string) Recipe {
	suite := map[string]string{"11": "bullseye", "12": "bookworm", "13": "trixie"}[release]
	if suite == "" {
		suite = release
	}
	return dockerfile("debian:"+release, "debian", nil, "SUITE="+suite)
}

// Patched is a Debian with usual servers and tools, all in the newest versions of
// the archive: it is made anew every day, in place of the one of another day.
func Patched(release string) Recipe {
	base := Debian(release)
	r := dockerfile("patched:"+release, "patched", &base, "RELEASE="+release, "DAY="+time.Now().UTC().Format(time.DateOnly))
	build := r.make
	r.make = func(t testing.TB, out string) {
		build(t, out)
		old, err := filepath.Glob(filepath.Join(filepath.Dir(out), "patched_"+release+"-*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range old {
			if dir != out && !strings.HasSuffix(dir, ".lock") {
				if err := os.RemoveAll(dir); err != nil {
					t.Error(err)
				}
			}
		}
	}
	return r
}

// onDebian is a recipe on top of Debian 12.
func onDebian(name, dir string) Recipe {
	base := Debian("12")
	return dockerfile(name, dir, &base)
}

// Layered has layers that remove packages and files, replace files by
// directories and links, recreate what a lower layer had, and carry names that
// are hard to print.
func Layered() Recipe { return onDebian("layered:1", "layered") }

// Python has Debian's Python packages and, in /opt/venv, packages that Debian
// does not own, in old versions.
func Python() Recipe { return onDebian("python-app:1", "python") }

// Node has an application of more than 500 npm packages in /app.
func Node() Recipe { return onDebian("node-app:1", "node") }

// Java has Debian's JRE and libraries and, in /app, a self-executing jar with
// stored nested jars and a war.
func Java() Recipe { return onDebian("java-app:1", "java") }

// JavaMany is Java with the libraries once more, as an application ships them: more
// than three hundred archives.
func JavaMany() Recipe {
	base := Java()
	return dockerfile("java-many:1", "java-many", &base)
}

// Ruby has Debian's gems and gems installed by gem itself.
func Ruby() Recipe { return onDebian("ruby-app:1", "ruby") }

// PHP has an application in /app that composer installed.
func PHP() Recipe { return onDebian("php-app:1", "php") }

// Go has two Go programs on Debian: a server of old modules, one of which is
// replaced, and the same server stripped.
func Go() Recipe { return onDebian("go-app:1", "go") }

// GoStatic is one static Go program and nothing else.
func GoStatic() Recipe { return dockerfile("go-static:1", "go-static", nil) }

// RPM is an rpm system whose database is one of the test data of go-rpmdb, a
// module that the tests depend on: "cbl-mariner-2.0" and "fedora35" (sqlite),
// "sle15-bci" (ndb) or "centos8-modularitylabel" (Berkeley DB).
func RPM(t testing.TB, fixture string) Recipe {
	t.Helper()
	module := goList(t, "-m", "-f", "{{.Dir}}", "github.com/anchore/go-rpmdb")
	return dockerfile("rpm-"+fixture+":1", "rpm", nil, "FIXTURE="+filepath.Join(module, "pkg", "testdata", fixture))
}

// RPMBuilt is an rpm system of packages built and installed by rpm itself:
// epochs, a module label, a foreign vendor, a removed package, two versions of
// one name.
func RPMBuilt() Recipe { return dockerfile("rpm-built:1", "rpm-built", nil) }

// RPMSystem is an rpm system with an os-release and packages of a vendor, each
// "name epoch version release module", "-" for none; rpm itself installs them.
func RPMSystem(name, osRelease, vendor string, packages ...string) Recipe {
	script, err := fs.ReadFile(recipes, "recipes/rpm-system/prepare.sh")
	if err != nil {
		panic(err) // it is embedded
	}
	args := []string{"OS_RELEASE=" + osRelease, "VENDOR=" + vendor, "PACKAGES=" + strings.Join(packages, "\n")}
	return Recipe{Name: name, key: strings.Join(append(args, string(script)), "\n"), make: func(t testing.TB, out string) {
		line, _, _ := strings.Cut(string(script), "\n")
		Need(t, strings.Fields(strings.TrimPrefix(line, "# needs:"))...)
		cmd := exec.Command("sh", "-euc", string(script))
		cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), append(args, "TRUTH="+filepath.Join(out, fileTruth))...)
		run(t, cmd)
		id, err := writeArchive(filepath.Join(out, fileArchive), name, []layer{func(w *tar.Writer) error {
			for _, file := range [...]string{"etc/os-release", "var/lib/rpm/rpmdb.sqlite"} {
				content, err := os.ReadFile(filepath.Join(cmd.Dir, "root", file))
				if err == nil {
					err = addFile(w, file, content)
				}
				if err != nil {
					return err
				}
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		appendFile(t, filepath.Join(out, fileID), id+"\n")
	}}
}

// Alpine is an Alpine 3.11.5 whose database is test data of package ospkg.
func Alpine(t testing.TB) Recipe {
	t.Helper()
	ospkg := goList(t, "-f", "{{.Dir}}", "plimsoll/inventory/ospkg")
	return dockerfile("alpine:3.11.5", "alpine", nil, "RELEASE=3.11.5", "INSTALLED="+filepath.Join(ospkg, "testdata", "apk", "alpine-3.11.5.installed"))
}

// Hostile has texts that would do harm where a reader took them for more than
// texts: names and versions of packages, paths, labels, environment, entry point.
func Hostile() Recipe { return dockerfile("hostile:1", "hostile", nil) }

func goList(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}
