package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// execTest changes rows behind the store's back, where other parts of it would.
func execTest(t testing.TB, s *Store, query string, args ...any) {
	t.Helper()
	if err := s.write(t.Context(), "prepare the test", func(t *tx) error {
		_, err := t.exec(query, args...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// fleet makes three hosts, two of them with the label env=prod, that share
// images: image n is on host a when 2 divides it, on b when 3 does, on c when 5 does.
func fleet(t testing.TB, s *Store) (a, b, c int64) {
	t.Helper()
	a, b, c = joinHost(t, s, "alpha", "env=prod"), joinHost(t, s, "beta", "env=prod", "team=x"), joinHost(t, s, "gamma", "env=dev")
	for host, divisor := range map[int64]int{a: 2, b: 3, c: 5} {
		var images []api.HostImage
		for n := 1; n <= 30; n++ {
			if n%divisor == 0 {
				i := hostImage(n, fmt.Sprintf("registry.test/app%d:%d", n%7, n), fmt.Sprintf("on-%d:%d", divisor, n))
				i = withContainers(i, map[string]bool{fmt.Sprintf("run-%d-%d", divisor, n): n%4 == 0})
				images = append(images, i)
			}
		}
		y := fullSync(1, images...)
		y.Host.Name = map[int]string{2: "alpha", 3: "beta", 5: "gamma"}[divisor]
		y.Host.Addresses = []string{fmt.Sprintf("10.0.0.%d", divisor), fmt.Sprintf("192.168.7.%d/24", divisor)}
		mustSync(t, s, host, y)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for n := 1; n <= 30; n++ { // few different values: ties must not matter
		execTest(t, s, `UPDATE image SET risk_order = ?, created = ?, first_seen = ?, last_seen = ?, scanned = ?, packages = ?, fixable = ?, kev = ? WHERE digest = ?`,
			r.IntN(4), r.IntN(4), r.IntN(4)+1, r.IntN(4)+1, r.IntN(4), r.IntN(4), r.IntN(4), r.IntN(2), digestOf("image", n))
	}
	return a, b, c
}

func numbersOf(images []api.Image) []int {
	numbers := []int{}
	for _, i := range images {
		for n := range 100 {
			if i.Digest == digestOf("image", n) {
				numbers = append(numbers, n)
			}
		}
	}
	return numbers
}

// Every row comes once, in the order that was asked for, in either direction and
// under any scope; the sort keys are those that the API offers.
func TestImagesPageByPage(t *testing.T) {
	var names []string
	for _, k := range imageKeys {
		names = append(names, k.name)
	}
	if !slices.Equal(names, api.ImageSorts) {
		t.Fatalf("sort keys %v, want %v", names, api.ImageSorts)
	}
	value := func(i api.Image, sort string) any {
		switch sort {
		case "name":
			if len(i.Names) == 0 {
				return ""
			}
			return i.Names[0]
		case "size":
			return i.Size
		case "hosts":
			return i.Hosts
		case "containers":
			return i.Containers
		case "packages":
			return i.Packages
		case "fixable":
			return i.Fixable
		case "kev":
			return i.KEV
		}
		return nil
	}
	contract(t, func(t *testing.T, s *Store) {
		fleet(t, s)
		for _, scope := range []plimsoll.Scope{plimsoll.Everything, {Labels: []string{"env=prod"}}, {Labels: []string{"env=dev", "team=x"}}} {
			all, err := s.Images(t.Context(), scope, api.ImageFilter{}, api.List{Limit: 100})
			if err != nil {
				t.Fatal(err)
			}
			for _, sort := range api.ImageSorts {
				for _, way := range []api.List{{Sort: sort}, {Sort: sort, Asc: true}, {Sort: "-" + sort}} {
					way.Limit = 4
					var got []api.Image
					for {
						page, err := s.Images(t.Context(), scope, api.ImageFilter{}, way)
						if err != nil {
							t.Fatal(err)
						}
						got = append(got, page.Items...)
						if page.Total != int64(len(all.Items)) {
							t.Errorf("total %d, want %d", page.Total, len(all.Items))
						}
						if way.Cursor = page.Next; page.Next == "" {
							break
						}
					}
					seen := numbersOf(got)
					slices.Sort(seen)
					want := numbersOf(all.Items)
					slices.Sort(want)
					if !slices.Equal(seen, want) {
						t.Errorf("%v %+v: saw %v, want %v", scope, way, seen, want)
					}
					up := way.Asc || sort == "name" && way.Sort == "name"
					for n := 1; n < len(got); n++ {
						a, b := value(got[n-1], sort), value(got[n], sort)
						if !up {
							a, b = b, a
						}
						switch a := a.(type) {
						case int64:
							if a > b.(int64) {
								t.Errorf("%v %+v: %v before %v", scope, way, a, b)
							}
						case string:
							if a > b.(string) {
								t.Errorf("%v %+v: %v before %v", scope, way, a, b)
							}
						}
					}
				}
			}
		}
	})
}

func TestBadLists(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		fleet(t, s)
		page, err := s.Images(t.Context(), plimsoll.Everything, api.ImageFilter{}, api.List{Limit: 3})
		if err != nil || page.Next == "" {
			t.Fatal(page.Next, err)
		}
		tests := []struct {
			name   string
			filter api.ImageFilter
			list   api.List
		}{
			{"unknown sort key", api.ImageFilter{}, api.List{Sort: "digest; DROP TABLE image"}},
			{"cursor of another order", api.ImageFilter{}, api.List{Sort: "name", Cursor: page.Next}},
			{"cursor of the other direction", api.ImageFilter{}, api.List{Asc: true, Cursor: page.Next}},
			{"no cursor", api.ImageFilter{}, api.List{Cursor: "%%%"}},
			{"cursor with a wrong value", api.ImageFilter{}, api.List{Cursor: "eyJsIjoiaW1hZ2VzIiwicyI6InJpc2siLCJ2IjoieCIsImkiOjF9"}},
			{"unknown word", api.ImageFilter{InUse: "perhaps"}, api.List{}},
			{"unknown state", api.ImageFilter{States: []string{"never", "clean"}}, api.List{}},
			{"unknown severity", api.ImageFilter{MinSev: "0 OR 1=1"}, api.List{}},
			{"zero byte", api.ImageFilter{System: "a\x00"}, api.List{}},
			{"not UTF-8", api.ImageFilter{System: "\xff"}, api.List{}},
		}
		for _, test := range tests {
			if _, err := s.Images(t.Context(), plimsoll.Everything, test.filter, test.list); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
				t.Errorf("%s: %v", test.name, err)
			}
		}
		if _, err := s.Containers(t.Context(), plimsoll.Everything, ContainerFilter{}, api.List{Cursor: page.Next}); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
			t.Errorf("cursor of another list: %v", err)
		}
	})
}

// Who scans all leaves out images that the settings call too old, and nothing else.
func TestScanAllAge(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		host := joinHost(t, s, "alpha", "env=prod")
		young, old, undated := hostImage(23, "young:1"), hostImage(25, "old:1"), hostImage(1, "undated:1")
		undated.Created = time.Time{}
		mustSync(t, s, host, fullSync(1, young, old, hashed(undated)))
		selects := func(sel api.Selection, want ...int) {
			t.Helper()
			ids, err := s.SelectImages(t.Context(), plimsoll.Everything, sel)
			if err != nil {
				t.Fatal(err)
			}
			page, err := s.Images(t.Context(), plimsoll.Everything, api.ImageFilter{IDs: ids}, api.List{})
			if err != nil {
				t.Fatal(err)
			}
			got := numbersOf(page.Items)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%+v selects %v, want %v", sel, got, want)
			}
		}
		selects(api.Selection{All: true}, 1, 23, 25)
		settings := api.DefaultSettings()
		settings.MaxImageAgeDays = 1
		if err := s.SetSettings(t.Context(), settings); err != nil {
			t.Fatal(err)
		}
		selects(api.Selection{All: true}, 1, 23)
		selects(api.Selection{Hosts: []int64{host}}, 1, 23, 25)
		selects(api.Selection{Filter: &api.ImageFilter{Query: "old"}}, 25)
	})
}

func TestImageFilters(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		a, _, c := fleet(t, s)
		mark := func(n int, set string) {
			execTest(t, s, "UPDATE image SET "+set+" WHERE digest = ?", digestOf("image", n))
		}
		mark(2, "state = 'partial', code = 'limit', risk = 'safe', system = 'debian 12'")
		mark(4, "state = 'succeeded', risk = 'critical', s_critical = 2, fixable = 1, kev = 1")
		mark(6, "state = 'succeeded', risk = 'low', a_low = 1, fixable = 0, kev = 0")
		execTest(t, s, "UPDATE image SET fixable = 0, kev = 0 WHERE risk <> 'critical'")
		execTest(t, s, "INSERT INTO work (image_id, state, queued) SELECT id, 'queued', 0 FROM image WHERE digest = ?", digestOf("image", 8))
		execTest(t, s, "INSERT INTO work (image_id, state, queued) SELECT id, 'leased', 0 FROM image WHERE digest = ?", digestOf("image", 12))
		if img := imageNumber(t, s, plimsoll.Everything, 12); img.Queue != plimsoll.TaskRunning {
			t.Errorf("an image that is being read: %q", img.Queue)
		}
		execTest(t, s, "INSERT INTO image_problem (image_id, number, code) SELECT id, 0, 'end-of-life' FROM image WHERE digest = ?", digestOf("image", 9))
		addSoftware(t, s, 10, "maven", "org.apache.logging.log4j:log4j-core", "2.14.1", "app.jar")
		execTest(t, s, "INSERT INTO vulnerability (name, first_seen) VALUES ('CVE-2021-44228', 0)")
		execTest(t, s, "INSERT INTO vulnerability_alias SELECT 'GHSA-JFH8', id FROM vulnerability")
		execTest(t, s, "INSERT INTO match (software_id, vulnerability_id, class, status, severity, reasons, hash, first_seen) SELECT s.id, v.id, 'application', 'affected', 5, '[]', '', 0 FROM software s, vulnerability v")
		mustSync(t, s, a, api.Sync{Seq: 2, Host: api.HostFacts{Name: "alpha", Addresses: []string{"10.0.0.2"}}, Gone: []plimsoll.Digest{digestOf("image", 14)}})
		tests := []struct {
			filter api.ImageFilter
			want   []int
		}{
			{api.ImageFilter{Query: "APP3:3"}, []int{3}},
			{api.ImageFilter{Query: "on-5"}, []int{5, 10, 15, 20, 25, 30}},
			{api.ImageFilter{Query: string(digestOf("image", 9))[:20]}, []int{9}},
			{api.ImageFilter{Query: digestOf("image", 9).Hex()[:12]}, []int{9}},
			{api.ImageFilter{Repository: "registry.test/app4"}, []int{4, 18, 25}},
			{api.ImageFilter{Repository: "registry.test/app"}, []int{}},
			{api.ImageFilter{States: []string{"partial"}}, []int{2}},
			{api.ImageFilter{Risks: []string{"safe", "low"}}, []int{2, 6}},
			{api.ImageFilter{System: "debian 12"}, []int{2}},
			{api.ImageFilter{Code: "limit"}, []int{2}},
			{api.ImageFilter{Code: "end-of-life"}, []int{9}},
			{api.ImageFilter{MinSev: "high"}, []int{4}},
			{api.ImageFilter{MinSev: "low"}, []int{4, 6}},
			{api.ImageFilter{Fixable: true}, []int{4}},
			{api.ImageFilter{KEV: true}, []int{4}},
			{api.ImageFilter{Queue: "queued"}, []int{8}},
			{api.ImageFilter{Queue: "any"}, []int{8, 12}},
			{api.ImageFilter{Queue: "running"}, []int{12}},
			{api.ImageFilter{Host: c}, []int{5, 10, 15, 20, 25, 30}},
			{api.ImageFilter{HostName: "GAM"}, []int{5, 10, 15, 20, 25, 30}},
			{api.ImageFilter{Address: "10.0.0.5"}, []int{5, 10, 15, 20, 25, 30}},
			{api.ImageFilter{Address: "192.168.7.5"}, []int{5, 10, 15, 20, 25, 30}},
			{api.ImageFilter{Address: "192.168.7."}, []int{}},
			{api.ImageFilter{Label: "env=dev"}, []int{5, 10, 15, 20, 25, 30}},
			{api.ImageFilter{Label: "env=%"}, []int{}},
			{api.ImageFilter{Container: "of run-5-2"}, []int{20, 25}},
			{api.ImageFilter{Container: "run-5-20"}, []int{20}},
			{api.ImageFilter{InUse: "yes", Label: "env=dev"}, []int{20}},
			{api.ImageFilter{InUse: "no", Label: "env=dev"}, []int{5, 10, 15, 25, 30}},
			{api.ImageFilter{Software: "LOG4J-core"}, []int{10}},
			{api.ImageFilter{Software: "org.apache.logging.log4j:log4j-core"}, []int{10}},
			{api.ImageFilter{Software: "j:log4j-core"}, []int{}},
			{api.ImageFilter{Vuln: "ghsa-jfh8"}, []int{10}},
			{api.ImageFilter{Gone: "yes"}, []int{14}},
			{api.ImageFilter{Gone: "yes", Host: a}, []int{14}},
			{api.ImageFilter{Gone: "any", Query: "on-2:14"}, []int{14}},
			{api.ImageFilter{Query: "on-2:14"}, []int{}},
			{api.ImageFilter{IDs: []int64{}}, []int{}},
		}
		for _, test := range tests {
			page, err := s.Images(t.Context(), plimsoll.Everything, test.filter, api.List{Limit: 100})
			if err != nil {
				t.Errorf("%+v: %v", test.filter, err)
				continue
			}
			got := numbersOf(page.Items)
			slices.Sort(got)
			if !slices.Equal(got, test.want) || page.Total != int64(len(test.want)) {
				t.Errorf("%+v: %v (%d), want %v", test.filter, got, page.Total, test.want)
			}
			ids, err := s.SelectImages(t.Context(), plimsoll.Everything, api.Selection{Filter: &test.filter})
			if err != nil || len(ids) != len(test.want) || !slices.IsSorted(ids) {
				t.Errorf("selection %+v: %v, %v", test.filter, ids, err)
			}
		}
	})
}

// SYS-08: somebody limited to some hosts sees images, names, counts and
// containers of those alone.
func TestSYS08ScopeOfImages(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		a, b, c := fleet(t, s)
		dev := plimsoll.Scope{Labels: []string{"env=dev"}}
		page, err := s.Images(t.Context(), dev, api.ImageFilter{}, api.List{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		got := numbersOf(page.Items)
		slices.Sort(got)
		if !slices.Equal(got, []int{5, 10, 15, 20, 25, 30}) || page.Total != 6 {
			t.Errorf("images in sight: %v (%d)", got, page.Total)
		}
		img := imageNumber(t, s, dev, 30) // on all three hosts
		if img.Hosts != 1 || img.Containers != 1 || !slices.Equal(img.Names, []string{"on-5:30", "registry.test/app2:30"}) {
			t.Errorf("image 30: %+v", img)
		}
		if img := imageNumber(t, s, plimsoll.Everything, 30); img.Hosts != 3 || img.Containers != 3 || len(img.Names) != 4 {
			t.Errorf("image 30 for everybody: %+v", img)
		}
		hidden := imageNumber(t, s, plimsoll.Everything, 2)
		if _, err := s.Image(t.Context(), dev, hidden.ID); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("an image out of sight: %v", err)
		}
		if _, err := s.Presences(t.Context(), dev, hidden.ID, api.List{}); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("presences of an image out of sight: %v", err)
		}
		for _, f := range []api.ImageFilter{{Query: "on-2"}, {Host: a}, {HostName: "alpha"}, {Address: "10.0.0.2"}, {Label: "env=prod"},
			{Container: "run-2-30"}, {Repository: "on-2"}, {Gone: "any", Query: "on-3"}, {Gone: "any", Host: b}} {
			page, err := s.Images(t.Context(), dev, f, api.List{})
			if err != nil || len(page.Items) != 0 || page.Total != 0 {
				t.Errorf("%+v finds %v, %v", f, numbersOf(page.Items), err)
			}
		}
		presences, err := s.Presences(t.Context(), dev, img.ID, api.List{})
		if err != nil || len(presences.Items) != 2 || presences.Items[0].HostID != c {
			t.Errorf("presences: %+v, %v", presences.Items, err)
		}
		containers, err := s.Containers(t.Context(), dev, ContainerFilter{}, api.List{})
		if err != nil || len(containers.Items) != 6 || containers.Total != 6 || containers.Items[0].HostID != c || len(containers.Items[0].Entrypoint) != 1 {
			t.Errorf("containers: %+v, %v", containers, err)
		}
		for _, sel := range []api.Selection{{All: true}, {Label: "env=dev"}, {Hosts: []int64{a, b, c}}} {
			if ids, err := s.SelectImages(t.Context(), dev, sel); err != nil || len(ids) != 6 {
				t.Errorf("selection %+v: %v, %v", sel, ids, err)
			}
		}
		if ids, err := s.SelectImages(t.Context(), dev, api.Selection{Images: []int64{hidden.ID, img.ID}}); err != nil || !slices.Equal(ids, []int64{img.ID}) {
			t.Errorf("selection of a hidden image: %v, %v", ids, err)
		}
		if _, err := s.SelectImages(t.Context(), dev, api.Selection{}); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
			t.Errorf("selection of nothing: %v", err)
		}
		hosts, err := s.Hosts(t.Context(), dev, api.HostFilter{}, api.List{})
		if err != nil || len(hosts.Items) != 1 || hosts.Items[0].ID != c || hosts.Total != 1 {
			t.Errorf("hosts: %+v, %v", hosts.Items, err)
		}
		if _, err := s.Host(t.Context(), dev, a); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("a host out of sight: %v", err)
		}
		nobody, err := s.Images(t.Context(), plimsoll.Scope{}, api.ImageFilter{Gone: "any"}, api.List{})
		if err != nil || len(nobody.Items) != 0 {
			t.Errorf("the empty scope sees %d, %v", len(nobody.Items), err)
		}
		// What goes stays in sight of who saw it, and of nobody else.
		mustSync(t, s, c, fullSync(2))
		if img := imageNumber(t, s, dev, 25); img.Gone == nil || len(img.Names) != 2 {
			t.Errorf("the gone image: %+v", img)
		}
		page, err = s.Images(t.Context(), dev, api.ImageFilter{Gone: "any"}, api.List{})
		if err != nil || !slices.Equal(numbersOf(page.Items), []int{25}) && len(page.Items) != 2 {
			t.Errorf("gone images in sight: %v, %v", numbersOf(page.Items), err)
		}
	})
}

func TestHosts(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		a, b, c := fleet(t, s)
		pass(s, 10*time.Minute)
		if err := s.Heartbeat(t.Context(), b, api.Heartbeat{Now: s.now().Add(90 * time.Second), Boot: "1"}); err != nil {
			t.Fatal(err)
		}
		if err := s.RevokeHost(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		joinHost(t, s, "new")
		for state, want := range map[string]string{"online": "beta", "offline": "alpha", "revoked": "gamma", "never": "new", "late": ""} {
			page, err := s.Hosts(t.Context(), plimsoll.Everything, api.HostFilter{State: state}, api.List{})
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, h := range page.Items {
				got += h.Name
				if string(h.State) != state {
					t.Errorf("%s: %s", h.Name, h.State)
				}
			}
			if got != want {
				t.Errorf("%s: %s, want %s", state, got, want)
			}
		}
		host, err := s.Host(t.Context(), plimsoll.Everything, b)
		if err != nil || host.ClockSkew != 90 || host.Images != 10 || host.Labels["id"] != fmt.Sprint(b) || host.Labels["team"] != "x" {
			t.Errorf("host: %+v, %v", host, err)
		}
		for _, f := range []api.HostFilter{{Query: "ALPH"}, {Query: "10.0.0.2"}, {Label: fmt.Sprintf("id=%d", a)}, {IDs: []int64{a}}} {
			if page, err := s.Hosts(t.Context(), plimsoll.Everything, f, api.List{}); err != nil || len(page.Items) != 1 || page.Items[0].ID != a {
				t.Errorf("%+v: %+v, %v", f, page.Items, err)
			}
		}
		if err := s.SetHostLabels(t.Context(), a, plimsoll.Labels{"env": "dev", "id": "77"}); err != nil {
			t.Fatal(err)
		}
		if host, _ := s.Host(t.Context(), plimsoll.Everything, a); len(host.Labels) != 2 || host.Labels["env"] != "dev" || host.Labels["id"] != fmt.Sprint(a) {
			t.Errorf("labels: %v", host.Labels)
		}
		for _, bad := range []plimsoll.Labels{{"": "x"}, {"UPPER": "x"}, {"k": "a=b"}, {"k": "\xff"}} {
			if err := s.SetHostLabels(t.Context(), a, bad); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
				t.Errorf("%v: %v", bad, err)
			}
		}
	})
}

// SYS-02: tokens are used up, certificates are replaced without a gap, and a
// cloned machine is noticed.
func TestSYS02IdentityOfHosts(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		a := joinHost(t, s, "a", "env=prod")
		again := NewHost{TokenID: 1, TokenHash: "hash of a", Facts: api.HostFacts{Name: "b"}}
		issue := func(int64) (string, error) { return "x", nil }
		if _, err := s.EnrolHost(ctx, again, issue); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("a token that was used up: %v", err)
		}
		execTest(t, s, "UPDATE enrolment_token SET uses = 1")
		for spoil, restore := range map[string]string{"revoked = 1": "revoked = 0", "expires = 5": "expires = 9000000000000", "hash = 'y'": "hash = 'hash of a'"} {
			execTest(t, s, "UPDATE enrolment_token SET "+spoil)
			if _, err := s.EnrolHost(ctx, again, issue); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
				t.Errorf("%s: %v", spoil, err)
			}
			execTest(t, s, "UPDATE enrolment_token SET "+restore)
		}
		// Both or neither: the use comes back when the certificate cannot be made.
		if _, err := s.EnrolHost(ctx, again, func(int64) (string, error) {
			return "", plimsoll.Errorf(plimsoll.CodeInvalid, "sign", "no")
		}); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
			t.Errorf("no certificate: %v", err)
		}
		if _, err := s.EnrolHost(ctx, again, issue); err != nil {
			t.Errorf("the use is lost: %v", err)
		}

		finds := func(certificate string, want bool) {
			t.Helper()
			h, err := s.HostByCertificate(ctx, certificate)
			if want && (err != nil || h.ID != a) || !want && plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
				t.Errorf("certificate %q: %+v, %v", certificate, h, err)
			}
		}
		finds("certificate of a", true)
		if err := s.RenewCertificate(ctx, a, "second"); err != nil {
			t.Fatal(err)
		}
		finds("certificate of a", true)
		finds("second", true)
		finds("certificate of a", false)
		finds("", false)

		for _, turn := range []struct {
			boot   string
			cloned bool
		}{{"one", false}, {"one", false}, {"two", false}, {"", false}, {"two", false}, {"three", false}, {"one", true}} {
			if err := s.Heartbeat(ctx, a, api.Heartbeat{Boot: turn.boot}); err != nil {
				t.Fatal(err)
			}
			if h, err := s.Host(ctx, plimsoll.Everything, a); err != nil || h.Cloned != turn.cloned {
				t.Errorf("after start %q: cloned is %v, %v", turn.boot, h.Cloned, err)
			}
		}
		if err := s.RevokeHost(ctx, a); err != nil {
			t.Fatal(err)
		}
		if h, err := s.HostByCertificate(ctx, "second"); err != nil || !h.Revoked {
			t.Errorf("revoked host: %+v, %v", h, err)
		}
		if err := s.Heartbeat(ctx, a, api.Heartbeat{}); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("heartbeat of a revoked host: %v", err)
		}
		if _, err := s.ApplySync(ctx, a, fullSync(1)); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("sync of a revoked host: %v", err)
		}
		if err := s.RemoveHost(ctx, a); err != nil {
			t.Fatal(err)
		}
		finds("second", false)
	})
}

// SYS-06: taking a host away closes no finding; what it read counts as outdated.
func TestSYS06RevokedHostIsDoubted(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		a, b := joinHost(t, s, "a"), joinHost(t, s, "b")
		mustSync(t, s, a, fullSync(1, hostImage(1, "app:1"), hostImage(2, "db:1")))
		mustSync(t, s, b, fullSync(1, hostImage(1, "app:1"), hostImage(2, "db:1")))
		execTest(t, s, "UPDATE image SET state = 'succeeded', inventory = 1, analyzers = 'set 1', s_high = 3, scan_host = ? WHERE digest = ?", a, digestOf("image", 1))
		execTest(t, s, "UPDATE image SET state = 'succeeded', inventory = 1, analyzers = 'set 1', scan_host = ? WHERE digest = ?", b, digestOf("image", 2))
		execTest(t, s, "INSERT INTO layer_facts (key, diff_id, analyzers, host_id, size, stored, data) VALUES ('k', 'd', 'set 1', ?, 1, 0, '')", a)
		if err := s.RevokeHost(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		for n, want := range map[int]string{1: "", 2: "set 1"} {
			var analyzers, state string
			var facts int
			err := s.read(t.Context(), "look", func(t *tx) error {
				if err := t.row("SELECT count(*) FROM layer_facts").Scan(&facts); err != nil {
					return err
				}
				return t.row("SELECT analyzers, state FROM image WHERE digest = ?", digestOf("image", n)).Scan(&analyzers, &state)
			})
			if err != nil || analyzers != want || state != "succeeded" || facts != 0 {
				t.Errorf("image %d: %q, %s, %d facts, %v", n, analyzers, state, facts, err)
			}
		}
		if img := imageNumber(t, s, plimsoll.Everything, 1); img.Systems.High != 3 || img.Hosts != 2 {
			t.Errorf("image: %+v", img)
		}
	})
}
