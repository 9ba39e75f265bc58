package match

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
)

func TestGo(t *testing.T) {
	const mod = "example.com/m"
	release := about("GO-2022-1", "Go", mod, "introduced 0", "fixed 0.17.0")
	commit := about("GO-2021-1", "Go", mod, "introduced 0", "fixed 0.0.0-20210515000000-0123456789ab")
	tests := []struct {
		name     string
		records  []plimsoll.Affected
		pkg      plimsoll.Package
		want     []string
		problems []string
	}{
		{name: "GO-02 a main module without version is not compared", records: []plimsoll.Affected{release},
			pkg: lang("golang", mod, "(devel)"), problems: []string{"bad-version"}},
		{name: "GO-02 a replaced module without version is not compared", records: []plimsoll.Affected{release},
			pkg: lang("golang", mod, ""), problems: []string{"bad-version"}},
		{name: "GO-02 want 11: a commit with local changes is not compared with releases", records: []plimsoll.Affected{release},
			pkg: lang("golang", mod, "v0.0.0-20200101000000-0123456789ab+dirty")},
		{name: "want 11: a commit without release and younger than the flaw is not compared with releases", records: []plimsoll.Affected{release},
			pkg: lang("golang", mod, "v0.0.0-20230101000000-0123456789ab")},
		{name: "want 11: a commit without release and older than the flaw", records: []plimsoll.Affected{release},
			pkg:  lang("golang", mod, "v0.0.0-20200101000000-0123456789ab"),
			want: []string{"example.com/m v0.0.0-20200101000000-0123456789ab: GO-2022-1 (< 0.17.0) -> 0.17.0"}},
		{name: "GO-04 commits are compared with commits", records: []plimsoll.Affected{commit},
			pkg:  lang("golang", mod, "v0.0.0-20210101000000-0123456789ab"),
			want: []string{"example.com/m v0.0.0-20210101000000-0123456789ab: GO-2021-1 (< 0.0.0-20210515000000-0123456789ab) -> 0.0.0-20210515000000-0123456789ab"}},
		{name: "GO-04 a commit after the fix", records: []plimsoll.Affected{commit},
			pkg: lang("golang", mod, "v0.0.0-20220101000000-0123456789ab")},
		{name: "GO-04 a commit sorts before the release it leads to", records: []plimsoll.Affected{release},
			pkg:  lang("golang", mod, "v0.17.0-0.20240101000000-0123456789ab"),
			want: []string{"example.com/m v0.17.0-0.20240101000000-0123456789ab: GO-2022-1 (< 0.17.0) -> 0.17.0"}},
		{name: "GO-04 a commit sorts after the release before it", records: []plimsoll.Affected{release},
			pkg: lang("golang", mod, "v0.17.1-0.20200101000000-0123456789ab")},
		{name: "GO-04 +incompatible does not count", records: []plimsoll.Affected{about("GO-1", "Go", mod, "introduced 0", "fixed 20.10.11")},
			pkg:  lang("golang", mod, "v20.10.10+incompatible"),
			want: []string{"example.com/m v20.10.10+incompatible: GO-1 (< 20.10.11) -> 20.10.11"}},
		{name: "GO-03 the standard library by its toolchain", records: []plimsoll.Affected{about("GO-1", "Go", "stdlib", "introduced 0", "fixed 1.20.9", "introduced 1.21.0-0", "fixed 1.21.2")},
			pkg: lang("golang", "stdlib", "go1.21rc2"), want: []string{"stdlib go1.21rc2: GO-1 (>= 1.21.0-0, < 1.21.2) -> 1.21.2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i := range tt.records {
				tt.records[i].Ranges[0].Type = plimsoll.RangeSemVer
			}
			adv := generation(tt.records...)
			for id, v := range adv.flaws {
				v.Published = time.Date(2022, 6, 1, 0, 0, 0, 0, time.UTC)
				adv.flaws[id] = v
			}
			e := evaluate(t, adv, app(tt.pkg), Options{})
			if diff := cmp.Diff(tt.want, brief(e.Findings)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.problems, codes(e.Problems)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}
