package version

import (
	"strings"
	"testing"
)

// fuzzLaws checks that an order is one: reflexive, antisymmetric and, where
// the scheme's own rules are, transitive; that parsing never panics and that
// white space around a version makes no difference.
func fuzzLaws(f *testing.F, s Scheme, fixture string, seeds ...string) {
	for _, v := range append(seeds, "", "1", "0", "1.0-1", "1:0~^", "a.0.b", "00.0", "v1-x+y_z!2*") {
		f.Add(v, "1.0", v)
	}
	f.Add(strings.Repeat("9", 300), "1"+strings.Repeat("0", 300), strings.Repeat("1.", 500)+"1")
	if fixture != "" {
		for _, l := range readFixture(f, fixture) {
			f.Add(l.a, l.b, "1.0.0")
		}
	}
	f.Fuzz(func(t *testing.T, x, y, z string) {
		var vs []Version
		for _, text := range []string{x, y, z} {
			v, err := Parse(s, text)
			if err != nil {
				continue
			}
			if w, err := Parse(s, " "+v.String()+"\n"); err != nil || w != v {
				t.Fatalf("%q does not survive String and Parse: %v, %v", text, w, err)
			}
			vs = append(vs, v)
		}
		for _, a := range vs {
			for _, b := range vs {
				ab := a.Compare(b)
				if a == b && ab != 0 || ab < -1 || ab > 1 {
					t.Fatalf("%s ? %s: %d", a, b, ab)
				}
				if ba := b.Compare(a); ba != -ab {
					t.Fatalf("not antisymmetric: %s ? %s: %d and %d", a, b, ab, ba)
				}
				for _, c := range vs {
					if s != Maven && ab <= 0 && b.Compare(c) <= 0 && a.Compare(c) > 0 {
						t.Fatalf("not transitive: %s, %s, %s", a, b, c)
					}
				}
			}
		}
	})
}

func FuzzCompareDeb(f *testing.F)    { fuzzLaws(f, Deb, "debian") }
func FuzzCompareRPM(f *testing.F)    { fuzzLaws(f, RPM, "redhat") }
func FuzzCompareAPK(f *testing.F)    { fuzzLaws(f, APK, "alpine") }
func FuzzComparePacman(f *testing.F) { fuzzLaws(f, Pacman, "", "1:1.0rc1-1", "1..0.a") }
func FuzzCompareOpam(f *testing.F)   { fuzzLaws(f, Opam, "", "v0.16.0", "4.14.1~rc1+flambda") }
func FuzzCompareSemVer(f *testing.F) { fuzzLaws(f, SemVer, "semver") }
func FuzzCompareNPM(f *testing.F)    { fuzzLaws(f, NPM, "semver", "=v1.2.3", "1.2.3-0.a+b") }
func FuzzCompareCargo(f *testing.F)  { fuzzLaws(f, Cargo, "semver", "1.2.3-alpha.-1") }
func FuzzCompareHex(f *testing.F)    { fuzzLaws(f, Hex, "semver", "1.2.3-dev", "1.2") }
func FuzzCompareGo(f *testing.F) {
	fuzzLaws(f, Go, "semver", "go1.22rc1", "go1.22.1 X:loopvar", "(devel)")
}
func FuzzComparePub(f *testing.F)    { fuzzLaws(f, Pub, "pub") }
func FuzzCompareNuGet(f *testing.F)  { fuzzLaws(f, NuGet, "nuget") }
func FuzzCompareMaven(f *testing.F)  { fuzzLaws(f, Maven, "maven", "12.10.2.jre11", "1.0.alpha.1") }
func FuzzComparePEP440(f *testing.F) { fuzzLaws(f, PEP440, "pypi") }
func FuzzCompareGem(f *testing.F)    { fuzzLaws(f, Gem, "rubygems", "1.a.0.b", "1.0.0.0") }
func FuzzCompareComposer(f *testing.F) {
	fuzzLaws(f, Composer, "packagist", "1.x-dev", "dev-main", "1.0@dev")
}
func FuzzCompareCRAN(f *testing.F)    { fuzzLaws(f, CRAN, "cran") }
func FuzzCompareHackage(f *testing.F) { fuzzLaws(f, Hackage, "hackage", "1.2-tag") }
