package store

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"plimsoll"
	"plimsoll/api"
)

// Image returns one image with its layers, history, problems and scans.
func (s *Store) Image(ctx context.Context, scope plimsoll.Scope, id int64) (detail api.ImageDetail, err error) {
	err = s.read(ctx, "find the image", func(t *tx) error {
		image, err := t.lookImage(scope, id)
		if err != nil {
			return err
		}
		detail = api.ImageDetail{Image: image}
		var config, history string
		if err := t.row("SELECT config, history FROM image WHERE id = ?", id).Scan(&config, &history); err != nil {
			return err
		}
		if err := errors.Join(json.Unmarshal([]byte(config), &detail.Config), json.Unmarshal([]byte(history), &detail.History)); err != nil {
			return err
		}
		if detail.Stack, err = t.layersOf(id); err != nil {
			return err
		}
		if detail.Issues, err = t.problemsOf(id); err != nil {
			return err
		}
		if detail.Coverage, err = t.coverageOf(id); err != nil {
			return err
		}
		detail.Scans, err = t.scansOf(scope, id)
		return err
	})
	return detail, err
}

// layersOf returns the layers of an image, with the packages that each brought
// and the open findings in them.
func (t *tx) layersOf(id int64) (list []api.Layer, err error) {
	rows, err := t.query(`SELECT l.diff_id, l.size, il.created_by, il.base FROM image_layer il JOIN layer l ON l.id = il.layer_id
		WHERE il.image_id = ? ORDER BY il.number`, id)
	err = each(rows, err, func(scan func(...any) error) error {
		var l api.Layer
		var base int64
		if err := scan(&l.DiffID, &l.Size, &l.CreatedBy, &base); err != nil {
			return err
		}
		l.Base = base != 0
		list = append(list, l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	count := func(query string, set func(l *api.Layer, n int64)) error {
		rows, err := t.query(query, id)
		return each(rows, err, func(scan func(...any) error) error {
			var layer, n int64
			if err := scan(&layer, &n); err != nil {
				return err
			}
			if 0 <= layer && layer < int64(len(list)) {
				set(&list[layer], n)
			}
			return nil
		})
	}
	if err := count("SELECT layer, count(*) FROM instance WHERE image_id = ? GROUP BY layer", func(l *api.Layer, n int64) { l.Packages = n }); err != nil {
		return nil, err
	}
	err = count(`SELECT i.layer, count(*) FROM instance i JOIN match m ON m.software_id = i.software_id AND m.gone = 0 JOIN image g ON g.id = i.image_id
		WHERE i.image_id = ? AND m.status = 'affected' AND `+open+` GROUP BY i.layer`, func(l *api.Layer, n int64) { l.Findings = n })
	return list, err
}

func (t *tx) problemsOf(id int64) (list []api.Problem, err error) {
	rows, err := t.query("SELECT code, path, layer, analyzer, detail, count FROM image_problem WHERE image_id = ? ORDER BY number", id)
	err = each(rows, err, func(scan func(...any) error) error {
		var p api.Problem
		if err := scan(&p.Code, &p.Path, &p.Layer, &p.Analyzer, &p.Detail, &p.Count); err != nil {
			return err
		}
		list = append(list, p)
		return nil
	})
	return list, err
}

// coverageOf says who was asked about the packages of an image.
func (t *tx) coverageOf(id int64) (list []api.Coverage, err error) {
	rows, err := t.query(`SELECT s.verdict_group, s.ecosystem, max(s.ended), min(CASE WHEN s.type IN ('deb', 'rpm', 'apk', 'alpm') THEN 0 ELSE 1 END), count(*)
		FROM instance n JOIN software s ON s.id = n.software_id WHERE n.image_id = ? AND s.generation > 0
		GROUP BY s.verdict_group, s.ecosystem ORDER BY 4, s.verdict_group, s.ecosystem`, id)
	err = each(rows, err, func(scan func(...any) error) error {
		c := api.Coverage{Class: plimsoll.ClassSystem}
		var ended, application int64
		if err := scan(&c.Group, &c.Ecosystem, &ended, &application, &c.Packages); err != nil {
			return err
		}
		if c.Ended = ended != 0; application != 0 {
			c.Class = plimsoll.ClassApplication
		}
		list = append(list, c)
		return nil
	})
	return list, err
}

// scansOf returns the newest attempts to read an image. Hosts out of sight have
// no name.
func (t *tx) scansOf(scope plimsoll.Scope, id int64) (list []api.Scan, err error) {
	sight, sightArgs := hostInSight(scope, "h.id")
	rows, err := t.query(`SELECT s.id, s.report, s.state, s.code, s.detail, coalesce(h.id, 0), coalesce(h.name, ''), s.started, s.ended, s.packages, s.analyzed, s.reused
		FROM scan s LEFT JOIN host h ON h.id = s.host_id AND `+sight+` WHERE s.image_id = ? ORDER BY s.id DESC LIMIT 50`, append(sightArgs, id)...)
	err = each(rows, err, func(scan func(...any) error) error {
		var s api.Scan
		var started, ended int64
		if err := scan(&s.ID, &s.Report, &s.State, &s.Code, &s.Detail, &s.HostID, &s.Host, &started, &ended, &s.Packages, &s.Analyzed, &s.Reused); err != nil {
			return err
		}
		if s.HostID == 0 {
			s.Report = ""
		}
		_, s.Report, _ = strings.Cut(s.Report, "/") // see reportKey
		s.Started, s.Ended = moment(started), moment(ended)
		list = append(list, s)
		return nil
	})
	return list, err
}
