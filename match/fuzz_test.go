package match

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"

	"plimsoll"
)

// FuzzEvaluate feeds hostile packages and records: nothing may panic, the order
// of the input must not change the answer (ADV-14), and a plan must be made.
func FuzzEvaluate(f *testing.F) {
	f.Add("deb", "openssl", "3.0.8-1", "introduced 0,fixed 3.0.9-1", "1.0,2.0", "", "8.4")
	f.Add("golang", "stdlib", "go1.21rc1 X:foo", "fixed 1.2,introduced 0,limit 9", "", "", "")
	f.Add("golang", "a/b", "v0.0.0-20200101000000-0123456789ab", "introduced 0,fixed 0.17.0", "", "", "")
	f.Add("rpm", "a", "1:1-5.el8_4", "introduced 0,fixed 1-9.el8_6", "", "nodejs:10:1:2", "8.4")
	f.Add("rpm", "kernel-headers", "(none):1-1.module_el8.1", "introduced 0,fixed 0:2-1.module+el8", "", "::", "8")
	f.Add("pypi", "A_b", "1.0", "introduced 1,last_affected 2,introduced 1,fixed 0", "1", "", "")
	f.Fuzz(func(t *testing.T, typ, name, v, events, versions, module, release string) {
		var r plimsoll.Range
		r.Type = plimsoll.RangeEcosystem
		for _, e := range strings.Split(events, ",") {
			kind, text, _ := strings.Cut(e, " ")
			switch kind {
			case "introduced":
				r.Events = append(r.Events, plimsoll.Event{Introduced: text})
			case "fixed":
				r.Events = append(r.Events, plimsoll.Event{Fixed: text})
			case "last_affected":
				r.Events = append(r.Events, plimsoll.Event{LastAffected: text})
			default:
				r.Events = append(r.Events, plimsoll.Event{Limit: text})
			}
		}
		semver := r
		semver.Type = plimsoll.RangeSemVer
		var records []plimsoll.Affected
		for _, ecosystem := range []string{"Debian:12", "Red Hat:enterprise_linux:8::baseos", "Alpine:v3.19", "Go", "PyPI", "npm", "Maven", "RubyGems"} {
			for _, n := range []string{name, plimsoll.NormalizeName(ecosystem, name)} {
				a := plimsoll.Affected{AdvisoryID: "X-CVE-1", Ecosystem: ecosystem, Package: n, Ranges: []plimsoll.Range{r, semver}, Versions: strings.Split(versions, ",")}
				if module != "" {
					a.Modules = []string{module}
				}
				b := a
				b.AdvisoryID, b.Ranges = "Y-1", []plimsoll.Range{semver}
				b.Vulnerability = "CVE-1"
				records = append(records, a, b)
			}
		}
		adv := generation(records...)
		id := map[plimsoll.PackageType]string{plimsoll.TypeRPM: "rhel", plimsoll.TypeAPK: "alpine"}[plimsoll.PackageType(typ)]
		if id == "" {
			id, release = "debian", "12"
		}
		p := plimsoll.Package{Type: plimsoll.PackageType(typ), Name: name, Version: v, Module: module, Path: "x/" + name}
		q := built(p, name, v)
		q.Path, q.Owner = "node_modules/"+name, name
		inv := install(id, release, p, q)
		o := Options{Comprehensive: true}
		first, err := Evaluate(context.Background(), adv, inv, o)
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(inv.Packages)
		for k := range adv.affected {
			slices.Reverse(adv.affected[k])
		}
		second, err := Evaluate(context.Background(), adv, inv, o)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(brief(first.Findings), brief(second.Findings)) {
			t.Errorf("the order of the input matters:\n%v\n%v", brief(first.Findings), brief(second.Findings))
		}
		Plan(plimsoll.Image{}, inv, first.Findings)
	})
}
