package store

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// Dashboard sums up what is in scope.
func (s *Store) Dashboard(ctx context.Context, scope plimsoll.Scope) (api.Dashboard, error) {
	var d api.Dashboard
	err := s.read(ctx, "sum up the fleet", func(t *tx) error {
		for _, sum := range []func(plimsoll.Scope, *api.Dashboard) error{t.sumHosts, t.sumImages, t.sumFindings, t.sumWork, t.riskDays} {
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
	worst, err := s.Images(ctx, scope, api.ImageFilter{Risks: []string{"critical", "high", "medium", "unknown", "low"}}, api.List{Sort: "risk", Limit: top})
	if err != nil {
		return d, err
	}
	failed, err := s.Images(ctx, scope, api.ImageFilter{States: []string{"failed", "unreadable", "partial"}}, api.List{Sort: "lastSeen", Limit: top})
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
	d.Database, err = s.database(ctx)
	return d, err
}

// database is the state of the advisories.
func (s *Store) database(ctx context.Context) (api.Database, error) {
	const stale = 7 * 24 * time.Hour
	var d api.Database
	current, err := s.CurrentGeneration(ctx)
	switch plimsoll.CodeOf(err) {
	case "":
		d.Current = &current
		age := s.now().Sub(current.Built)
		d.AgeSecs, d.Stale = int64(age.Seconds()), age > stale
	case plimsoll.CodeNotFound:
	default:
		return d, err
	}
	if d.Pending, err = s.PendingSoftware(ctx); err != nil {
		return d, err
	}
	var task int64
	err = s.read(ctx, "find the update of the advisories", func(t *tx) error {
		return t.row("SELECT coalesce(max(id), 0) FROM task WHERE kind = 'database' AND state IN ('queued', 'running')").Scan(&task)
	})
	if err != nil || task == 0 {
		return d, err
	}
	running, err := s.Task(ctx, plimsoll.Everything, "", task)
	if plimsoll.CodeOf(err) == plimsoll.CodeNotFound { // removed meanwhile
		return d, nil
	}
	d.Task = &running
	return d, err
}

func (t *tx) sumHosts(scope plimsoll.Scope, d *api.Dashboard) error {
	d.Hosts = make(map[string]int64)
	var w where
	w.seesHost(scope, "h.id")
	rows, err := t.query("SELECT h.revoked, h.last_seen, h.problem_count, h.containers FROM host h"+w.String(), w.args...)
	return each(rows, err, func(scan func(...any) error) error {
		var revoked, seen, problems, containers int64
		if err := scan(&revoked, &seen, &problems, &containers); err != nil {
			return err
		}
		d.Hosts[string(agentState(revoked, seen, t.now))]++
		d.HostProblems += problems
		d.Containers += containers
		return nil
	})
}

func (t *tx) sumImages(scope plimsoll.Scope, d *api.Dashboard) error {
	w := imageFilter(scope, api.ImageFilter{})
	d.ImageStates, d.Risks = make(map[string]int64), make(map[string]int64)
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
	if d.InUse, err = t.count("image i", imageFilter(scope, api.ImageFilter{InUse: "yes"})); err != nil {
		return err
	}
	// No host that holds it has the analysers that read it.
	old := imageFilter(scope, api.ImageFilter{})
	old.and(`i.inventory <> 0 AND NOT EXISTS (SELECT 1 FROM host_image o JOIN host h ON h.id = o.host_id
		WHERE o.image_id = i.id AND h.revoked = 0 AND h.analyzers = i.analyzers)`)
	if d.Stale, err = t.count("image i", old); err != nil {
		return err
	}
	away := imageFilter(scope, api.ImageFilter{})
	away.and(`NOT EXISTS (SELECT 1 FROM host_image o JOIN host h ON h.id = o.host_id
		WHERE o.image_id = i.id AND h.revoked = 0 AND h.last_seen >= ?)`, t.now-OfflineAfter.Milliseconds())
	d.OfflineImages, err = t.count("image i", away)
	return err
}

func (t *tx) sumFindings(scope plimsoll.Scope, d *api.Dashboard) error {
	w := imageFilter(scope, api.ImageFilter{})
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
		"fixable", "kev", "uncovered", "problems", "unidentified", "system_ended") + " FROM image i" + w.String()
	err := t.row(query, w.args...).Scan(&d.System.Critical, &d.System.High, &d.System.Medium, &d.System.Low, &d.System.Unknown, &d.System.None,
		&d.Application.Critical, &d.Application.High, &d.Application.Medium, &d.Application.Low, &d.Application.Unknown, &d.Application.None,
		&d.Fixable, &d.KEV, &d.Uncovered, &d.ScanProblems, &d.Unidentified, &d.EndedSystems)
	if err != nil {
		return err
	}
	yesterday := t.now - (24 * time.Hour).Milliseconds()
	if scope.All {
		if err := t.row("SELECT count(*) FROM software WHERE images > 0").Scan(&d.Software); err != nil {
			return err
		}
		return t.row("SELECT count(DISTINCT vulnerability_id) FROM risk WHERE findings > 0 AND first_seen >= ?", yesterday).Scan(&d.NewSince)
	}
	sight, sightArgs := heldInSight(scope, "g.id")
	held, err := t.ids("SELECT g.id FROM image g WHERE g.gone = 0 AND "+sight, sightArgs...)
	if err != nil {
		return err
	}
	var software, vulnerabilities numbers
	err = t.eachShareOf(held, func(_, _ int64, data []byte) bool {
		return eachShare(data, func(id int64) { software.add(int(id)) }, func(key riskKey, r riskShare) {
			if r.open > 0 {
				vulnerabilities.add(int(key.vulnerability))
			}
		})
	})
	if err != nil {
		return err
	}
	d.Software = software.len()
	fresh, err := t.ids("SELECT DISTINCT vulnerability_id FROM risk WHERE findings > 0 AND first_seen >= ?", yesterday)
	for _, id := range fresh {
		d.NewSince += bit(vulnerabilities.has(int(id)))
	}
	return err
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
	rows, err := t.query("SELECT data FROM risk_day ORDER BY day DESC LIMIT ?", days)
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

// RecordRiskDay keeps today's open findings for the risk over time.
func (s *Store) RecordRiskDay(ctx context.Context) error {
	return s.write(ctx, "keep the risk of today", func(t *tx) error {
		var d api.Dashboard
		var err error
		if d.Images, err = t.count("image i", imageFilter(plimsoll.Everything, api.ImageFilter{})); err != nil {
			return err
		}
		if err := t.sumFindings(plimsoll.Everything, &d); err != nil {
			return err
		}
		p := api.RiskPoint{Day: moment(t.now).Format(time.DateOnly), Images: d.Images, KEV: d.KEV}
		for _, c := range []api.Counts{d.System, d.Application} {
			p.Findings.Critical += c.Critical
			p.Findings.High += c.High
			p.Findings.Medium += c.Medium
			p.Findings.Low += c.Low
			p.Findings.Unknown += c.Unknown
			p.Findings.None += c.None
		}
		data, err := json.Marshal(p)
		if err != nil {
			return err
		}
		_, err = t.exec("INSERT INTO risk_day (day, data) VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET data = excluded.data", p.Day, string(data))
		return err
	})
}
