package docker

import (
	"errors"
	"io/fs"
	"strings"
	"time"

	"plimsoll"
	"plimsoll/engine"
)

// containers returns the containers of each image, sorted by ID. The records
// carry the state that the daemon wrote last.
func (s *Store) containers() (map[plimsoll.Digest][]plimsoll.Container, []plimsoll.Problem) {
	found := map[plimsoll.Digest][]plimsoll.Container{}
	var problems []plimsoll.Problem
	ids, err := s.dir.List("containers")
	if err != nil {
		problems = append(problems, containerProblem(err))
	}
	for _, id := range ids {
		if _, err := plimsoll.ParseDigest("sha256:" + id); err != nil {
			continue // not made by the daemon
		}
		var c container
		err := s.dir.JSON("containers/"+id+"/config.v2.json", engine.MaxDocument, &c)
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed since it was listed
		case err != nil:
			problems = append(problems, containerProblem(err))
		case c.Driver == s.driver:
			found[c.Image] = append(found[c.Image], plimsoll.Container{
				ID: id, Name: strings.TrimPrefix(c.Name, "/"), State: c.State.word(), Pod: engine.Pod(c.Config.Labels),
			})
		}
	}
	return found, problems
}

func containerProblem(err error) plimsoll.Problem {
	p := engine.ProblemOf(err)
	p.Detail = "A container of Docker is not shown: " + p.Detail
	return p
}

// container is the part of a container's record that we use.
type container struct {
	Name   string
	Image  plimsoll.Digest // image ID
	Driver string
	State  state
	Config struct{ Labels map[string]string }
}

type state struct {
	Running, Paused, Restarting, RemovalInProgress, Dead bool
	StartedAt                                            time.Time
}

// word is Docker's own: what docker ps --format {{.State}} prints.
func (s state) word() string {
	switch {
	case s.Running && s.Paused:
		return "paused"
	case s.Restarting:
		return "restarting"
	case s.Running:
		return "running"
	case s.RemovalInProgress:
		return "removing"
	case s.Dead:
		return "dead"
	case s.StartedAt.IsZero():
		return "created"
	}
	return "exited"
}
