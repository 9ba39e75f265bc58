package store

import (
	"context"
	"fmt"

	"plimsoll"
)

// Figures are what the metrics show: values by their names and labels as
// Prometheus writes them, "plimsoll_hosts{state=\"online\"}".
func (s *Store) Figures(ctx context.Context) (map[string]float64, error) {
	figures := map[string]float64{}
	err := s.read(ctx, "count for the metrics", func(t *tx) error {
		for _, state := range []plimsoll.AgentState{plimsoll.AgentOnline, plimsoll.AgentLate, plimsoll.AgentOffline, plimsoll.AgentNever, plimsoll.AgentRevoked} {
			var w where
			condition, args := stateCondition(state, t.now)
			w.and(condition, args...)
			n, err := t.count("host h", w)
			if err != nil {
				return err
			}
			figures[fmt.Sprintf("plimsoll_hosts{state=%q}", state)] = float64(n)
		}
		for _, state := range []plimsoll.ScanState{plimsoll.ImageNever, plimsoll.ImageSucceeded, plimsoll.ImagePartial, plimsoll.ImageFailed, plimsoll.ImageUnreadable} {
			figures[fmt.Sprintf("plimsoll_images{state=%q}", state)] = 0
		}
		if err := t.figures(figures, "plimsoll_images{state=%q}", "SELECT state, count(*) FROM image WHERE gone = 0 GROUP BY state"); err != nil {
			return err
		}
		for state, name := range map[string]string{"queued": "plimsoll_work_queued", "leased": "plimsoll_work_leased"} {
			var w where
			w.and("state = ?", state)
			n, err := t.count("work", w)
			if err != nil {
				return err
			}
			figures[name] = float64(n)
		}
		var counts [6]float64
		if err := t.row("SELECT COALESCE(sum(s_critical + a_critical), 0), COALESCE(sum(s_high + a_high), 0), COALESCE(sum(s_medium + a_medium), 0), "+
			"COALESCE(sum(s_low + a_low), 0), COALESCE(sum(s_unknown + a_unknown), 0), COALESCE(sum(s_none + a_none), 0) FROM image WHERE gone = 0").
			Scan(&counts[0], &counts[1], &counts[2], &counts[3], &counts[4], &counts[5]); err != nil {
			return err
		}
		for i, severity := range []string{"critical", "high", "medium", "low", "unknown", "none"} {
			figures[fmt.Sprintf("plimsoll_findings_open{severity=%q}", severity)] = counts[i]
		}
		var generation, built, pending, dropped, size float64
		if err := t.row("SELECT COALESCE(max(id), 0) FROM generation").Scan(&generation); err != nil {
			return err
		}
		if generation > 0 { // without advisories there is no age
			if err := t.row("SELECT built FROM generation WHERE id = ?", int64(generation)).Scan(&built); err != nil {
				return err
			}
			figures["plimsoll_database_age_seconds"] = (float64(t.now) - built) / 1000
		}
		sizeOf := "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
		if t.s.dialect == postgres {
			sizeOf = "SELECT pg_database_size(current_database())"
		}
		for query, value := range map[string]*float64{
			"SELECT count(*) FROM software WHERE generation < (SELECT COALESCE(max(id), 0) FROM generation)": &pending,
			"SELECT COALESCE(sum(spool_dropped), 0) FROM host":                                               &dropped,
			sizeOf: &size,
		} {
			if err := t.row(query).Scan(value); err != nil {
				return err
			}
		}
		figures["plimsoll_software_pending"] = pending
		figures["plimsoll_spool_dropped_total"] = dropped
		figures["plimsoll_store_bytes"] = size
		return nil
	})
	return figures, err
}

// figures adds the rows of a query, each a label's value and a number.
func (t *tx) figures(into map[string]float64, name, query string) error {
	rows, err := t.query(query)
	return each(rows, err, func(scan func(...any) error) error {
		var label string
		var n float64
		err := scan(&label, &n)
		into[fmt.Sprintf(name, label)] = n
		return err
	})
}
