package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"plimsoll"
	"plimsoll/agent"
	"plimsoll/api"
	"plimsoll/sample"
	"plimsoll/server"
	"plimsoll/vulndb"
)

func (a *app) upCommand() *cobra.Command {
	var o consoleOptions
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run console and agent for this host in one process",
		Long: `Up is a fleet of one host: a console with an embedded database, reachable from
this host alone, and the agent of this host. Where no engine holds an image that
can be read it shows sample images that it makes itself; where advisories were
never fetched it fetches them, and uses a small dated sample if that fails. It says
so in both cases. With --listen further hosts can join: plimsoll agent join.`,
		Example: `  plimsoll up
  plimsoll up --listen 192.0.2.1:8443`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			if err := a.seeImages(cmd.Context()); err != nil {
				return err
			}
			if len(a.host.Inputs) > 0 { // sample images are known to the sample
				if err := a.useSampleAdvisories(cmd.Context()); err != nil {
					return err
				}
			}
			o.sample = true
			return a.serve(cmd.Context(), o, a.ownAgent)
		},
	}
	o.flags(cmd)
	return cmd
}

// seeImages makes sample images when this host holds none that can be read.
func (a *app) seeImages(ctx context.Context) error {
	h, err := a.openHost(ctx)
	if err != nil {
		return err
	}
	found := len(h.Images(ctx))
	h.Close()
	if found > 0 {
		return nil
	}
	a.noteProblems(h.Problems)
	return a.useSampleImages("showing")
}

// useSampleImages makes the sample images and looks at nothing else.
func (a *app) useSampleImages(doing string) error {
	dir := filepath.Join(a.cacheDir, "sample-images")
	if err := os.RemoveAll(dir); err != nil {
		return plimsoll.Errorf(plimsoll.CodeUnreadable, "make sample images in --cache-dir", "%w", err)
	}
	if err := sample.Write(dir); err != nil {
		return err
	}
	a.note("No container engine on this host holds an image that can be read: %s SAMPLE IMAGES made by Plimsoll.\n", doing)
	a.host.Inputs = []string{dir}
	return nil
}

// useSampleAdvisories activates the built-in sample where there are no advisories.
// Real ones replace it as soon as they come.
func (a *app) useSampleAdvisories(ctx context.Context) error {
	d, err := vulndb.Acquire(a.dbDir())
	if err != nil {
		return err
	}
	defer d.Release()
	db, err := vulndb.OpenCurrent(a.dbDir())
	if err == nil {
		return db.Close()
	}
	if plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
		return err
	}
	w := d.NewWriter()
	if err := writeSample(ctx, w); err != nil {
		return err
	}
	if _, err := d.Activate(ctx, false); err != nil {
		return err
	}
	a.noteSample()
	return nil
}

// ownAgent is the agent of the console's own host. It joins like any other, over
// loopback, and again when the console is not the one it knew: its database was
// made anew.
func (a *app) ownAgent(ctx context.Context, s *server.Server, url string) error {
	c, err := a.agentConfig("")
	if err != nil {
		return err
	}
	c.Shared, c.Console = true, url
	if m, err := agent.Joined(c.StateDir); err != nil || m.Pin != s.Pin() {
		token, err := s.NewEnrolmentToken(ctx, "plimsoll up", api.EnrolmentTokenRequest{})
		if err != nil {
			return err
		}
		if _, err := agent.Join(ctx, c, url, token.Secret); err != nil {
			return err
		}
	}
	err = agent.Run(ctx, c)
	if errors.Is(err, agent.ErrRevoked) { // an administrator's wish; the console goes on
		a.note("The agent of this host has been revoked: the console no longer sees this host.")
		<-ctx.Done()
		return nil
	}
	return err
}
