package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// Postgres starts a PostgreSQL in the lab, the newest one installed, which ends
// with t. It listens on a socket in the lab and nowhere else. Tests kill consoles,
// never the machine: what is committed need not reach the disk. It returns the URL
// of the maintenance database.
func (l *Lab) Postgres(t testing.TB) string {
	t.Helper()
	return l.postgres(t, "fsync=off", "full_page_writes=off")
}

// DurablePostgres starts one to be measured: as in production, every commit reaches
// the disk, and there is memory for the pages that are wanted often.
func (l *Lab) DurablePostgres(t testing.TB) string {
	t.Helper()
	return l.postgres(t, "shared_buffers=512MB")
}

func (l *Lab) postgres(t testing.TB, settings ...string) string {
	t.Helper()
	Need(t, "root", "setpriv")
	bin := newestPostgres(t)
	// PostgreSQL refuses to run as root: its own user must reach its directory.
	if err := os.Chmod(l.Dir, 0o711); err != nil {
		t.Fatal(err)
	}
	dir := l.fresh(t, "pg")
	run(t, exec.Command("chown", "postgres:", dir))
	// setpriv becomes the program, so that the process ID stays; changing the
	// user forgets which signal the death of the parent sends.
	asPostgres := []string{"setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig=INT"}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(asPostgres[0], append(asPostgres[1:], filepath.Join(bin, "initdb"), "--pgdata", data,
		"--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale")...)
	initdb.Dir = dir
	run(t, initdb)
	args := append(asPostgres, filepath.Join(bin, "postgres"), "-D", data)
	for _, s := range append(settings, "listen_addresses=", "unix_socket_directories="+dir, "unix_socket_permissions=0700", "max_connections=200") {
		args = append(args, "-c", s)
	}
	d := &daemon{
		args:   args,
		log:    filepath.Join(l.fresh(t, "log"), "log"),
		answer: []string{filepath.Join(bin, "pg_isready"), "--quiet", "--host", dir},
		end:    syscall.SIGINT, // SIGTERM would wait for the clients
	}
	d.Start(t)
	t.Cleanup(func() { d.Stop(t) })
	return "postgres://postgres@/postgres?host=" + dir
}

// newestPostgres returns the directory of the newest PostgreSQL's programs as
// Debian installs them, beside each other by their major versions.
func newestPostgres(t testing.TB) string {
	t.Helper()
	newest, best := 0, ""
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	for _, dir := range dirs {
		major, err := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
		if _, missing := os.Stat(filepath.Join(dir, "initdb")); err == nil && missing == nil && major > newest {
			newest, best = major, dir
		}
	}
	if best == "" {
		skip(t, "this machine lacks postgresql")
	}
	return best
}
