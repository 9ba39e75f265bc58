package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/robfig/cron/v3"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/store"
)

// Priorities of scans: people do not wait behind schedules.
const (
	priorityPeople   = 10
	prioritySchedule = 0
)

func (s *Server) taskRoutes() {
	route(s, operator, op("POST", "/scans", "start-scan", "Tasks", "Scan images"), s.startScan)
	route(s, operator, op("POST", "/syncs", "start-sync", "Tasks", "Ask hosts for their images now"), func(ctx context.Context, c *caller, in *struct{ Body api.SyncRequest }) (api.Task, error) {
		return s.Store.StartSync(ctx, c.scope, c.name, in.Body)
	})
	route(s, viewer, op("GET", "/tasks", "list-tasks", "Tasks", "List tasks, newest first"), func(ctx context.Context, c *caller, in *tasksInput) (api.Page[api.Task], error) {
		return s.Store.Tasks(ctx, c.scope, c.name, in.TaskFilter, in.list(""))
	})
	route(s, viewer, op("GET", "/tasks/{id}", "get-task", "Tasks", "One task with its progress"), func(ctx context.Context, c *caller, in *ByID) (api.Task, error) {
		return s.Store.Task(ctx, c.scope, c.name, in.ID)
	})
	route(s, viewer, op("GET", "/tasks/{id}/items", "list-task-items", "Tasks", "Images or hosts of a task"), func(ctx context.Context, c *caller, in *taskItemsInput) (api.Page[api.TaskItem], error) {
		return s.Store.TaskItems(ctx, c.scope, c.name, in.ID, in.State, in.list(""))
	})
	route(s, operator, op("POST", "/tasks/{id}/stop", "stop-task", "Tasks", "Stop a task"), func(ctx context.Context, c *caller, in *ByID) (api.Task, error) {
		task, err := s.Store.StopTask(ctx, c.scope, c.name, in.ID)
		if err == nil && task.Kind == plimsoll.TaskDatabase {
			s.Store.Ring(ctx, store.TopicJobs) // who works on it looks
		}
		return task, err
	})
	route(s, operator, op("POST", "/tasks/{id}/retry", "retry-task", "Tasks", "Do again what failed or was stopped"), func(ctx context.Context, c *caller, in *ByID) (api.Task, error) {
		return s.Store.RetryTask(ctx, c.scope, c.name, in.ID)
	})

	route(s, viewer, op("GET", "/schedules", "list-schedules", "Tasks", "List schedules"), s.listSchedules)
	route(s, operator, op("POST", "/schedules", "add-schedule", "Tasks", "Add a schedule"), func(ctx context.Context, c *caller, in *struct{ Body api.Schedule }) (created, error) {
		in.Body.ID, in.Body.CreatedBy = 0, c.name
		return s.putSchedule(ctx, in.Body)
	})
	route(s, operator, op("PUT", "/schedules/{id}", "change-schedule", "Tasks", "Replace a schedule"), s.changeSchedule)
	command(s, operator, op("DELETE", "/schedules/{id}", "remove-schedule", "Tasks", "Remove a schedule"), func(ctx context.Context, c *caller, in *ByID) error {
		if _, err := s.schedule(ctx, c, in.ID); err != nil {
			return err
		}
		return s.Store.RemoveSchedule(ctx, in.ID)
	})

	events := op("GET", "/events", "watch", "Tasks", "Server-sent events: a task's progress until it ends, or what has changed")
	events.Parameters = []*huma.Param{{Name: "task", In: "query", Schema: &huma.Schema{Type: "integer"},
		Description: "ID of a task; without it, events named tasks, generation, work, fleet and decisions say that something of the kind changed"}}
	events.Responses = map[string]*huma.Response{"200": {Description: "Events", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: "string"}}}}}
	s.document(events, rule{need: viewer, time: -1}, s.watch)
}

type tasksInput struct {
	api.TaskFilter
	Paging
}

type taskItemsInput struct {
	ByID
	State string `query:"state" enum:"queued,running,succeeded,partial,failed,cancelled" doc:"of the item"`
	Paging
}

func (s *Server) startScan(ctx context.Context, c *caller, in *struct{ Body api.ScanRequest }) (api.Task, error) {
	images, err := s.Store.SelectImages(ctx, c.scope, in.Body.Selection)
	if err != nil {
		return api.Task{}, err
	}
	if len(images) == 0 {
		return api.Task{}, plimsoll.Errorf(plimsoll.CodeNotFound, "start a scan", "no image fits")
	}
	title := in.Body.Title
	if title == "" {
		title = fmt.Sprintf("Scan of %d images", len(images))
		if len(images) == 1 {
			title = "Scan of one image"
		}
	}
	return s.Store.StartScan(ctx, store.NewScan{Title: title, CreatedBy: c.name, Scope: c.scope, Images: images, Force: in.Body.Force, Priority: priorityPeople})
}

// listSchedules lists those of the whole fleet, or the caller's own.
func (s *Server) listSchedules(ctx context.Context, c *caller, _ *struct{}) (items[api.Schedule], error) {
	list, err := s.Store.Schedules(ctx)
	list = slices.DeleteFunc(list, func(sch api.Schedule) bool { return !c.scope.All && sch.CreatedBy != c.name })
	return itemsOf(list, err)
}

func (s *Server) schedule(ctx context.Context, c *caller, id int64) (api.Schedule, error) {
	list, err := s.listSchedules(ctx, c, nil)
	if err != nil {
		return api.Schedule{}, err
	}
	for _, sch := range list.Items {
		if sch.ID == id {
			return sch, nil
		}
	}
	return api.Schedule{}, plimsoll.Errorf(plimsoll.CodeNotFound, "find schedule", "there is no schedule %d", id)
}

type changeScheduleInput struct {
	ByID
	Body api.Schedule
}

// changeSchedule makes the caller the one within whose sight it runs.
func (s *Server) changeSchedule(ctx context.Context, c *caller, in *changeScheduleInput) (created, error) {
	if _, err := s.schedule(ctx, c, in.ID); err != nil {
		return created{}, err
	}
	in.Body.ID, in.Body.CreatedBy = in.ID, c.name
	return s.putSchedule(ctx, in.Body)
}

func (s *Server) putSchedule(ctx context.Context, sch api.Schedule) (created, error) {
	const op = "keep the schedule"
	var next time.Time
	switch sch.Trigger {
	case "cron":
		plan, err := cron.ParseStandard(sch.Cron)
		if err != nil {
			return created{}, plimsoll.Errorf(plimsoll.CodeInvalid, op, "%w", err)
		}
		if next = plan.Next(s.Now().UTC()); next.IsZero() {
			return created{}, plimsoll.Errorf(plimsoll.CodeInvalid, op, "%q never comes", sch.Cron)
		}
	default:
		sch.Cron = ""
	}
	id, err := s.Store.PutSchedule(ctx, sch, next)
	return created{id}, err
}

// nextRun is when a schedule runs after a time, in UTC.
func nextRun(text string, after time.Time) time.Time {
	plan, err := cron.ParseStandard(text)
	if err != nil {
		return time.Time{}
	}
	return plan.Next(after.UTC())
}

// scopeOf returns what the maker of a schedule sees now; nothing when there is
// no such user any more.
func (s *Server) scopeOf(ctx context.Context, name string) (plimsoll.Scope, error) {
	a, err := s.Store.AccountByName(ctx, name)
	if plimsoll.CodeOf(err) == plimsoll.CodeNotFound || err == nil && (a.Disabled || !a.Role.Allows(plimsoll.RoleOperator)) {
		return plimsoll.Scope{}, nil
	}
	return a.Scope(), err
}

// runSchedules starts what is due.
func (s *Server) runSchedules(ctx context.Context) error {
	due, err := s.Store.DueSchedules(ctx, nextRun)
	if err != nil {
		return err
	}
	for _, sch := range due {
		if err := s.runSchedule(ctx, sch, sch.Selection); err != nil {
			s.Log.ErrorContext(ctx, "schedule not run", "schedule", sch.ID, "error", err)
		}
	}
	return nil
}

func (s *Server) runSchedule(ctx context.Context, sch api.Schedule, sel api.Selection) error {
	scope, err := s.scopeOf(ctx, sch.CreatedBy)
	if err != nil {
		return err
	}
	images, err := s.Store.SelectImages(ctx, scope, sel)
	if err != nil || len(images) == 0 {
		return err
	}
	task, err := s.Store.StartScan(ctx, store.NewScan{
		Title: "Schedule: " + sch.Name, CreatedBy: sch.CreatedBy, Scope: scope, Images: images,
		Force: sch.Trigger == "cron" && !sch.Changed, Priority: prioritySchedule,
	})
	if err != nil {
		return err
	}
	return s.Store.NoteSchedule(ctx, sch.ID, task.ID)
}

// afterSync starts the scans that wait for new or pulled images of a host.
func (s *Server) afterSync(ctx context.Context, hostID int64, effect store.SyncEffect) error {
	if len(effect.New) == 0 && len(effect.Pulled) == 0 {
		return nil
	}
	schedules, err := s.Store.Schedules(ctx)
	if err != nil {
		return err
	}
	var labels plimsoll.Labels
	for _, sch := range schedules {
		images := effect.New
		switch {
		case !sch.Enabled, sch.Trigger != "new-image" && sch.Trigger != "pull":
			continue
		case sch.Trigger == "pull":
			images = effect.Pulled
		}
		if len(images) == 0 || len(sch.Selection.Hosts) > 0 && !slices.Contains(sch.Selection.Hosts, hostID) {
			continue
		}
		if sch.Selection.Label != "" {
			if labels == nil {
				host, err := s.Store.Host(ctx, plimsoll.Everything, hostID)
				if err != nil {
					return err
				}
				labels = host.Labels
			}
			if !(plimsoll.Scope{Labels: []string{sch.Selection.Label}}).Sees(labels) {
				continue
			}
		}
		sel := api.Selection{Images: images}
		if sch.Selection.Filter != nil {
			f := *sch.Selection.Filter
			f.IDs = images
			sel = api.Selection{Filter: &f}
		}
		if err := s.runSchedule(ctx, sch, sel); err != nil {
			return err
		}
	}
	return nil
}

// watch streams a task's progress, or what has changed.
func (s *Server) watch(w http.ResponseWriter, r *http.Request) {
	const most = 500 * time.Millisecond // looks at the store at most this often
	const beat = 15 * time.Second
	const patience = 10 * time.Second // with a reader that does not read
	ctx := r.Context()
	var id int64
	if text := r.URL.Query().Get("task"); text != "" {
		var err error
		if id, err = strconv.ParseInt(text, 10, 64); err != nil {
			s.fail(w, r, plimsoll.Errorf(plimsoll.CodeInvalid, "watch a task", "%q is no number", text))
			return
		}
	}
	control := http.NewResponseController(w)
	say := func(text string) bool {
		control.SetWriteDeadline(time.Now().Add(patience))
		_, err := w.Write([]byte(text))
		if err == nil {
			err = control.Flush()
		}
		control.SetWriteDeadline(time.Time{}) // one in force ends a stream in which nothing is written, too
		return err == nil
	}
	tasks, generation := s.Store.Wait(store.TopicTasks), s.Store.Wait(store.TopicGeneration)
	fleet, decisions := s.Store.Wait(store.TopicFleet), s.Store.Wait(store.TopicDecisions)
	if id != 0 {
		generation, fleet, decisions = nil, nil, nil
	}
	told := ""
	for news := "hello"; ; {
		text := "event: " + news + "\ndata: {}\n\n"
		// Who is removed or loses sight of the task is told no more.
		c, err := s.authenticate(r)
		ended := false
		if err == nil && id != 0 {
			text, ended, err = s.taskEvent(ctx, &c, id)
		}
		if err != nil {
			if told == "" {
				s.fail(w, r, err)
			}
			return
		}
		switch {
		case id == 0 && news != "beat", id != 0 && text != told:
			told = text
		case news == "beat":
			text = ": still here\n\n"
		default:
			text = ""
		}
		w.Header().Set("Content-Type", "text/event-stream")
		if text != "" && !say(text) || ended {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-s.stopping.Done():
			return
		case <-time.After(most):
		}
		wait := time.NewTimer(beat)
		select { // what has rung meanwhile is heard now
		case <-ctx.Done():
			return
		case <-s.stopping.Done():
			return
		case <-tasks:
			tasks, news = s.Store.Wait(store.TopicTasks), "tasks"
		case <-generation:
			generation, news = s.Store.Wait(store.TopicGeneration), "generation"
		case <-fleet:
			fleet, news = s.Store.Wait(store.TopicFleet), "fleet"
		case <-decisions:
			decisions, news = s.Store.Wait(store.TopicDecisions), "decisions"
		case <-wait.C:
			news = "beat"
		}
		wait.Stop()
	}
}

// taskEvent is a task as an event, and whether it has ended.
func (s *Server) taskEvent(ctx context.Context, c *caller, id int64) (text string, ended bool, err error) {
	t, err := s.Store.Task(ctx, c.scope, c.name, id)
	if err != nil {
		return "", false, err
	}
	data, err := json.Marshal(t)
	return fmt.Sprintf("event: task\ndata: %s\n\n", data), t.State.Final(), err
}
