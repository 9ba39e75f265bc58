package loadgen

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"plimsoll/api"
	"plimsoll/server"
	"plimsoll/store"
)

// TestFleet is a whole fleet in small: its agents join, tell what is there and
// read what the console asks for, every list is asked for by each of its sort
// keys, new advisories are followed, and a console that was away is found again.
// What the console counts in the end is what the fleet was made to have.
func TestFleet(t *testing.T) {
	t.Parallel()
	c := &inside{dir: t.TempDir(), log: t.Output()}
	if err := c.start(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.stop(); err != nil {
			t.Error(err)
		}
	}()
	figures, err := Run(t.Context(), Fleet{Small}, Target{
		Base: c.base, Setup: c.setup, PID: os.Getpid, Data: c.dir, State: t.TempDir(), Asks: 2, Idle: time.Second, Activate: activate,
		Restart: func(ctx context.Context) error {
			if err := c.stop(); err != nil {
				return err
			}
			return c.start(ctx, strings.TrimPrefix(c.base, "https://"))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	figures.Write(&out)
	t.Logf("\n%s", &out)
	// Each layer is read once in the fleet, but for those that two hosts read at
	// the same time.
	if layers := int64(3 * Small.Distinct); figures.analyzed+figures.reused != layers || figures.analyzed < int64(Small.Distinct) || figures.reused == 0 {
		t.Errorf("of %d layers, %d were read and %d reused", layers, figures.analyzed, figures.reused)
	}
	for _, route := range agentRoutes {
		if figures.answered[route].count() == 0 {
			t.Errorf("%s was never answered", route)
		}
	}
}

// inside is a console in this process.
type inside struct {
	dir         string
	log         io.Writer
	base, setup string
	stop        func() error
}

func (c *inside) start(ctx context.Context, address string) error {
	ctx = context.WithoutCancel(ctx)
	st, err := store.Open(ctx, store.Options{DSN: filepath.Join(c.dir, "fleet.sqlite")})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	c.base = "https://" + l.Addr().String()
	s, err := server.New(ctx, server.Config{
		Store: st, DataDir: c.dir, DatabaseDir: filepath.Join(c.dir, "db"), Hosts: []string{"127.0.0.1"}, PublicURL: c.base,
		Log: slog.New(slog.NewTextHandler(c.log, &slog.HandlerOptions{Level: slog.LevelWarn})), Version: "test",
	})
	if err != nil {
		return err
	}
	_, c.setup, _ = strings.Cut(s.SetupURL(), "token=")
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 2)
	go func() { ended <- s.Serve(ctx, l) }()
	go func() { ended <- s.Run(ctx) }()
	c.stop = func() error {
		cancel()
		err := errors.Join(<-ended, <-ended)
		s.Close()
		return errors.Join(err, st.Close())
	}
	return nil
}

// activate has the console import a generation and waits until all software is
// judged by it.
func activate(ctx context.Context, a *Admin, generation int) error {
	built[Second]() // with the first: its making is no part of what is measured
	body, err := built[generation]()
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	if err := a.busy.patiently(ctx, func() error { // the console looks for newer ones when it starts
		_, err := a.client.Send(ctx, http.MethodPost, api.PublicPath+"/database/import", url.Values{"unsigned": {"true"}}, header, body, nil)
		return err
	}); err != nil {
		return err
	}
	for {
		var d api.Database
		if err := a.Call(ctx, http.MethodGet, "/database", nil, nil, &d); err != nil {
			return err
		}
		if d.Current != nil && d.Current.Evaluated != nil && d.Pending == 0 {
			return nil
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// outside is a console in a process of its own.
type outside struct {
	binary, dir string
	log         func(...any)
	base, setup string
	process     *exec.Cmd
}

func (c *outside) start(address string) error {
	c.process = exec.Command(c.binary, "console", "--listen", address, "--data-dir", c.dir)
	notes, err := c.process.StderrPipe()
	if err != nil {
		return err
	}
	if err := c.process.Start(); err != nil {
		return err
	}
	link := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(notes); lines.Scan(); {
			if line := strings.TrimSpace(lines.Text()); strings.Contains(line, "/setup#token=") {
				link <- line
			} else {
				c.log(line)
			}
		}
		close(link)
	}()
	if c.base != "" { // it was started before
		return nil
	}
	var ok bool
	if c.base, c.setup, ok = strings.Cut(<-link, "/setup#token="); !ok {
		return errors.New("the console printed no link for the first administrator")
	}
	return nil
}

func (c *outside) stop() {
	c.process.Process.Signal(os.Interrupt)
	c.process.Wait()
}

// BenchmarkFleet measures the console of the binary that PLIMSOLL_BIN names with a
// thousand hosts. Run it with make loadgen; it is no test, because times prove
// nothing on a machine that others use.
func BenchmarkFleet(b *testing.B) {
	binary := os.Getenv("PLIMSOLL_BIN")
	if binary == "" {
		b.Skip("PLIMSOLL_BIN names no binary")
	}
	f := Fleet{Large}
	if n, _ := strconv.Atoi(os.Getenv("PLIMSOLL_LOAD_HOSTS")); n > 0 { // a part of it
		f.Hosts, f.Distinct = n, n*5
	}
	c := &outside{binary: binary, dir: b.TempDir(), log: b.Log}
	if err := c.start("127.0.0.1:0"); err != nil {
		b.Fatal(err)
	}
	defer func() { c.stop() }()
	figures, err := Run(b.Context(), f, Target{
		Base: c.base, Setup: c.setup, PID: func() int { return c.process.Process.Pid }, Data: c.dir, State: b.TempDir(), Asks: 40, Idle: time.Minute, Activate: activate,
		Restart: func(context.Context) error {
			c.stop()
			return c.start(strings.TrimPrefix(c.base, "https://"))
		},
	})
	if figures != nil {
		figures.Write(os.Stdout)
	}
	if err != nil {
		b.Fatal(err)
	}
}
