package store

import (
	"fmt"
	"strings"
	"testing"
)

// multiply makes a fleet n times as large: hosts and images come again under other
// names, what is in them stays, and so do the advisories. It copies rows, which
// takes a tenth of the time of telling the store about as many images.
func multiply(tb testing.TB, s *Store, n int) {
	tb.Helper()
	const apart = 1_000_000_000 // IDs of a copy are that much larger
	tables := []struct {
		name    string
		columns map[string]string // the others are copied
	}{
		{"host", map[string]string{"id": "id + {apart}", "name": "name || '-{copy}'"}},
		{"host_label", map[string]string{"host_id": "host_id + {apart}", "label": "CASE WHEN label LIKE 'rack=%' THEN label || '-{copy}' " +
			"WHEN label LIKE 'id=%' THEN 'id=' || CAST(host_id + {apart} AS TEXT) ELSE label END"}},
		{"image", map[string]string{"id": "id + {apart}", "digest": "'sha256:{hex}' || substr(digest, 16)", "name": "name || '-{copy}'", "scan_host": "scan_host + {apart}"}},
		{"image_layer", map[string]string{"image_id": "image_id + {apart}"}},
		{"image_system", map[string]string{"image_id": "image_id + {apart}"}},
		{"image_reference", map[string]string{"id": "id + {apart}", "image_id": "image_id + {apart}", "name_lower": "name_lower || '-{copy}'"}},
		{"presence", map[string]string{"id": "id + {apart}", "host_id": "host_id + {apart}", "image_id": "image_id + {apart}",
			"name": "name || '-{copy}'", "name_lower": "name_lower || '-{copy}'"}},
		{"host_image", map[string]string{"host_id": "host_id + {apart}", "image_id": "image_id + {apart}"}},
		{"container", map[string]string{"id": "id + {apart}", "host_id": "host_id + {apart}", "image_id": "image_id + {apart}"}},
		{"instance", map[string]string{"id": "id + {apart}", "image_id": "image_id + {apart}"}},
		{"share", map[string]string{"image_id": "image_id + {apart}"}},
		{"contents", map[string]string{"image_id": "image_id + {apart}"}},
		{"open_risk", map[string]string{"image_id": "image_id + {apart}"}},
	}
	err := s.write(tb.Context(), "multiply the fleet", func(t *tx) error {
		for _, table := range tables {
			names, err := t.columns(table.name)
			if err != nil {
				return err
			}
			values := make([]string, len(names))
			for i, name := range names {
				values[i] = name
				if changed := table.columns[name]; changed != "" {
					values[i] = changed
				}
			}
			given := ""
			if s.dialect == postgres {
				given = " OVERRIDING SYSTEM VALUE"
			}
			for copy := 1; copy < n; copy++ {
				text := strings.NewReplacer("{apart}", fmt.Sprint(copy*apart), "{copy}", fmt.Sprint(copy), "{hex}", fmt.Sprintf("%08x", copy)).Replace(strings.Join(values, ", "))
				if _, err := t.exec(fmt.Sprintf("INSERT INTO %s (%s)%s SELECT %s FROM %s WHERE %s < %d", table.name, strings.Join(names, ", "), given,
					text, table.name, names[0], apart)); err != nil {
					return err
				}
			}
		}
		for _, text := range []string{"DELETE FROM host_held", "INSERT INTO host_held (host_id, images) SELECT host_id, " + heldList + " FROM host_image GROUP BY host_id"} {
			if _, err := t.exec(text); err != nil {
				return err
			}
		}
		for _, counts := range []string{"software SET images = images * ?", "risk SET images = images * ?, findings = findings * ?, handled = handled * ?, fixable = fixable * ?"} {
			values := make([]any, strings.Count(counts, "?"))
			for i := range values {
				values[i] = n
			}
			if _, err := t.exec("UPDATE "+counts, values...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// columns returns the names of a table's columns.
func (t *tx) columns(table string) ([]string, error) {
	rows, err := t.query("SELECT * FROM " + table + " LIMIT 0")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return rows.Columns()
}
