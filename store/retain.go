package store

import (
	"context"
	"slices"
	"time"
)

// Rows that one transaction of Retain removes: a few of those on which many hang.
const (
	retainBatch = 1000
	retainHeavy = 20
)

// graceTime is how long layer facts without an image, and files of exports, stay.
const graceTime = 24 * time.Hour

// Retain removes what the settings say is too old: vanished images with their
// presences and inventories, history, ended tasks, exports after a day, layer
// facts of no live image, audit entries after the history's time. In small steps.
func (s *Store) Retain(ctx context.Context) (removed int64, err error) {
	settings, err := s.Settings(ctx)
	if err != nil {
		return 0, err
	}
	now := s.now()
	days := func(n int) int64 { return now.AddDate(0, 0, -n).UnixMilli() }
	presence, history, tasks := days(settings.KeepPresenceDays), days(settings.KeepHistoryDays), days(settings.KeepTaskDays)
	grace := now.Add(-graceTime).UnixMilli()
	for _, old := range []struct {
		find   string // IDs of rows to remove, of which a batch is taken
		args   []any
		batch  int      // rows of one transaction
		remove []string // what hangs on a row first; each has one parameter, the ID
	}{
		{"SELECT id FROM image WHERE gone > 0 AND gone <= ?", []any{presence}, retainHeavy, []string{
			"DELETE FROM effect WHERE image_id = ?", "DELETE FROM instance WHERE image_id = ?", "DELETE FROM contents WHERE image_id = ?", "DELETE FROM image_system WHERE image_id = ?",
			"DELETE FROM image_problem WHERE image_id = ?", "DELETE FROM scan WHERE image_id = ?", "DELETE FROM presence WHERE image_id = ?",
			"DELETE FROM container WHERE image_id = ?", "DELETE FROM image_layer WHERE image_id = ?", "DELETE FROM work WHERE image_id = ?",
			"DELETE FROM image WHERE id = ?"}},
		{"SELECT id FROM presence WHERE gone > 0 AND gone <= ?", []any{presence}, retainBatch, []string{"DELETE FROM presence WHERE id = ?"}},
		{"SELECT id FROM image_reference n WHERE NOT EXISTS (SELECT 1 FROM presence p WHERE p.name_lower = n.name_lower AND p.image_id = n.image_id)", nil, retainBatch, []string{
			"DELETE FROM image_reference WHERE id = ?"}},
		{"SELECT id FROM container WHERE gone > 0 AND gone <= ?", []any{presence}, retainBatch, []string{"DELETE FROM container WHERE id = ?"}},
		{"SELECT id FROM layer WHERE NOT EXISTS (SELECT 1 FROM image_layer WHERE layer_id = layer.id)", nil, retainBatch, []string{"DELETE FROM layer WHERE id = ?"}},
		{"SELECT id FROM software WHERE first_seen <= ? AND NOT EXISTS (SELECT 1 FROM instance WHERE software_id = software.id)", []any{presence}, retainBatch, []string{
			"DELETE FROM match WHERE software_id = ?", "DELETE FROM software_path WHERE software_id = ?", "DELETE FROM software WHERE id = ?"}},
		{"SELECT id FROM match WHERE gone > 0 AND gone <= ?", []any{history}, retainBatch, []string{"DELETE FROM effect WHERE match_id = ?", "DELETE FROM match WHERE id = ?"}},
		{"SELECT id FROM change WHERE at <= ?", []any{history}, retainBatch, []string{"DELETE FROM change WHERE id = ?"}},
		// The first scan says since when an image is known, the last how it is.
		{"SELECT id FROM scan WHERE stored <= ? AND id > (SELECT min(id) FROM scan other WHERE other.image_id = scan.image_id) " +
			"AND id < (SELECT max(id) FROM scan other WHERE other.image_id = scan.image_id)", []any{history}, retainBatch, []string{"DELETE FROM scan WHERE id = ?"}},
		{"SELECT id FROM audit WHERE at <= ?", []any{history}, retainBatch, []string{"DELETE FROM audit WHERE id = ?"}},
		{"SELECT day FROM risk_day WHERE day <= ?", []any{moment(history).Format(time.DateOnly)}, retainBatch, []string{"DELETE FROM risk_day WHERE day = ?"}},
		{"SELECT id FROM export WHERE created <= ? AND state NOT IN ('queued', 'running')", []any{grace}, retainHeavy, []string{
			"DELETE FROM export_part WHERE export_id = ?", "DELETE FROM export WHERE id = ?"}},
		{"SELECT id FROM task WHERE ended > 0 AND ended <= ?", []any{tasks}, retainHeavy, []string{"DELETE FROM task_item WHERE task_id = ?", "DELETE FROM task WHERE id = ?"}},
		{"SELECT key FROM layer_facts WHERE stored <= ? AND NOT EXISTS (SELECT 1 FROM layer JOIN image_layer ON image_layer.layer_id = layer.id " +
			"JOIN image ON image.id = image_layer.image_id WHERE layer.diff_id = layer_facts.diff_id AND image.gone = 0)", []any{grace}, retainBatch, []string{"DELETE FROM layer_facts WHERE key = ?"}},
		{"SELECT token FROM session WHERE expires <= ?", []any{now.UnixMilli()}, retainBatch, []string{"DELETE FROM session WHERE token = ?"}},
		{"SELECT id FROM enrolment_token WHERE expires <= ?", []any{history}, retainBatch, []string{"DELETE FROM enrolment_token WHERE id = ?"}},
	} {
		for {
			n, err := s.retain(ctx, old.find, old.args, old.batch, old.remove)
			removed += n
			if err != nil {
				return removed, err
			}
			if n < int64(old.batch) {
				break
			}
		}
	}
	return removed, nil
}

// retain removes one batch. What is to be removed is looked up once more in the
// transaction: an image may have come back.
func (s *Store) retain(ctx context.Context, find string, args []any, batch int, remove []string) (n int64, err error) {
	find += " LIMIT ?"
	args = append(slices.Clone(args), batch)
	look := func(t *tx) (keys []any, err error) {
		rows, err := t.query(find, args...)
		err = each(rows, err, func(scan func(...any) error) error {
			var key any
			err := scan(&key)
			if text, ok := key.([]byte); ok {
				key = string(text)
			}
			keys = append(keys, key)
			return err
		})
		return keys, err
	}
	err = s.read(ctx, "look for what is too old", func(t *tx) error {
		keys, err := look(t)
		n = int64(len(keys))
		return err
	})
	if err != nil || n == 0 {
		return 0, err
	}
	err = s.writeFindings(ctx, "remove what is too old", func(t *tx) error {
		keys, err := look(t)
		if err != nil {
			return err
		}
		for _, statement := range remove {
			for _, key := range keys {
				if _, err := t.exec(statement, key); err != nil {
					return err
				}
			}
		}
		n = int64(len(keys))
		return nil
	})
	return n, err
}
