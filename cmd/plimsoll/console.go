package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"plimsoll"
	"plimsoll/server"
	"plimsoll/store"
	"plimsoll/vulndb/feed"
)

// consoleOptions say where a console listens and keeps its state.
type consoleOptions struct {
	listen      string
	database    string
	publicURL   string
	certificate string
	key         string
	feed        feed.Options
	sample      bool // judge by the built-in sample when no advisories can be fetched
}

func (o *consoleOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", defaultListen, "address and port to listen on; the default is reachable from this host alone")
	f.StringVar(&o.publicURL, "public-url", "", "how hosts and browsers reach the console (default: https:// and the address)")
	f.StringVar(&o.certificate, "cert", "", "certificate file (PEM) for browsers, instead of one from the console's own CA")
	f.StringVar(&o.key, "key", "", "its key file")
	databaseFlag(cmd, &o.database)
	feedFlags(cmd, &o.feed)
}

const defaultListen = "127.0.0.1:8443"

// databaseFlag is shared by all commands that work on a console's database. A
// password belongs into the environment (PLIMSOLL_DATABASE), not into the
// command line, which every user of the host can read.
func databaseFlag(cmd *cobra.Command, database *string) {
	cmd.Flags().StringVar(database, "database", "", "a SQLite file or postgres:// URL (default: fleet.sqlite in --data-dir); better given as PLIMSOLL_DATABASE")
}

// sharedDatabase says whether a database is one that several consoles can share.
func sharedDatabase(dsn string) bool {
	return strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://")
}

// dsn is where the fleet's database is.
func (a *app) dsn(database string) string {
	return cmp.Or(database, filepath.Join(a.dataDir, "fleet.sqlite"))
}

// openStore opens the fleet's database.
func (a *app) openStore(ctx context.Context, database string) (*store.Store, error) {
	dsn := a.dsn(database)
	if scheme, _, ok := strings.Cut(dsn, "://"); ok && !sharedDatabase(dsn) { // it may hold a password: do not make a file of it
		return nil, usagef("--database: %q is no kind of database; give postgres://… or a file", scheme)
	}
	return store.Open(ctx, store.Options{DSN: dsn, Log: a.log})
}

func (a *app) consoleCommand() *cobra.Command {
	var o consoleOptions
	cmd := &cobra.Command{
		Use:   "console",
		Short: "Run the console that agents report to and people look at",
		Long: `Console keeps the state of a fleet, judges what its agents read, and serves the
API. Several consoles can share one PostgreSQL database. At the first start it
prints a one-time link with which the first administrator is made.`,
		Example: `  plimsoll console
  plimsoll console --listen 192.0.2.1:8443 --public-url https://plimsoll.example:8443
  PLIMSOLL_DATABASE=postgres://plimsoll:…@db/plimsoll plimsoll console --listen :8443`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.serve(cmd.Context(), o, nil)
		},
	}
	o.flags(cmd)
	return cmd
}

// check refuses what cannot work, before anything is made.
func (o *consoleOptions) check() error {
	if (o.certificate == "") != (o.key == "") {
		return usagef("give --cert and --key together")
	}
	if _, _, err := net.SplitHostPort(o.listen); err != nil {
		return usagef("--listen: %w", err)
	}
	return nil
}

// serve runs a console until ctx ends. beside, if given, runs next to it once it
// answers, and ends it when it fails.
func (a *app) serve(ctx context.Context, o consoleOptions, beside func(ctx context.Context, s *server.Server, url string) error) error {
	if err := o.check(); err != nil {
		return err
	}
	host, _, _ := net.SplitHostPort(o.listen)
	if err := os.MkdirAll(a.dataDir, 0o700); err != nil {
		return plimsoll.Errorf(plimsoll.CodeUnreadable, "make the data directory", "%w", err)
	}
	release, err := lockDirectory(a.dataDir)
	if err != nil {
		return err
	}
	defer release()
	st, err := a.openStore(ctx, o.database)
	if err != nil {
		return err
	}
	defer st.Close()
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return plimsoll.Errorf(plimsoll.CodeUnavailable, "listen", "%w", err)
	}
	defer listener.Close()
	address := listener.Addr().String() // with the port, when it was 0
	public := cmp.Or(o.publicURL, "https://"+address)
	names := []string{host}
	if u, err := url.Parse(public); err != nil || u.Scheme != "https" || u.Host == "" {
		return usagef("--public-url: %q is no https:// address", public)
	} else if name := u.Hostname(); !slices.Contains(names, name) {
		names = append(names, name)
	}
	shared := ""
	if sharedDatabase(o.database) {
		shared = o.database
	}
	s, err := server.New(ctx, server.Config{
		Store: st, Database: shared, DataDir: a.dataDir, DatabaseDir: a.dbDir(), Hosts: names,
		Certificate: o.certificate, Key: o.key, PublicURL: public,
		Update: a.updater(o.feed, o.sample), Log: a.log, Version: version,
	})
	if err != nil {
		return err
	}
	defer s.Close()
	return a.serveAll(ctx, s, listener, public, beside)
}

// lockDirectory keeps a second console out of a directory: two would hear nothing
// of each other, and two agents would share one identity. The lock ends with the
// process.
func lockDirectory(dir string) (release func() error, err error) {
	const op = "lock the data directory"
	f, err := os.OpenFile(filepath.Join(dir, "console.lock"), os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, plimsoll.Errorf(plimsoll.CodeUnreadable, op, "%w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, &plimsoll.Error{Code: plimsoll.CodeUnavailable, Op: op, Err: fmt.Errorf("%s: %w", dir, err),
			Hint: "Another console runs on it; give this one another --data-dir."}
	}
	return f.Close, nil
}

// updater returns how the server fetches advisories. With sample, the built-in
// sample stands in when there are none and none can be had.
func (a *app) updater(o feed.Options, sample bool) func(context.Context, func(stage string, done, total int64)) (string, error) {
	return func(ctx context.Context, progress func(stage string, done, total int64)) (string, error) {
		o.Dir = a.dbDir()
		o.Progress = func(p feed.Progress) { progress(p.Stage+" "+p.Source, p.Done, p.Total) }
		_, summary, err := feed.Update(ctx, o)
		if err != nil && sample && ctx.Err() == nil {
			err = errors.Join(err, a.useSampleAdvisories(ctx))
		}
		return behind(summary), err
	}
}

// run answers and works until ctx ends or one of the parts does.
func (a *app) serveAll(ctx context.Context, s *server.Server, listener net.Listener, public string, beside func(context.Context, *server.Server, string) error) error {
	group, ctx := errgroup.WithContext(ctx)
	ended := errors.New("ended")
	part := func(f func() error) {
		group.Go(func() error {
			if err := f(); err != nil && ctx.Err() == nil {
				return err
			}
			return ended // the others end with it
		})
	}
	part(func() error { return s.Serve(ctx, listener) })
	part(func() error { return s.Run(ctx) })
	a.note("Plimsoll's console is at %s (the API: %s/docs)", public, public)
	if link := s.SetupURL(); link != "" {
		a.note("Make the first administrator with this link; it works once, within a day:\n  %s", link)
	}
	if beside != nil {
		part(func() error { return beside(ctx, s, "https://"+reachable(listener.Addr())) })
	}
	daemon.SdNotify(false, daemon.SdNotifyReady)
	context.AfterFunc(ctx, func() { daemon.SdNotify(false, daemon.SdNotifyStopping) })
	if err := group.Wait(); !errors.Is(err, ended) {
		return err
	}
	return nil
}

// reachable is the address by which this host reaches what listens on addr.
func reachable(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); err != nil || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
