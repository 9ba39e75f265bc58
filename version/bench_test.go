package version

import "testing"

// samples are two ordinary versions of each scheme with a long common part.
var samples = []struct {
	scheme Scheme
	a, b   string
}{
	{Deb, "1:2.36-9+deb12u3", "1:2.36-9+deb12u10"},
	{RPM, "0:3.10.0-1160.el7_9", "0:3.10.0-1160.119.1.el7"},
	{APK, "1.36.1_git20230101-r2", "1.36.1_git20230101-r15"},
	{Pacman, "1:2.42.0-1", "1:2.42.0-2"},
	{NPM, "4.17.20-beta.2", "4.17.21"},
	{Go, "v0.0.0-20210921155107-089bfa567519", "v0.17.0"},
	{NuGet, "13.0.1-Beta1", "13.0.1"},
	{Maven, "2.14.1-rc1", "2.15.0.Final"},
	{PEP440, "3.2.0rc1.post1", "3.2.5"},
	{Gem, "7.0.4.rc1", "7.0.4.1"},
	{Composer, "v5.4.0-BETA1", "5.4.20"},
	{CRAN, "0.3.2.0", "0.3.3-1"},
}

func BenchmarkParse(b *testing.B) {
	for _, s := range samples {
		b.Run(string(s.scheme), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(s.scheme, s.a); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCompare(b *testing.B) {
	for _, s := range samples {
		v, err := Parse(s.scheme, s.a)
		if err != nil {
			b.Fatal(err)
		}
		w, err := Parse(s.scheme, s.b)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(string(s.scheme), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if v.Compare(w) >= 0 {
					b.Fatal("wrong order")
				}
			}
		})
	}
}

// TestAllocations keeps the hot path honest: one allocation, the key, to parse
// a version that needs no rewriting, and none to compare.
func TestAllocations(t *testing.T) {
	for _, s := range samples {
		switch s.scheme {
		case Maven, NuGet, PEP440, Composer: // may lower the case first
			continue
		}
		if n := testing.AllocsPerRun(100, func() { _, _ = Parse(s.scheme, s.a) }); n > 1 {
			t.Errorf("%s: %v allocations to parse %s", s.scheme, n, s.a)
		}
	}
}
