package store

import (
	"fmt"
	"slices"
	"testing"

	"plimsoll"
	"plimsoll/api"
)

// addSoftware puts a package into image n as a scan would.
func addSoftware(t testing.TB, s *Store, n int, kind, name, version, path string) {
	t.Helper()
	key := fmt.Sprint(kind, name, version)
	execTest(t, s, `INSERT INTO software (key, type, name, name_lower, version, purl, first_seen, licenses)
		VALUES (?, ?, ?, lower(?), ?, ?, 1, '["MIT"]') ON CONFLICT (key) DO NOTHING`, key, kind, name, name, version, "pkg:"+kind+"/"+name+"@"+version)
	execTest(t, s, `INSERT INTO instance (image_id, software_id, path, path_class, layer, extra) SELECT i.id, s.id, ?, '', 1, '{"locations":["x"],"remark":"odd"}' FROM image i, software s WHERE i.digest = ? AND s.key = ?`,
		path, digestOf("image", n), key)
	execTest(t, s, "INSERT INTO software_path (software_id, path) SELECT id, ? FROM software WHERE key = ? ON CONFLICT DO NOTHING", path, key)
	execTest(t, s, "UPDATE software SET images = (SELECT count(DISTINCT n.image_id) FROM instance n WHERE n.software_id = software.id)")
	if err := s.write(t.Context(), "note contents", func(t *tx) error {
		images, err := t.ids("SELECT id FROM image WHERE digest = ?", string(digestOf("image", n)))
		if err != nil {
			return err
		}
		software, err := t.ids("SELECT software_id FROM instance WHERE image_id = ? ORDER BY software_id", images[0])
		if err != nil {
			return err
		}
		var list []portion
		for _, id := range slices.Compact(software) {
			list = append(list, portion{id, 1})
		}
		return t.storeContents(images[0], list)
	}); err != nil {
		t.Fatal(err)
	}
}

func TestSoftwareByVersion(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		fleet(t, s)
		const log4j = "org.apache.logging.log4j:log4j-core"
		for i, v := range []string{"2.9.1", "2.14.1", "2.17.0", "2.17.1", "2.17.0-rc1", "3.0.0-beta1", ""} {
			addSoftware(t, s, 2*(i+1), "maven", log4j, v, "app/log4j.jar")
		}
		addSoftware(t, s, 2, "deb", "openssl", "1:1.1.1-2", "var/lib/dpkg/status")
		addSoftware(t, s, 3, "apk", "openssl", "1.1.1_alpha-r3", "lib/apk/db/installed")
		addSoftware(t, s, 5, "deb", "openssl", "3.0.2-0ubuntu1", "var/lib/dpkg/status")
		addSoftware(t, s, 6, "maven", "org.example:not-log4j-core", "1", "x.jar")
		tests := []struct {
			filter api.SoftwareFilter
			want   []string
			code   plimsoll.Code
		}{
			{api.SoftwareFilter{Name: "log4j-core", Below: "2.17"}, []string{"2.14.1", "2.17.0-rc1", "2.9.1"}, ""},
			{api.SoftwareFilter{Name: log4j, Below: "2.17.1", AtLeast: "2.10"}, []string{"2.14.1", "2.17.0", "2.17.0-rc1"}, ""},
			{api.SoftwareFilter{Name: "log4j-core", AtLeast: "2.17.1"}, []string{"2.17.1", "3.0.0-beta1"}, ""},
			{api.SoftwareFilter{Name: "openssl", Below: "3.0.0"}, []string{"1.1.1_alpha-r3"}, ""},
			{api.SoftwareFilter{Name: "openssl", Type: "deb", Below: "3.0.0"}, []string{}, ""},
			{api.SoftwareFilter{Name: "openssl", Type: "deb", Below: "1:1.1.1-3"}, []string{"1:1.1.1-2", "3.0.2-0ubuntu1"}, ""},
			{api.SoftwareFilter{Name: "OPENSSL", Type: "deb"}, []string{"1:1.1.1-2", "3.0.2-0ubuntu1"}, ""},
			{api.SoftwareFilter{Below: "1"}, nil, plimsoll.CodeInvalid},
			{api.SoftwareFilter{Query: "log4j", Below: "1"}, nil, plimsoll.CodeInvalid},
			{api.SoftwareFilter{Name: "openssl", Type: "deb", Below: "not a version"}, nil, plimsoll.CodeInvalid},
			{api.SoftwareFilter{Name: "nothing", Below: "1"}, []string{}, ""},
			{api.SoftwareFilter{Query: "LOG4J", Path: "app/*.jar", Version: "2.9.1"}, []string{"2.9.1"}, ""},
			{api.SoftwareFilter{Path: "var/lib/dpk?/*"}, []string{"1:1.1.1-2", "3.0.2-0ubuntu1"}, ""},
			{api.SoftwareFilter{Path: "APP/*"}, []string{}, ""},
			{api.SoftwareFilter{PURL: "pkg:apk/open"}, []string{"1.1.1_alpha-r3"}, ""},
			{api.SoftwareFilter{License: "mit", Type: "apk"}, []string{"1.1.1_alpha-r3"}, ""},
			{api.SoftwareFilter{Covered: "yes"}, []string{}, ""},
			{api.SoftwareFilter{Affected: true}, []string{}, ""},
			{api.SoftwareFilter{Covered: "perhaps"}, nil, plimsoll.CodeInvalid},
		}
		for _, test := range tests {
			page, err := s.Software(t.Context(), plimsoll.Everything, test.filter, api.List{})
			if plimsoll.CodeOf(err) != test.code {
				t.Errorf("%+v: %v", test.filter, err)
				continue
			}
			got := []string{}
			for _, p := range page.Items {
				got = append(got, p.Version)
			}
			slices.Sort(got)
			if test.code == "" && (!slices.Equal(got, test.want) || page.Total != int64(len(got))) {
				t.Errorf("%+v: %q (%d), want %q", test.filter, got, page.Total, test.want)
			}
		}
	})
}

// "Which hosts and running containers have log4j-core below 2.17", within what
// the asker may see (SYS-08).
func TestSYS08Places(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		fleet(t, s)
		for _, n := range []int{4, 6, 15, 20, 30} {
			addSoftware(t, s, n, "maven", "org.apache.logging.log4j:log4j-core", "2.14.1", fmt.Sprintf("app%d.jar", n))
		}
		addSoftware(t, s, 20, "maven", "org.apache.logging.log4j:log4j-core", "2.17.1", "other.jar")
		ask := func(scope plimsoll.Scope, f api.SoftwareFilter) (out []string) {
			t.Helper()
			f.Name, f.Below = "log4j-core", "2.17"
			l := api.List{Limit: 2}
			for {
				page, err := s.Places(t.Context(), scope, f, l)
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range page.Items {
					out = append(out, fmt.Sprintf("%s %s %d", p.Host, p.Path, len(p.Containers)))
				}
				if l.Cursor = page.Next; page.Next == "" {
					slices.Sort(out)
					return out
				}
			}
		}
		everything := []string{"alpha app20.jar 1", "alpha app30.jar 0", "alpha app4.jar 1", "alpha app6.jar 0",
			"beta app15.jar 0", "beta app30.jar 0", "beta app6.jar 0", "gamma app15.jar 0", "gamma app20.jar 1", "gamma app30.jar 0"}
		if got := ask(plimsoll.Everything, api.SoftwareFilter{}); !slices.Equal(got, everything) {
			t.Errorf("everybody: %q", got)
		}
		dev := plimsoll.Scope{Labels: []string{"env=dev"}}
		if got := ask(dev, api.SoftwareFilter{}); !slices.Equal(got, []string{"gamma app15.jar 0", "gamma app20.jar 1", "gamma app30.jar 0"}) {
			t.Errorf("dev: %q", got)
		}
		if got := ask(plimsoll.Everything, api.SoftwareFilter{Label: "team=x"}); !slices.Equal(got, []string{"beta app15.jar 0", "beta app30.jar 0", "beta app6.jar 0"}) {
			t.Errorf("team x: %q", got)
		}
		if got := ask(dev, api.SoftwareFilter{Label: "team=x"}); len(got) != 0 {
			t.Errorf("team x for dev: %q", got)
		}
		page, err := s.Software(t.Context(), dev, api.SoftwareFilter{}, api.List{})
		if err != nil || len(page.Items) != 2 || page.Items[0].Images+page.Items[1].Images != 4 {
			t.Errorf("software in sight: %+v, %v", page.Items, err)
		}
		if _, err := s.Software(t.Context(), dev, api.SoftwareFilter{}, api.List{Sort: "images"}); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
			t.Errorf("sorted by images out of sight: %v", err)
		}
		image := imageNumber(t, s, plimsoll.Everything, 20)
		installed, err := s.Installed(t.Context(), dev, image.ID, api.SoftwareFilter{}, api.List{})
		if err != nil || len(installed.Items) != 2 || installed.Total != 2 || installed.Items[0].Layer != digestOf("layer", 20) ||
			installed.Items[0].Remark != "odd" || len(installed.Items[0].Locations) != 1 || installed.Items[0].Licenses[0] != "MIT" {
			t.Errorf("installed: %+v, %v", installed.Items, err)
		}
		if _, err := s.Installed(t.Context(), dev, imageNumber(t, s, plimsoll.Everything, 4).ID, api.SoftwareFilter{}, api.List{}); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("packages of an image out of sight: %v", err)
		}
	})
}
