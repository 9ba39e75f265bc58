package store

import (
	"context"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// NewScan is a scan to start.
type NewScan struct {
	Title     string
	CreatedBy string
	Scope     plimsoll.Scope
	Images    []int64 // from SelectImages
	Force     bool
	Priority  int64 // higher first; people ask with 10, schedules with 0
}

// StartScan starts a task with one item for each image. An image that the fleet
// has read already with the newest analysers of a host that holds it, completely,
// is done at once unless Force; one that is being read is waited for, not read
// twice. Items of images that no online host holds wait.
func (s *Store) StartScan(ctx context.Context, n NewScan) (api.Task, error) { panic("todo S3") }

// StartSync starts a task that asks hosts for their images.
func (s *Store) StartSync(ctx context.Context, scope plimsoll.Scope, who string, r api.SyncRequest) (api.Task, error) {
	panic("todo S3")
}

// StartTask starts a task without items (export, database). Its state is then
// set by SetTask.
func (s *Store) StartTask(ctx context.Context, kind plimsoll.TaskKind, title, who string, scope plimsoll.Scope) (api.Task, error) {
	panic("todo S3")
}

// SetTask sets the progress and state of a task that StartTask made.
func (s *Store) SetTask(ctx context.Context, id int64, state plimsoll.TaskState, done, total int64, detail string) error {
	panic("todo S3")
}

// Tasks lists tasks, newest first. Scoped users see those whose items they see
// and those that they started; counts are those in scope.
func (s *Store) Tasks(ctx context.Context, scope plimsoll.Scope, who string, f api.TaskFilter, l api.List) (api.Page[api.Task], error) {
	panic("todo S3")
}

// Task returns one.
func (s *Store) Task(ctx context.Context, scope plimsoll.Scope, who string, id int64) (api.Task, error) {
	panic("todo S3")
}

// TaskItems lists the items of a task; state narrows when not empty.
func (s *Store) TaskItems(ctx context.Context, scope plimsoll.Scope, who string, id int64, state string, l api.List) (api.Page[api.TaskItem], error) {
	panic("todo S3")
}

// StopTask stops a task: queued items are cancelled, running ones are told to
// stop and cancelled; images that another task also wants go on.
func (s *Store) StopTask(ctx context.Context, scope plimsoll.Scope, who string, id int64) (api.Task, error) {
	panic("todo S3")
}

// RetryTask starts a new task with the failed, partial and cancelled items of one.
func (s *Store) RetryTask(ctx context.Context, scope plimsoll.Scope, who string, id int64) (api.Task, error) {
	panic("todo S3")
}

// WorkFor hands out what a host should do now: sync requests, and the lease of
// one image when it has fewer than the settings allow, the window is open and
// the fleet's rate permits. No image and no layer is read by two hosts at once:
// an image whose unknown layers another lease is reading waits.
func (s *Store) WorkFor(ctx context.Context, hostID int64) (api.Work, error) { panic("todo S3") }

// LeaseTime is how long a lease lasts without being renewed.
const LeaseTime = 90 * time.Second

// RenewLease renews a lease and notes progress; Stop when it is lost.
func (s *Store) RenewLease(ctx context.Context, hostID int64, lease string, p api.Progress) (api.ProgressAnswer, error) {
	panic("todo S3")
}

// ReturnLease gives a lease back undone (the agent stops): the image is queued
// again and no attempt is counted.
func (s *Store) ReturnLease(ctx context.Context, hostID int64, lease string) error { panic("todo S3") }

// SweepWork queues images whose lease has run out (the third time they fail),
// fails items whose image no host holds any more, ends tasks, and returns how
// much it changed. Called every few seconds by one console.
func (s *Store) SweepWork(ctx context.Context) (int, error) { panic("todo S3") }

// finishWork ends the work on an image and every task item that waits for it.
func (t *tx) finishWork(imageID, hostID int64, state plimsoll.TaskState, code, detail string) error {
	panic("todo S3")
}

// leaseOf returns the host that holds or last held the lease, and the image;
// sql.ErrNoRows when the lease was never given or its image has been leased anew.
func (t *tx) leaseOf(lease string) (hostID, imageID int64, err error) { panic("todo S3") }

// answerSync ends the items of sync requests for a host.
func (t *tx) answerSync(hostID int64, tasks []int64) error { panic("todo S3") }

// Schedules lists schedules by name.
func (s *Store) Schedules(ctx context.Context) ([]api.Schedule, error) { panic("todo S3") }

// PutSchedule adds a schedule (ID 0) or replaces one; next is when it runs next,
// zero for triggers that are no times.
func (s *Store) PutSchedule(ctx context.Context, sch api.Schedule, next time.Time) (int64, error) {
	panic("todo S3")
}

// RemoveSchedule removes one.
func (s *Store) RemoveSchedule(ctx context.Context, id int64) error { panic("todo S3") }

// DueSchedules returns enabled cron schedules whose time has come and moves each
// to next(cron); of several consoles one gets it.
func (s *Store) DueSchedules(ctx context.Context, next func(cron string, after time.Time) time.Time) ([]api.Schedule, error) {
	panic("todo S3")
}

// NoteSchedule notes the task that a schedule started.
func (s *Store) NoteSchedule(ctx context.Context, id, task int64) error { panic("todo S3") }
