package loadgen

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
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
	"sync"
	"syscall"
	"testing"
	"time"

	"plimsoll/api"
	"plimsoll/e2e/lab"
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
		Bases: []string{c.base}, Setup: c.setup, PIDs: func() []int { return []int{os.Getpid()} }, Data: sizeOf(c.dir), State: t.TempDir(), Asks: 2, Idle: time.Second, Activate: activate,
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
	if m := figures.memory; m.own == 0 || m.share == 0 || m.database != 0 {
		t.Errorf("memory: %+v", m)
	}
	if figures.used.consoles == 0 || figures.data == 0 {
		t.Errorf("processor time %s, data %d bytes", figures.used.consoles, figures.data)
	}
}

// TestFamily: what the processes of a database use is that of a process, of its
// children, and of those that have ended.
func TestFamily(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", "-c", "i=0; (while [ $i -lt 100000 ]; do i=$((i+1)); done); sleep 60 & echo; wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pids := []int{cmd.Process.Pid}
	defer func() {
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		cmd.Wait()
	}()
	out.Read(make([]byte, 1)) // one child has ended, one sleeps
	pids = family(cmd.Process.Pid)
	if len(pids) != 2 || pids[1] != cmd.Process.Pid {
		t.Fatalf("the family of %d: %v", cmd.Process.Pid, pids)
	}
	if parent, err := tells(pids[0], "status", "PPid"); err != nil || int(parent) != cmd.Process.Pid {
		t.Errorf("%d has the parent %d, %v", pids[0], parent, err)
	}
	if u, err := usedBy(nil, cmd.Process.Pid); err != nil || u.database == 0 || u.consoles != 0 {
		t.Errorf("used: %+v, %v", u, err)
	}
	var p peaks
	p.watch(nil, cmd.Process.Pid)()
	if one, err := memoryShare(cmd.Process.Pid); err != nil || p.database <= one || p.own != 0 {
		t.Errorf("memory: %+v, that of one process %d, %v", p, one, err)
	}
}

// TestHistogramsOfConsoles adds up what several consoles tell.
func TestHistogramsOfConsoles(t *testing.T) {
	const line = `plimsoll_http_request_seconds_bucket{route="GET /x",status="%s",le="%s"} %d` + "\n"
	one := fmt.Sprintf(line+line+line, "200", "0.1", 3, "200", "+Inf", 4, "503", "+Inf", 1)
	other := fmt.Sprintf(line+line, "200", "0.1", 5, "200", "+Inf", 6)
	answered, refused, err := histograms(one + other)
	if h := answered["GET /x"]; err != nil || h[0.1] != 8 || h.count() != 10 || refused["GET /x"].count() != 1 {
		t.Errorf("answered %v, refused %v, %v", answered, refused, err)
	}
}

func sizeOf(dir string) func(context.Context) (int64, error) {
	return func(context.Context) (int64, error) { return treeSize(dir) }
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
	binary, dir, database string // database: "" for its own
	log                   func(...any)
	base, setup           string
	process               *exec.Cmd
}

func (c *outside) start(address string) error {
	// It finds no advisories but those it is given: looking for others takes time.
	c.process = exec.Command(c.binary, "console", "--listen", address, "--data-dir", c.dir, "--osv", filepath.Join(c.dir, "none"), "--kev", "", "--epss", "")
	c.process.Env = append(os.Environ(), "PLIMSOLL_DATABASE="+c.database)
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

// again starts the console where it was.
func (c *outside) again() error { return c.start(strings.TrimPrefix(c.base, "https://")) }

func (c *outside) stop() {
	c.process.Process.Signal(os.Interrupt)
	c.process.Wait()
}

// replicas are consoles of one fleet.
type replicas []*outside

func (r replicas) bases() (list []string) {
	for _, c := range r {
		list = append(list, c.base)
	}
	return list
}

func (r replicas) pids() (list []int) {
	for _, c := range r {
		list = append(list, c.process.Process.Pid)
	}
	return list
}

// stop ends them all at once.
func (r replicas) stop() {
	var all sync.WaitGroup
	for _, c := range r {
		all.Go(c.stop)
	}
	all.Wait()
}

func (r replicas) restart(context.Context) error {
	r.stop()
	for _, c := range r {
		if err := c.again(); err != nil {
			return err
		}
	}
	return nil
}

// openPostgres opens the database of a PostgreSQL on this machine and finds the
// process that all its others are children of.
func openPostgres(ctx context.Context, dsn string) (db *sql.DB, pid int, err error) {
	if db, err = sql.Open("pgx", dsn); err != nil {
		return nil, 0, err
	}
	var backend int
	if err := db.QueryRowContext(ctx, "SELECT pg_backend_pid()").Scan(&backend); err != nil {
		return nil, 0, errors.Join(err, db.Close())
	}
	parent, err := tells(backend, "status", "PPid")
	return db, int(parent), err
}

// BenchmarkFleet measures the console of the binary that PLIMSOLL_BIN names with a
// thousand hosts, or what PLIMSOLL_LOAD_… say. Run it with make loadgen; it is no
// test, because times prove nothing on a machine that others use.
func BenchmarkFleet(b *testing.B) {
	binary := os.Getenv("PLIMSOLL_BIN")
	if binary == "" {
		b.Skip("PLIMSOLL_BIN names no binary")
	}
	given := func(name string, otherwise int) int {
		text := os.Getenv("PLIMSOLL_LOAD_" + name)
		if text == "" {
			return otherwise
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			b.Fatalf("%s=%s is no number of them", name, text)
		}
		return n
	}
	f := Fleet{Large}
	f.Hosts = given("HOSTS", f.Hosts)
	f.PerHost = given("PER_HOST", f.PerHost)
	f.Distinct = given("IMAGES", f.Hosts*Large.Distinct/Large.Hosts)
	if f.Distinct < f.PerHost || f.Distinct > f.Hosts*f.PerHost {
		b.Fatalf("%d hosts cannot have %d images each and %d distinct ones", f.Hosts, f.PerHost, f.Distinct)
	}
	target := Target{State: b.TempDir(), Asks: 40, Idle: time.Minute, Activate: activate}
	count, database := given("CONSOLES", 1), ""
	if os.Getenv("PLIMSOLL_LOAD_POSTGRES") != "" {
		database = lab.New(b).DurablePostgres(b)
		db, pid, err := openPostgres(b.Context(), database)
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		target.Postgres = pid
		target.Data = func(ctx context.Context) (size int64, err error) {
			err = db.QueryRowContext(ctx, "SELECT pg_database_size(current_database())").Scan(&size)
			return size, err
		}
	} else if count > 1 {
		b.Fatal("several consoles need POSTGRES=1")
	}
	var consoles replicas
	defer func() { consoles.stop() }()
	for n := range count {
		c := &outside{binary: binary, dir: b.TempDir(), database: database, log: func(line ...any) {
			fmt.Fprintf(os.Stderr, "console %d: %s\n", n, fmt.Sprint(line...)) // b.Log shows ten lines
		}}
		if err := c.start("127.0.0.1:0"); err != nil {
			b.Fatal(err)
		}
		consoles = append(consoles, c)
		target.Setup = c.setup // each start before there is an administrator makes another one
	}
	if target.Data == nil {
		target.Data = sizeOf(consoles[0].dir)
	}
	target.Bases, target.PIDs, target.Restart = consoles.bases(), consoles.pids, consoles.restart
	figures, err := Run(b.Context(), f, target)
	if figures != nil {
		figures.Write(os.Stdout)
	}
	if err != nil {
		b.Fatal(err)
	}
}
