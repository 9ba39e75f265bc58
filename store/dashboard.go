package store

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// Dashboard sums up what is in scope. The state of the advisories is not the store's.
func (s *Store) Dashboard(ctx context.Context, scope plimsoll.Scope) (api.Dashboard, error) {
	var d api.Dashboard
	err := s.read(ctx, "sum up the fleet", func(t *tx) error {
		for _, sum := range []func(plimsoll.Scope, *api.Dashboard) error{t.sumHosts, t.sumImages, t.sumFindings, t.sumVulnerabilities, t.sumWork, t.riskDays} {
			if err := sum(scope, &d); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return d, err
	}
	const top = 5
	// Those with findings: an image that no advisory source speaks about has an unknown risk and nothing to show.
	worst, err := s.Images(ctx, scope, api.ImageFilter{MinSev: "none"}, api.List{Sort: "risk", Limit: top})
	if err != nil {
		return d, err
	}
	failed, err := s.Images(ctx, scope, api.ImageFilter{States: []string{"failed", "unreadable"}}, api.List{Sort: "scannedAt", Limit: top})
	if err != nil {
		return d, err
	}
	d.TopImages, d.FailedImages, d.TopVulns = worst.Items, failed.Items, []api.Vulnerability{}
	if d.System.Total()+d.Application.Total() > 0 {
		vulns, err := s.Vulnerabilities(ctx, scope, api.VulnerabilityFilter{}, api.List{Limit: top})
		if err != nil {
			return d, err
		}
		d.TopVulns = vulns.Items
	}
	return d, nil
}

func (t *tx) sumHosts(scope plimsoll.Scope, d *api.Dashboard) error {
	d.Hosts = make(map[string]int64)
	var w where
	w.seesHost(scope, "h.id")
	rows, err := t.query("SELECT h.revoked, h.last_seen, h.containers FROM host h"+w.String(), w.args...)
	err = each(rows, err, func(scan func(...any) error) error {
		var revoked, seen, containers int64
		if err := scan(&revoked, &seen, &containers); err != nil {
			return err
		}
		d.Hosts[string(agentState(revoked, seen, t.now))]++
		d.Containers += containers
		return nil
	})
	if err != nil {
		return err
	}
	w.and(hostProblems)
	d.HostProblems, err = t.count("host h", w)
	return err
}

func (t *tx) sumImages(scope plimsoll.Scope, d *api.Dashboard) error {
	w := imageFilter(scope, api.ImageFilter{}, t.now)
	d.ImageStates, d.Risks, d.Warnings = make(map[string]int64), make(map[string]int64), make(map[string]int64)
	rows, err := t.query("SELECT i.state, i.risk, count(*) FROM image i"+w.String()+" GROUP BY i.state, i.risk", w.args...)
	err = each(rows, err, func(scan func(...any) error) error {
		var state, risk string
		var n int64
		if err := scan(&state, &risk, &n); err != nil {
			return err
		}
		d.Images += n
		d.ImageStates[state] += n
		d.Risks[risk] += n
		return nil
	})
	if err != nil {
		return err
	}
	if d.InUse, err = t.count("image i", imageFilter(scope, api.ImageFilter{InUse: "yes"}, t.now)); err != nil {
		return err
	}
	for _, warning := range api.ImageWarnings {
		if d.Warnings[warning], err = t.count("image i", imageFilter(scope, api.ImageFilter{Warnings: []string{warning}}, t.now)); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) sumFindings(scope plimsoll.Scope, d *api.Dashboard) error {
	w := imageFilter(scope, api.ImageFilter{}, t.now)
	sum := func(columns ...string) (text string) {
		for i, c := range columns {
			if i > 0 {
				text += ", "
			}
			text += "CAST(coalesce(sum(i." + c + "), 0) AS BIGINT)"
		}
		return text
	}
	query := "SELECT " + sum("s_critical", "s_high", "s_medium", "s_low", "s_unknown", "s_none", "a_critical", "a_high", "a_medium", "a_low", "a_unknown", "a_none",
		"fixable", "kev", "uncovered", "unidentified") + " FROM image i" + w.String()
	return t.row(query, w.args...).Scan(&d.System.Critical, &d.System.High, &d.System.Medium, &d.System.Low, &d.System.Unknown, &d.System.None,
		&d.Application.Critical, &d.Application.High, &d.Application.Medium, &d.Application.Low, &d.Application.Unknown, &d.Application.None,
		&d.Fixable, &d.KEV, &d.Uncovered, &d.Unidentified)
}

// sumVulnerabilities counts distinct packages, and the rows of the risk view.
func (t *tx) sumVulnerabilities(scope plimsoll.Scope, d *api.Dashboard) error {
	shares := make(map[riskKey]riskShare) // open findings in sight
	if scope.All {
		if err := t.row("SELECT count(*) FROM software WHERE images > 0").Scan(&d.Software); err != nil {
			return err
		}
	} else {
		held, err := t.idsOf(heldBy{sight: sight{scope: scope}})
		if err != nil {
			return err
		}
		var software numbers
		err = t.eachShareOf(held, func(_ int64, data []byte) bool {
			return eachShare(data, func(id int64) { software.add(int(id)) }, func(key riskKey, r riskShare) {
				sum := shares[key]
				sum.open += r.open
				sum.fixable += r.fixable
				shares[key] = sum
			})
		})
		if err != nil {
			return err
		}
		d.Software = software.len()
	}
	yesterday := t.now - (24 * time.Hour).Milliseconds()
	rows, err := t.query("SELECT vulnerability_id, class, severity, findings, fixable, kev, first_seen FROM risk WHERE findings > 0")
	return each(rows, err, func(scan func(...any) error) error {
		var key riskKey
		var r riskShare
		var severity plimsoll.Severity
		var kev, first int64
		if err := scan(&key.vulnerability, &key.class, &severity, &r.open, &r.fixable, &kev, &first); err != nil {
			return err
		}
		if !scope.All {
			r = shares[key]
		}
		if r.open == 0 {
			return nil
		}
		v := &d.Vulnerabilities
		counts := &v.Application
		if key.class == plimsoll.ClassSystem {
			counts = &v.System
		}
		counts.Add(severity, 1)
		v.Fixable += bit(r.fixable > 0)
		v.KEV += bit(kev > 0)
		v.New += bit(first >= yesterday)
		return nil
	})
}

func (t *tx) sumWork(scope plimsoll.Scope, d *api.Dashboard) (err error) {
	var w where
	w.and("k.state IN ('queued', 'running')")
	if !scope.All {
		host, hostArgs := hostInSight(scope, "e.host_id")
		held, heldArgs := heldInSight(scope, "e.image_id")
		w.and("EXISTS (SELECT 1 FROM task_item e WHERE e.task_id = k.id AND (e.image_id = 0 AND "+host+
			" OR "+held+"))", slices.Concat(hostArgs, heldArgs)...)
	}
	d.RunningTasks, err = t.count("task k", w)
	return err
}

// riskDays reads the risk over time. It is kept for the whole fleet: a part of
// it has none.
func (t *tx) riskDays(scope plimsoll.Scope, d *api.Dashboard) error {
	const days = 90
	if !scope.All {
		return nil
	}
	today := t.riskToday(d)
	d.RiskOverTime = append(d.RiskOverTime, today)
	rows, err := t.query("SELECT data FROM risk_day WHERE day < ? ORDER BY day DESC LIMIT ?", today.Day, days-1)
	err = each(rows, err, func(scan func(...any) error) error {
		var text string
		if err := scan(&text); err != nil {
			return err
		}
		var p api.RiskPoint
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			return err
		}
		d.RiskOverTime = append(d.RiskOverTime, p)
		return nil
	})
	slices.Reverse(d.RiskOverTime)
	return err
}

// riskToday is the newest point of the risk over time.
func (t *tx) riskToday(d *api.Dashboard) api.RiskPoint {
	return api.RiskPoint{Day: moment(t.now).Format(time.DateOnly), Images: d.Images, KEV: d.KEV, Findings: d.System.Plus(d.Application)}
}

// RecordRiskDay keeps today's open findings for the risk over time.
func (s *Store) RecordRiskDay(ctx context.Context) error {
	return s.write(ctx, "keep the risk of today", func(t *tx) error {
		var d api.Dashboard
		var err error
		if d.Images, err = t.count("image i", imageFilter(plimsoll.Everything, api.ImageFilter{}, t.now)); err != nil {
			return err
		}
		if err := t.sumFindings(plimsoll.Everything, &d); err != nil {
			return err
		}
		p := t.riskToday(&d)
		data, err := json.Marshal(p)
		if err != nil {
			return err
		}
		_, err = t.exec("INSERT INTO risk_day (day, data) VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET data = excluded.data", p.Day, string(data))
		return err
	})
}
