package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// scratch is the raw state, read without any of the counts and indices.
type scratch struct {
	images    map[int64]*scratchImage
	software  map[int64]api.Software
	instances []scratchInstance
	matches   map[int64][]scratchMatch // by software, live
	decisions []plimsoll.Decision
	aliases   map[int64][]string
}

type scratchImage struct {
	digest      plimsoll.Digest
	gone, first int64
	state       string
	system      int64
	names       map[string][]string // by live repository
	hosts       [][]string          // labels
}

type scratchInstance struct {
	id, image, software int64
	class               string
}

type scratchMatch struct {
	id, vulnerability int64
	class, status     string
	severity          plimsoll.Severity
	fix               string
	kev, malicious    bool
}

func readScratch(tb testing.TB, s *Store) *scratch {
	tb.Helper()
	c := &scratch{images: map[int64]*scratchImage{}, software: map[int64]api.Software{}, matches: map[int64][]scratchMatch{}, aliases: map[int64][]string{}}
	get := func(t *tx, query string, f func(scan func(...any) error) error) {
		rows, err := t.query(query)
		if err := each(rows, err, f); err != nil {
			tb.Fatal(query, err)
		}
	}
	err := s.read(context.Background(), "read", func(t *tx) error {
		get(t, "SELECT id, digest, gone, inventory, state, system_id FROM image", func(scan func(...any) error) error {
			i := &scratchImage{names: map[string][]string{}}
			var id int64
			err := scan(&id, &i.digest, &i.gone, &i.first, &i.state, &i.system)
			c.images[id] = i
			return err
		})
		get(t, "SELECT p.image_id, r.name, p.name FROM presence p JOIN repository r ON r.id = p.repository_id WHERE p.gone = 0", func(scan func(...any) error) error {
			var id int64
			var repository, name string
			err := scan(&id, &repository, &name)
			c.images[id].names[repository] = append(c.images[id].names[repository], name)
			return err
		})
		hosts := map[int64][]string{}
		get(t, "SELECT host_id, label FROM host_label", func(scan func(...any) error) error {
			var id int64
			var label string
			err := scan(&id, &label)
			hosts[id] = append(hosts[id], label)
			return err
		})
		get(t, "SELECT image_id, host_id FROM host_image", func(scan func(...any) error) error {
			var image, host int64
			err := scan(&image, &host)
			c.images[image].hosts = append(c.images[image].hosts, hosts[host])
			return err
		})
		get(t, "SELECT id, type, name, covered FROM software", func(scan func(...any) error) error {
			var w api.Software
			err := scan(&w.ID, &w.Type, &w.Name, &w.Covered)
			c.software[w.ID] = w
			return err
		})
		get(t, "SELECT id, image_id, software_id, path_class FROM instance", func(scan func(...any) error) error {
			var i scratchInstance
			err := scan(&i.id, &i.image, &i.software, &i.class)
			c.instances = append(c.instances, i)
			return err
		})
		get(t, "SELECT id, software_id, vulnerability_id, class, status, severity, fix, kev, malicious FROM match WHERE gone = 0", func(scan func(...any) error) error {
			var m scratchMatch
			var software int64
			err := scan(&m.id, &software, &m.vulnerability, &m.class, &m.status, &m.severity, &m.fix, &m.kev, &m.malicious)
			c.matches[software] = append(c.matches[software], m)
			return err
		})
		get(t, "SELECT "+decisionColumns+" FROM decision WHERE expired = 0 ORDER BY id", func(scan func(...any) error) error {
			d, _, err := scanDecision(scan)
			if d.Active(moment(t.now)) {
				c.decisions = append(c.decisions, d)
			}
			return err
		})
		get(t, "SELECT vulnerability_id, alias FROM vulnerability_alias", func(scan func(...any) error) error {
			var id int64
			var alias string
			err := scan(&id, &alias)
			c.aliases[id] = append(c.aliases[id], alias)
			return err
		})
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// decide returns the decision for a finding in one repository, written straight
// from the definition.
func (c *scratch) decide(i scratchInstance, m scratchMatch, repository string) (best plimsoll.Decision) {
	img := c.images[i.image]
	any := func(list []string, f func(string) bool) bool { return len(list) == 0 || slices.ContainsFunc(list, f) }
	for _, d := range c.decisions {
		fits := (d.Vulnerability == "" || slices.Contains(c.aliases[m.vulnerability], aliasOf(d.Vulnerability))) &&
			(d.PackageType == "" || d.PackageType == c.software[i.software].Type) &&
			(d.Package == "" || plimsoll.Glob(d.Package, c.software[i.software].Name)) &&
			(d.Path == "" || plimsoll.Glob(d.Path, i.class)) &&
			(len(d.ImageIDs) == 0 || slices.Contains(d.ImageIDs, img.digest)) &&
			!(d.UntilFix && m.fix == "fixed") &&
			!(d.Kind == plimsoll.DecisionFixed && img.first > ms(d.Created)) &&
			any(d.Repositories, func(p string) bool {
				all := true
				for _, name := range img.names[repository] {
					all = all && plimsoll.Glob(p, name)
				}
				return plimsoll.Glob(p, repository) || repository != "" && all
			})
		for _, labels := range img.hosts {
			fits = fits && any(d.Labels, func(l string) bool { return slices.Contains(labels, l) })
		}
		if fits && (best.ID == 0 || rank(d.Kind) > rank(best.Kind)) {
			best = d
		}
	}
	return best
}

// checkFindings compares every kept count and effect with a computation from
// scratch.
func checkFindings(tb testing.TB, s *Store) {
	tb.Helper()
	c := readScratch(tb, s)
	images := map[int64]map[string]int64{}
	risks := map[string]map[string]int64{}
	software := map[int64]map[string]int64{}
	softwareImages := map[[2]int64]bool{}
	hits := map[int64]int64{}
	effects := map[string]int64{}
	for id := range c.images {
		images[id] = map[string]int64{}
	}
	for id := range c.software {
		software[id] = map[string]int64{}
		for _, m := range c.matches[id] {
			if m.status == "affected" {
				software[id]["m_"+m.severity.String()]++
			}
		}
	}
	riskImages := map[string]bool{}
	for _, i := range c.instances {
		img, count := c.images[i.image], images[i.image]
		live := img.gone == 0 && img.first > 0
		count["packages"]++
		if !c.software[i.software].Covered {
			count["uncovered"]++
		}
		if at := [2]int64{i.software, i.image}; live && !softwareImages[at] {
			softwareImages[at] = true
			software[i.software]["images"]++
		}
		for _, m := range c.matches[i.software] {
			covered := 0
			reached := map[int64]bool{}
			for repository := range img.names {
				if d := c.decide(i, m, repository); d.ID != 0 && img.gone == 0 {
					covered++
					effects[fmt.Sprint(i.id, m.id, repository)] = d.ID
					reached[d.ID] = true
				}
			}
			for id := range reached {
				hits[id]++
			}
			if m.status != "affected" {
				continue
			}
			key := fmt.Sprint(m.vulnerability, m.class)
			if live && risks[key] == nil {
				risks[key] = map[string]int64{}
			}
			handled := len(img.names) > 0 && covered == len(img.names)
			if live {
				risks[key]["severity"] = max(risks[key]["severity"], int64(m.severity))
			}
			if handled {
				count["handled"]++
				if live {
					risks[key]["handled"]++
				}
				continue
			}
			count[m.class[:1]+"_"+m.severity.String()]++
			count["fixable"] += bit(m.fix == "fixed")
			count["kev"] += bit(m.kev)
			count["malicious"] += bit(m.malicious)
			if live {
				risks[key]["findings"]++
				risks[key]["fixable"] += bit(m.fix == "fixed")
				if at := fmt.Sprint(key, i.image); !riskImages[at] {
					riskImages[at] = true
					risks[key]["images"]++
				}
			}
		}
	}
	err := s.read(context.Background(), "compare", func(t *tx) error {
		compare := func(what, query string, columns []string, want func(id int64, key string) map[string]int64) {
			rows, err := t.query(query)
			err = each(rows, err, func(scan func(...any) error) error {
				var id int64
				var key string
				values := make([]int64, len(columns))
				dest := []any{&id, &key}
				for i := range values {
					dest = append(dest, &values[i])
				}
				if err := scan(dest...); err != nil {
					return err
				}
				expect := want(id, key)
				for i, column := range columns {
					if values[i] != expect[column] {
						tb.Errorf("%s %d %s: %s is %d, want %d", what, id, key, column, values[i], expect[column])
					}
				}
				return nil
			})
			if err != nil {
				tb.Fatal(err)
			}
		}
		columns := []string{"packages", "uncovered", "handled", "fixable", "kev", "malicious", "s_critical", "s_high", "s_medium", "s_low", "s_unknown", "s_none",
			"a_critical", "a_high", "a_medium", "a_low", "a_unknown", "a_none"}
		compare("image", "SELECT id, digest, packages, uncovered, handled, fixable, kev, malicious, s_critical, s_high, s_medium, s_low, s_unknown, s_none, "+
			"a_critical, a_high, a_medium, a_low, a_unknown, a_none FROM image", columns, func(id int64, _ string) map[string]int64 { return images[id] })
		compare("software", "SELECT id, name, images, m_critical, m_high, m_medium, m_low, m_unknown, m_none FROM software",
			[]string{"images", "m_critical", "m_high", "m_medium", "m_low", "m_unknown", "m_none"}, func(id int64, _ string) map[string]int64 { return software[id] })
		rows := map[string]bool{}
		compare("risk", "SELECT vulnerability_id, class, findings, handled, fixable, images, severity FROM risk",
			[]string{"findings", "handled", "fixable", "images", "severity"}, func(id int64, class string) map[string]int64 {
				rows[fmt.Sprint(id, class)] = true
				return risks[fmt.Sprint(id, class)]
			})
		for key := range risks {
			if !rows[key] {
				tb.Errorf("risk %s has no row", key)
			}
		}
		compare("decision", "SELECT id, kind, hits FROM decision", []string{"hits"}, func(id int64, _ string) map[string]int64 { return map[string]int64{"hits": hits[id]} })
		found := 0
		query, err := t.query("SELECT e.instance_id, e.match_id, r.name, e.decision_id FROM effect e JOIN repository r ON r.id = e.repository_id")
		err = each(query, err, func(scan func(...any) error) error {
			var instance, match, decision int64
			var repository string
			if err := scan(&instance, &match, &repository, &decision); err != nil {
				return err
			}
			found++
			if want := effects[fmt.Sprint(instance, match, repository)]; want != decision {
				tb.Errorf("effect on %d-%d in %q: decision %d, want %d", instance, match, repository, decision, want)
			}
			return nil
		})
		if found != len(effects) {
			tb.Errorf("%d effects, want %d", found, len(effects))
		}
		// What the risk view sorts by follows from the vulnerability and the row.
		compare("risk's vulnerability", `SELECT r.id, r.name, CASE WHEN r.name = v.name AND r.epss = v.epss AND r.score = v.score AND r.kev = (CASE WHEN v.kev > 0 THEN 1 ELSE 0 END)
			AND r.malicious = v.malicious THEN 0 ELSE 1 END FROM risk r JOIN vulnerability v ON v.id = r.vulnerability_id`, []string{"wrong"},
			func(int64, string) map[string]int64 { return nil })
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	checkCounts(tb, s)
	checkContents(tb, s)
}

// checkContents compares what is noted of images and hosts, for those who ask about
// many, with what it is taken from.
func checkContents(tb testing.TB, s *Store) {
	tb.Helper()
	err := s.read(context.Background(), "compare", func(t *tx) error {
		want := map[int64]map[int64]int64{}
		rows, err := t.query("SELECT image_id, software_id, count(*) FROM instance GROUP BY image_id, software_id")
		err = each(rows, err, func(scan func(...any) error) error {
			var image, software, n int64
			err := scan(&image, &software, &n)
			if want[image] == nil {
				want[image] = map[int64]int64{}
			}
			want[image][software] = n
			return err
		})
		if err != nil {
			return err
		}
		rows, err = t.query("SELECT image_id, data FROM contents")
		if err = each(rows, err, func(scan func(...any) error) error {
			var image int64
			var data []byte
			if err := scan(&image, &data); err != nil {
				return err
			}
			have := map[int64]int64{}
			if !eachPortion(data, func(p portion) { have[p.software] = p.n }) || !maps.Equal(have, want[image]) {
				tb.Errorf("noted of image %d: %v, its instances are %v", image, have, want[image])
			}
			return nil
		}); err != nil {
			return err
		}
		texts := func(query string, as func([]byte) []byte) map[int64]string {
			found := map[int64]string{}
			rows, err := t.query(query)
			if err := each(rows, err, func(scan func(...any) error) error {
				var id int64
				var data []byte
				if err := scan(&id, &data); err != nil {
					return err
				}
				if data = as(data); len(data) > 0 {
					found[id] = string(data)
				}
				return nil
			}); err != nil {
				tb.Fatal(err)
			}
			return found
		}
		itself := func(b []byte) []byte { return b }
		open := func(b []byte) []byte {
			s, ok := decodeShare(b)
			if !ok {
				tb.Fatal("a share is damaged")
			}
			return s.open()
		}
		if have, want := texts("SELECT image_id, data FROM open_risk", itself), texts("SELECT image_id, data FROM share", open); !maps.Equal(have, want) {
			tb.Errorf("open risks %v, want %v", have, want)
		}
		const held = "string_agg(CAST(image_id AS TEXT) || ' ' || CAST(running AS TEXT), ' ' ORDER BY image_id)"
		if have, want := texts("SELECT host_id, images FROM host_held", itself), texts("SELECT host_id, "+held+" FROM host_image GROUP BY host_id", itself); !maps.Equal(have, want) {
			tb.Errorf("hosts hold %v, want %v", have, want)
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// day is a step of the clock that matters to decisions with an end.
const day = 24 * time.Hour
