package loadgen

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
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

// TestFleet is a whole fleet in small: hosts join, report, deliver what the
// console asks for, every list is asked for by each of its sort keys, and new
// advisories are followed. What the console counts in the end is what the fleet
// was made to have.
func TestFleet(t *testing.T) {
	dir := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	st, err := store.Open(ctx, store.Options{DSN: filepath.Join(dir, "fleet.sqlite")})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "https://" + l.Addr().String()
	s, err := server.New(ctx, server.Config{
		Store: st, DataDir: dir, DatabaseDir: filepath.Join(dir, "db"), Hosts: []string{"127.0.0.1"}, PublicURL: base,
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ended := make(chan error, 2)
	go func() { ended <- s.Serve(ctx, l) }()
	go func() { ended <- s.Run(ctx) }()
	defer func() {
		stop()
		for range 2 {
			if err := <-ended; err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	}()
	var out bytes.Buffer
	_, setup, _ := strings.Cut(s.SetupURL(), "token=")
	if err := Run(ctx, Fleet{Small}, Target{Base: base, Setup: setup, Asks: 2, Activate: activate(t.TempDir())}, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	t.Logf("\n%s", &out)
}

// activate returns a function that compiles a generation in dir, has the console
// import it and waits until all software is judged by it.
func activate(dir string) func(context.Context, *Admin, int) error {
	return func(ctx context.Context, a *Admin, generation int) error {
		path := filepath.Join(dir, []string{"", "first", "second"}[generation])
		if _, err := os.Stat(path); err != nil {
			if _, err := Compile(ctx, path, generation); err != nil {
				return err
			}
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		body, err := io.ReadAll(file)
		if err != nil {
			return err
		}
		header := http.Header{"Content-Type": {"application/octet-stream"}}
		if _, err := a.client.Send(ctx, http.MethodPost, api.PublicPath+"/database/import", nil, header, body, nil); err != nil {
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
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
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
	dir := b.TempDir()
	console := exec.Command(binary, "console", "--listen", "127.0.0.1:0", "--data-dir", dir)
	console.Stdout = b.Output()
	notes, err := console.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := console.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		console.Process.Signal(os.Interrupt)
		console.Wait()
	}()
	link := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(notes); lines.Scan(); {
			if line := strings.TrimSpace(lines.Text()); strings.Contains(line, "/setup#token=") {
				link <- line
			} else {
				b.Log(line)
			}
		}
		close(link)
	}()
	base, setup, ok := strings.Cut(<-link, "/setup#token=")
	if !ok {
		b.Fatal("the console printed no link for the first administrator")
	}
	target := Target{Base: base, Setup: setup, PID: console.Process.Pid, Dir: dir, Asks: 40, Activate: activate(b.TempDir())}
	if err := Run(b.Context(), f, target, os.Stdout); err != nil {
		b.Fatal(err)
	}
}
