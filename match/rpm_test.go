package match

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
)

func epochless(a plimsoll.Affected) plimsoll.Affected { a.Epochless = true; return a }

func TestRPM(t *testing.T) {
	const (
		alma    = "AlmaLinux:8"
		redhat  = "Red Hat:enterprise_linux:8::appstream"
		base    = "Red Hat:enterprise_linux:8::baseos"
		openE   = "openEuler:22.03-LTS-SP3"
		modular = "1:10.24.0-1.module_el8.3.0+2047+b07ac28e"
	)
	tests := []struct {
		name     string
		adv      *memory
		inv      plimsoll.Inventory
		want     []string
		problems []string
	}{
		{
			name: "RPM-04 the errata of a family that lists binaries are asked by binary name",
			adv:  generation(about("ALSA-1", alma, "openssl-libs", "introduced 0", "fixed 1:1.1.1k-7.el8"), about("ALSA-2", alma, "openssl", "introduced 0", "fixed 1:1.1.1k-9.el8")),
			inv:  install("almalinux", "8.6", built(rpm("openssl-libs", "1:1.1.1k-6.el8"), "openssl", "1:1.1.1k-6.el8")),
			want: []string{"openssl-libs 1:1.1.1k-6.el8: ALSA-1 (< 1:1.1.1k-7.el8) -> 1:1.1.1k-7.el8"},
		},
		{
			name: "RPM-04 where records name sources, both names are asked, one finding",
			adv:  generation(about("OESA-1", openE, "openssl", "introduced 0", "fixed 1.1.1m-30.oe2203sp3"), about("OESA-2", openE, "openssl-libs", "introduced 0", "fixed 1.1.1m-31.oe2203sp3")),
			inv:  install("openeuler", "22.03 (LTS-SP3)", built(rpm("openssl-libs", "1:1.1.1m-29.oe2203sp3"), "openssl", "1:1.1.1m-29.oe2203sp3")),
			want: []string{"openssl-libs 1:1.1.1m-29.oe2203sp3: OESA-1 (< 1.1.1m-30.oe2203sp3) -> 1.1.1m-30.oe2203sp3",
				"openssl-libs 1:1.1.1m-29.oe2203sp3: OESA-2 (< 1.1.1m-31.oe2203sp3) -> 1.1.1m-31.oe2203sp3"},
		},
		{
			name: "RPM-10 a feed without epochs is compared without",
			adv:  generation(about("OESA-1", openE, "a", "introduced 0", "fixed 5.1-7"), about("OESA-2", openE, "b", "introduced 0", "fixed 5.1-6")),
			inv:  install("openeuler", "22.03 (LTS-SP3)", rpm("a", "1:5.1-6"), rpm("b", "1:5.1-6")),
			want: []string{"a 1:5.1-6: OESA-1 (< 5.1-7) -> 5.1-7"},
		},
		{
			name: "RPM-10 a feed with epochs is compared with them, none is 0",
			adv:  generation(about("ALSA-1", alma, "a", "introduced 0", "fixed 1:4.0-1.el8"), about("ALSA-2", alma, "b", "introduced 0", "fixed 0:5.1-7.el8"), about("ALSA-3", alma, "c", "introduced 0", "fixed 5.1-7.el8")),
			inv:  install("almalinux", "8.6", rpm("a", "(none):5.1-6.el8"), rpm("b", "5.1-6.el8"), rpm("c", "1:5.1-6.el8")),
			want: []string{"a (none):5.1-6.el8: ALSA-1 (< 1:4.0-1.el8) -> 1:4.0-1.el8", "b 5.1-6.el8: ALSA-2 (< 0:5.1-7.el8) -> 0:5.1-7.el8"},
		},
		{
			name: "RPM-10 a record that writes no epochs is compared without, its neighbour with",
			adv: generation(epochless(about("EulerOS-SA-1", "EulerOS:2.0-SP9", "a", "introduced 0", "fixed 5.1-7")), about("EulerOS-SA-2", "EulerOS:2.0-SP9", "a", "introduced 0", "fixed 5.1-8"),
				epochless(about("EulerOS-SA-3", "EulerOS:2.0-SP9", "a", "introduced 0", "fixed 5.1-6"))),
			inv:  install("euleros", "2.0 (SP9x86_64)", rpm("a", "1:5.1-6")),
			want: []string{"a 1:5.1-6: EulerOS-SA-1 (< 5.1-7) -> 5.1-7"},
		},
		{
			name: "RPM-04 errata list binary packages: their neighbours from the same source are not judged",
			adv:  generation(about("EulerOS-SA-1", "EulerOS:2.0-SP9", "openssl", "introduced 0", "fixed 1.1.1-9")),
			inv:  install("euleros", "2.0 (SP9x86_64)", built(rpm("openssl-doc", "1.1.1-8"), "openssl", "1.1.1-8"), built(rpm("openssl", "1.1.1-8"), "openssl", "1.1.1-8")),
			want: []string{"openssl 1.1.1-8: EulerOS-SA-1 (< 1.1.1-9) -> 1.1.1-9"},
		},
		{
			name:     "OS-06 advisories for another release are none for this one",
			adv:      generation(about("EulerOS-SA-1", "EulerOS:2.0-SP8", "a", "introduced 0", "fixed 2-1")),
			inv:      install("euleros", "2.0 (SP9)", rpm("a", "1-1")),
			problems: []string{"no-advisory-source"},
		},
		{
			name: "ADV-13 an architecture is the same in every spelling",
			adv:  generation(withArches(about("OESA-1", openE, "a", "introduced 0", "fixed 2-1"), "amd64", "arm64"), withArches(about("OESA-2", openE, "a", "introduced 0", "fixed 2-1"), "arm64")),
			inv:  install("openeuler", "22.03 (LTS-SP3)", withArch(rpm("a", "1-1"), "x86_64")),
			want: []string{"a 1-1: OESA-1 (< 2-1) -> 2-1"},
		},
		{
			name: "RPM-05 only the same module and stream",
			adv: generation(
				withModules(about("RHSA-1", redhat, "nodejs", "introduced 0", "fixed 1:12.22.0-1.module+el8.4.0+1+a"), "nodejs:12"),
				withModules(about("RHSA-2", redhat, "nodejs", "introduced 0", "fixed 1:10.24.1-1.module+el8.4.0+1+a"), "nodejs:10"),
				about("RHSA-3", redhat, "nodejs", "introduced 0", "fixed 1:18.0.0-1.el8")),
			inv:  install("rhel", "8.4", withModule(rpm("nodejs", "1:10.24.0-1.module+el8.3.0+2047+b07ac28e"), "nodejs:10:8030020210226:30b713e6")),
			want: []string{"nodejs 1:10.24.0-1.module+el8.3.0+2047+b07ac28e: RHSA-2 (< 1:10.24.1-1.module+el8.4.0+1+a) -> 1:10.24.1-1.module+el8.4.0+1+a"},
		},
		{
			name: "RPM-05 an ordinary package is not judged by a module's advisory",
			adv:  generation(withModules(about("RHSA-1", redhat, "perl", "introduced 0", "fixed 4:5.30.1-1.module+el8.4.0+1+a"), "perl:5.30"), about("ALSA-2", redhat, "perl", "introduced 0", "fixed 4:5.26.3-420.module_el8.1.0")),
			inv:  install("rhel", "8.4", rpm("perl", "4:5.26.3-416.el8")),
		},
		{
			name: "RPM-05 a feed that names no stream: the version tells",
			adv: generation(about("ALSA-1", alma, "nodejs", "introduced 0", "fixed 1:12.22.0-1.module_el8.4.0+1+a"),
				about("ALSA-2", alma, "nodejs", "introduced 0", "fixed 1:10.24.1-1.module_el8.4.0+1+a")),
			inv:  install("almalinux", "8.4", withModule(rpm("nodejs", modular), "nodejs:10:8030020210226:30b713e6")),
			want: []string{"nodejs " + modular + ": ALSA-2 (< 1:10.24.1-1.module_el8.4.0+1+a) -> 1:10.24.1-1.module_el8.4.0+1+a"},
		},
		{
			name:     "RPM-05 neither side names its stream: counted, not guessed",
			adv:      generation(about("ALSA-1", alma, "nodejs", "introduced 0", "fixed 1:12.22.0-1.module_el8.4.0+1+a")),
			inv:      install("almalinux", "8.4", rpm("nodejs", modular)),
			problems: []string{"stream-unknown"},
		},
		{
			name: "RPM-06 a fix for the installed minor stream decides",
			adv: generation(withFlaw(about("RHSA-1", base, "a", "introduced 0", "fixed 1-9.el8_6"), "CVE-2024-1"),
				withFlaw(about("RHSA-2", "Red Hat:rhel_eus:8.4::baseos", "a", "introduced 0", "fixed 1-5.el8_4.2"), "CVE-2024-1"),
				withFlaw(about("RHSA-3", "Red Hat:rhel_eus:8.2::baseos", "a", "introduced 0"), "CVE-2024-2")),
			inv: install("rhel", "8.4", rpm("a", "1-5.el8_4.3"), rpm("a", "1-5.el8_4.1"), rpm("a", "1-5.el8_2")),
			want: []string{"a 1-5.el8_2: CVE-2024-1 (< 1-9.el8_6) -> 1-9.el8_6",
				"a 1-5.el8_4.1: CVE-2024-1 (< 1-5.el8_4.2) -> 1-5.el8_4.2"},
		},
		{
			name: "RPM-08 flavours have their own fixes",
			adv:  generation(about("ELSA-1", alma, "a", "introduced 0", "fixed 1-9.el8_fips"), about("ELSA-2", alma, "a", "introduced 0", "fixed 1-8.el8"), about("ELSA-3", alma, "a", "introduced 0", "fixed 1-7.ksplice1.el8")),
			inv:  install("almalinux", "8.4", rpm("a", "1-5.el8"), rpm("a", "1-6.el8_fips")),
			want: []string{"a 1-5.el8: ELSA-2 (< 1-8.el8) -> 1-8.el8", "a 1-6.el8_fips: ELSA-1 (< 1-9.el8_fips) -> 1-9.el8_fips"},
		},
		{
			name: "RPM-08 the vendor's states are kept",
			adv: generation(withState(about("CVE-2024-1", base, "a", "introduced 0"), plimsoll.FixInvestigating),
				withState(about("CVE-2024-2", base, "a", "introduced 0"), plimsoll.FixRefused)),
			inv:  install("rhel", "8.4", rpm("a", "1-5.el8")),
			want: []string{"a 1-5.el8: CVE-2024-1 (>= 0) under-investigation", "a 1-5.el8: CVE-2024-2 (>= 0) will-not-fix"},
		},
		{
			name: "RPM-04 RPM-08 among records of binary packages, those that name a source say so",
			adv: generation(
				withState(about("REDHAT-CVE-2024-1", "Red Hat:enterprise_linux:8", "src:openssl", "introduced 0"), plimsoll.FixRefused),
				about("REDHAT-CVE-2024-2", base, "openssl", "introduced 0", "fixed 1:1.1.1k-9.el8"),
				about("REDHAT-CVE-2024-3", "Red Hat:enterprise_linux:8", "src:openssl-libs", "introduced 0"),
				about("REDHAT-CVE-2024-4", "Red Hat:enterprise_linux:8", "src:bash", "introduced 0")),
			inv: install("rhel", "8.4", built(rpm("openssl-libs", "1:1.1.1k-6.el8"), "openssl", "1:1.1.1k-6.el8"), built(rpm("openssl", "1:1.1.1k-6.el8"), "openssl", "1:1.1.1k-6.el8"), rpm("bash", "4.4-1.el8")),
			want: []string{"bash 4.4-1.el8: CVE-2024-4 (>= 0) not-fixed",
				"openssl 1:1.1.1k-6.el8: CVE-2024-1 (>= 0) will-not-fix", "openssl 1:1.1.1k-6.el8: CVE-2024-2 (< 1:1.1.1k-9.el8) -> 1:1.1.1k-9.el8",
				"openssl-libs 1:1.1.1k-6.el8: CVE-2024-1 (>= 0) will-not-fix"},
		},
		{
			name: "DEB-11 kernel-headers hold no kernel",
			adv:  generation(about("ALSA-1", alma, "kernel-headers", "introduced 0", "fixed 4.18.0-500.el8"), about("ALSA-1", alma, "kernel-core", "introduced 0", "fixed 4.18.0-500.el8")),
			inv:  install("almalinux", "8.4", rpm("kernel-headers", "4.18.0-400.el8"), rpm("kernel-core", "4.18.0-400.el8")),
			want: []string{"kernel-core 4.18.0-400.el8: ALSA-1 (< 4.18.0-500.el8) -> 4.18.0-500.el8",
				"kernel-headers 4.18.0-400.el8: ALSA-1 (< 4.18.0-500.el8) -> 4.18.0-500.el8 component-not-present"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := evaluate(t, tt.adv, tt.inv, Options{})
			if diff := cmp.Diff(tt.want, brief(e.Findings)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.problems, codes(e.Problems)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// A package of an older minor release and a fix for a later one than the
// system's: shown, and marked (RPM-06, want 16).
func TestRPM06MinorStreamUnknownIsMarked(t *testing.T) {
	adv := generation(about("RHSA-1", "Red Hat:enterprise_linux:8::baseos", "a", "introduced 0", "fixed 1-9.el8_6"))
	for release, want := range map[string]string{
		"8.4":  "minor stream unknown: installed for el8_4, fixed for el8_6",
		"8.10": "", // long past both: this is no extended minor release
		"8":    "",
	} {
		e := evaluate(t, adv, install("rhel", release, rpm("a", "1-5.el8_4")), Options{})
		if len(e.Findings) != 1 || e.Findings[0].Reasons[0].Note != want {
			t.Errorf("release %s: got %+v, want the note %q", release, e.Findings, want)
		}
	}
}

// The repositories that an image was built from tell which minor stream it is of:
// an extended one is asked where it was used, and its fixes are no riddle where it
// was not.
func TestRPM07RepositoriesTellTheStream(t *testing.T) {
	const eus = "Red Hat:rhel_eus:8.4::baseos"
	adv := generation(about("RHSA-1", "Red Hat:enterprise_linux:8::baseos", "a", "introduced 0", "fixed 1-9.el8_6"),
		about("RHSA-2", eus, "a", "introduced 0", "fixed 1-6.el8_4"))
	for repository, want := range map[string][]string{
		"":                                  {"RHSA-1", "RHSA-2"},
		"rhel-8-for-x86_64-baseos-rpms":     {"RHSA-1"},
		"rhel-8-for-x86_64-baseos-eus-rpms": {"RHSA-1", "RHSA-2"},
		"rhel-8-for-x86_64-baseos-aus-rpms": {"RHSA-1"},
	} {
		inv := install("rhel", "8.4", rpm("a", "1-5.el8_4"))
		note := "minor stream unknown: installed for el8_4, fixed for el8_6"
		if repository != "" {
			inv.Systems[0].Repositories = []string{repository}
		}
		if repository == "rhel-8-for-x86_64-baseos-rpms" {
			note = ""
		}
		e := evaluate(t, adv, inv, Options{})
		var got []string
		for _, f := range e.Findings {
			for _, r := range f.Reasons {
				got = append(got, r.Advisory)
				if r.Advisory == "RHSA-1" && r.Note != note {
					t.Errorf("%q: note %q", repository, r.Note)
				}
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", repository, diff)
		}
	}
}
