package store

import "context"

// loseLeases queues what a host's agent was reading when it ended without a word:
// it was started again and reads nothing now. The first time the agent may go on
// at once; an image that takes it down again and again waits, and fails in the end.
func (s *Store) loseLeases(ctx context.Context, hostID int64) error {
	changed := false
	err := s.writeWork(ctx, "queue lost work again", func(t *tx) error {
		var w sweep
		rows, err := t.query("SELECT image_id, attempts FROM work WHERE host_id = ? AND state = 'leased' ORDER BY image_id", hostID)
		err = each(rows, err, func(scan func(...any) error) error {
			var l lostLease
			err := scan(&l.image, &l.attempts)
			w.lost = append(w.lost, l)
			return err
		})
		changed = len(w.lost) > 0
		if err != nil {
			return err
		}
		if err := t.sweep(w); err != nil {
			return err
		}
		for _, l := range w.lost {
			if _, err := t.exec("UPDATE work SET not_before = ? WHERE image_id = ?", t.now+(l.attempts-1)*retryAfter.Milliseconds(), l.image); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && changed {
		s.Ring(ctx, TopicWork)
		s.Ring(ctx, TopicTasks)
	}
	return err
}
