package store

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"plimsoll"
	"plimsoll/api"
)

// fill puts rows into every table that a backup holds, with a value in every
// column: texts that need escaping, IDs with gaps.
func fill(t *testing.T, s *Store) {
	t.Helper()
	tables, err := backedUp()
	if err != nil {
		t.Fatal(err)
	}
	err = s.write(t.Context(), "fill", func(tx *tx) error {
		for _, table := range tables {
			rows, err := tx.query("SELECT * FROM " + table.name + " WHERE 1 = 0")
			if err != nil {
				return err
			}
			types, err := rows.ColumnTypes()
			if rows.Close(); err != nil {
				return err
			}
			var columns []string
			for _, c := range types {
				columns = append(columns, c.Name())
			}
			into := table.name + " (" + strings.Join(columns, ", ") + ")"
			if s.Shared() && table.identity {
				into += " OVERRIDING SYSTEM VALUE"
			}
			var list [][]any
			for _, i := range []int64{1, 5, 7} {
				var row []any
				for n, c := range types {
					switch c.DatabaseTypeName() {
					case "TEXT":
						row = append(row, fmt.Sprintf("%s %d of %s: \"ключ\" \\ <&> \u2028\n", columns[n], i, table.name))
					case "BLOB", "BYTEA":
						data := []byte{0, 255, byte(i)}
						if table.name == "share" { // which is read by what fills other tables
							data = share{software: []int64{i}}.encode()
						}
						row = append(row, data)
					case "DOUBLE PRECISION", "FLOAT8":
						row = append(row, float64(i)/3)
					default:
						row = append(row, i)
					}
				}
				list = append(list, row)
			}
			if err := tx.insertMany(into, len(types), list, ""); err != nil {
				return fmt.Errorf("%s: %w", table.name, err)
			}
		}
		return tx.afterRestore(tables)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// content returns all rows of all tables that a backup holds, sorted.
func content(t *testing.T, s *Store) map[string][]string {
	t.Helper()
	tables, err := backedUp()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	err = s.read(t.Context(), "read everything", func(tx *tx) error {
		for _, table := range tables {
			rows, err := tx.query("SELECT * FROM " + table.name)
			if err != nil {
				return err
			}
			columns, err := rows.Columns()
			if err != nil {
				return err
			}
			err = each(rows, nil, func(scan func(...any) error) error {
				values, dest := make([]any, len(columns)), make([]any, len(columns))
				for i := range values {
					dest[i] = &values[i]
				}
				err := scan(dest...)
				all[table.name] = append(all[table.name], fmt.Sprintf("%v %q", columns, fmt.Sprint(values...)))
				return err
			})
			if err != nil {
				return err
			}
			slices.Sort(all[table.name])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func backup(t *testing.T, s *Store, passphrase string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.Backup(t.Context(), &b, passphrase); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What one database holds comes back in either, and goes on where it was.
func TestBackupAndRestoreInAllDirections(t *testing.T) {
	databases := map[string]func(t *testing.T) *Store{"sqlite": func(t *testing.T) *Store { return testStore(t) }}
	if dsn := os.Getenv("PLIMSOLL_TEST_PG"); dsn != "" {
		databases["postgresql"] = func(t *testing.T) *Store { return openTest(t, testDatabase(t, dsn)) }
	}
	for from, open := range databases {
		source := open(t)
		fill(t, source)
		if _, err := source.Secret(t.Context(), "ca", func() ([]byte, error) { return []byte("key"), nil }); err != nil {
			t.Fatal(err)
		}
		want, file := content(t, source), backup(t, source, "correct horse")
		if bytes.Contains(file, []byte("key")) {
			t.Error("the secret lies open in the backup")
		}
		for to, open := range databases {
			t.Run(from+" to "+to, func(t *testing.T) {
				target := open(t)
				if err := target.Restore(t.Context(), bytes.NewReader(file), "correct horse"); err != nil {
					t.Fatal(err)
				}
				got := content(t, target)
				if len(got) < 30 || !maps.EqualFunc(want, got, slices.Equal) {
					for table := range want {
						if !slices.Equal(want[table], got[table]) {
							t.Errorf("%s:\n%s\nwant\n%s", table, strings.Join(got[table], "\n"), strings.Join(want[table], "\n"))
						}
					}
					t.Fatalf("%d tables", len(got))
				}
				if id := addAccount(t, target, "new", plimsoll.RoleViewer); id != 8 {
					t.Errorf("the next account has ID %d, want 8", id)
				}
				if err := target.Restore(t.Context(), bytes.NewReader(file), "correct horse"); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
					t.Errorf("a database in use was overwritten: %v", err)
				}
			})
		}
	}
}

// unpacked returns what a backup holds.
func unpacked(file []byte) ([]byte, error) {
	z, err := zstd.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return io.ReadAll(z)
}

func TestDamagedBackupsChangeNothing(t *testing.T) {
	source := testStore(t)
	fill(t, source)
	if _, err := source.Secret(t.Context(), "ca", func() ([]byte, error) { return []byte("key"), nil }); err != nil {
		t.Fatal(err)
	}
	file := backup(t, source, "correct horse")
	target := testStore(t)
	before := content(t, target)
	refused := func(name string, file []byte, passphrase string, code plimsoll.Code) {
		t.Helper()
		if err := target.Restore(t.Context(), bytes.NewReader(file), passphrase); plimsoll.CodeOf(err) != code {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused("empty", nil, "", plimsoll.CodeCorrupt)
	refused("no backup", []byte("PK\x03\x04"), "", plimsoll.CodeCorrupt)
	refused("wrong passphrase", file, "correct house", plimsoll.CodeInvalid)
	refused("no passphrase", file, "", plimsoll.CodeInvalid)
	refused("something follows", append(bytes.Clone(file), file...), "correct horse", plimsoll.CodeCorrupt)
	good, err := unpacked(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(file); i += len(file) / 40 {
		refused(fmt.Sprintf("cut at %d", i), file[:i], "correct horse", plimsoll.CodeCorrupt)
		flipped := bytes.Clone(file)
		flipped[i] ^= 0x10
		if plain, err := unpacked(flipped); err == nil && bytes.Equal(plain, good) {
			continue // a bit that means nothing
		}
		if err := target.Restore(t.Context(), bytes.NewReader(flipped), "correct horse"); err == nil {
			t.Errorf("a bit flipped at %d of %d went unnoticed", i, len(file))
		}
	}
	if !maps.EqualFunc(before, content(t, target), slices.Equal) {
		t.Error("a refused backup changed the database")
	}
	info, err := CheckBackup(t.Context(), bytes.NewReader(file), "correct horse")
	if err != nil || info.Rows["host"] != 3 || !info.Written.Equal(testStart) {
		t.Errorf("%+v, %v", info, err)
	}
}

// Without a passphrase the secrets stay behind, and those of the target stay.
func TestBackupWithoutSecrets(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		secret := func(s *Store, value string) string {
			b, err := s.Secret(t.Context(), "ca", func() ([]byte, error) { return []byte(value), nil })
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		secret(s, "old")
		v := api.DefaultSettings()
		v.ScanTimeout = 60
		if err := s.SetSettings(t.Context(), v); err != nil {
			t.Fatal(err)
		}
		file := backup(t, s, "")
		target := testStore(t)
		secret(target, "new")
		if err := target.Restore(t.Context(), bytes.NewReader(file), ""); err != nil {
			t.Fatal(err)
		}
		if got := secret(target, "newer"); got != "new" {
			t.Errorf("secret %q", got)
		}
		if got, err := target.Settings(t.Context()); err != nil || got != v {
			t.Errorf("settings %+v, %v", got, err)
		}
	})
}

// Work that was being done when the backup was made is done again.
func TestRestoreQueuesWorkAgain(t *testing.T) {
	inYard(t, func(y yard) {
		h := y.host()
		task := y.scan(y.image([]string{"l1"}, h), y.image([]string{"l2"}, h))
		lease := y.lease(h)
		stopped := y.scan(y.image([]string{"l3"}, h))
		if _, err := y.s.StopTask(y.Context(), plimsoll.Everything, "", stopped.ID); err != nil {
			t.Fatal(err)
		}
		file := backup(t, y.s, "")
		restored := yard{t, testStore(t)}
		if err := restored.s.Restore(y.Context(), bytes.NewReader(file), ""); err != nil {
			t.Fatal(err)
		}
		restored.want(task.ID, "running", "total 2 ok 0 partial 0 failed 0 cancelled 0 running 0 queued 2 waiting 0")
		if answer, err := restored.s.RenewLease(y.Context(), h, lease.ID, api.Progress{}); err != nil || !answer.Stop {
			t.Errorf("a lease outlived the restore: %+v, %v", answer, err)
		}
		restored.finish(restored.lease(h).ID, plimsoll.TaskSucceeded, "")
	})
}

func TestExportFromStartToEnd(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		n := NewExport{Request: api.ExportRequest{Kind: "images", Format: "csv", Images: &api.ImageFilter{Query: "nginx"}},
			Scope: plimsoll.Scope{Labels: []string{"env=dev"}}, CreatedBy: "anna", FileName: "images.csv", MediaType: "text/csv"}
		started, err := s.StartExport(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		take := func() *ExportWriter {
			t.Helper()
			e, got, err := s.TakeExport(t.Context())
			if err != nil || e.ID != started.ID || got.Request.Images.Query != "nginx" || got.Scope.All || !slices.Equal(got.Scope.Labels, n.Scope.Labels) {
				t.Fatalf("%+v %+v, %v", e, got, err)
			}
			w, err := s.WriteExport(t.Context(), e.ID)
			if err != nil {
				t.Fatal(err)
			}
			return w
		}
		slow := take()
		if _, _, err := s.TakeExport(t.Context()); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("an export was given out twice: %v", err)
		}
		pass(s, exportTimeout)
		w := take()
		if err := slow.Close(1); plimsoll.CodeOf(err) != plimsoll.CodeUnavailable {
			t.Errorf("a console that was too slow ended it: %v", err)
		}
		if err := s.ReadExport(t.Context(), "anna", started.ID, io.Discard); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("read before its end: %v", err)
		}
		file := bytes.Repeat([]byte("0123456789abcdef-"), 150_000) // parts of 1 MiB and a rest
		for chunk := range slices.Chunk(file, 70_001) {
			if _, err := w.Write(chunk); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(12); err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := s.ReadExport(t.Context(), "anna", started.ID, &got); err != nil || !bytes.Equal(got.Bytes(), file) {
			t.Errorf("%d bytes of %d, %v", got.Len(), len(file), err)
		}
		if err := s.ReadExport(t.Context(), "bert", started.ID, &got); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("another's export: %v", err)
		}
		page, err := s.Exports(t.Context(), "anna", api.List{})
		if err != nil || len(page.Items) != 1 || page.Items[0].Rows != 12 || page.Items[0].Size != int64(len(file)) || page.Items[0].State != plimsoll.TaskSucceeded {
			t.Errorf("%+v, %v", page, err)
		}
		task, err := s.Task(t.Context(), plimsoll.Scope{}, "anna", started.TaskID)
		if err != nil || task.State != plimsoll.TaskSucceeded || task.ExportID != started.ID || task.Total != 12 {
			t.Errorf("%+v, %v", task, err)
		}
		// A day later it is gone.
		pass(s, graceTime)
		if _, err := s.Retain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Export(t.Context(), "", started.ID); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("after a day: %v", err)
		}
	})
}

func TestExportStopsAndGivesUp(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		start := func() api.Export {
			t.Helper()
			e, err := s.StartExport(t.Context(), NewExport{FileName: "a.csv", Scope: plimsoll.Everything})
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		state := func(e api.Export, want plimsoll.TaskState) {
			t.Helper()
			got, err := s.Export(t.Context(), "", e.ID)
			task, taskErr := s.Task(t.Context(), plimsoll.Everything, "", e.TaskID)
			if err != nil || taskErr != nil || got.State != want || task.State != want {
				t.Errorf("export %s, task %s, want %s (%v, %v)", got.State, task.State, want, err, taskErr)
			}
		}
		stop := func(e api.Export) {
			t.Helper()
			if _, err := s.StopTask(t.Context(), plimsoll.Everything, "", e.TaskID); err != nil {
				t.Fatal(err)
			}
		}
		queued := start()
		stop(queued)
		state(queued, plimsoll.TaskCancelled)

		running := start()
		if _, _, err := s.TakeExport(t.Context()); err != nil {
			t.Fatal(err)
		}
		w, err := s.WriteExport(t.Context(), running.ID)
		if err != nil {
			t.Fatal(err)
		}
		stop(running)
		if _, err := w.Write(make([]byte, exportPart)); err == nil {
			t.Error("writing goes on after the stop")
		}
		if err := w.Fail("stopped"); err != nil {
			t.Fatal(err)
		}
		state(running, plimsoll.TaskCancelled)

		lost := start()
		for range exportAttempts {
			if _, _, err := s.TakeExport(t.Context()); err != nil {
				t.Fatal(err)
			}
			pass(s, exportTimeout)
		}
		if _, _, err := s.TakeExport(t.Context()); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("given out a fourth time: %v", err)
		}
		state(lost, plimsoll.TaskFailed)
	})
}

func TestRetention(t *testing.T) {
	inYard(t, func(y yard) {
		h := y.host()
		live, gone, recent := y.image([]string{"base", "a"}, h), y.image([]string{"base", "b"}), y.image([]string{"base", "c"})
		now := y.s.now()
		ago := func(days int) int64 { return now.AddDate(0, 0, -days).UnixMilli() }
		y.exec("UPDATE image SET gone = ? WHERE id = ?", ago(90), gone)
		y.exec("UPDATE image SET gone = ? WHERE id = ?", ago(89), recent)
		y.exec("INSERT INTO repository (name) VALUES ('r')")
		for i, p := range []struct{ image, gone int64 }{{live, 0}, {live, ago(90)}, {live, ago(1)}, {gone, ago(90)}, {recent, ago(89)}} {
			y.exec("INSERT INTO presence (host_id, image_id, engine, store, name, name_lower, repository_id, first_seen, last_seen, gone) VALUES (?, ?, 'docker', '', ?, '', 1, 1, 1, ?)",
				h, p.image, fmt.Sprint("n", i), p.gone)
		}
		for i, image := range []int64{live, gone} {
			y.exec("INSERT INTO software (key, type, name, name_lower, version, first_seen) VALUES (?, 'deb', 'x', 'x', '1', ?)", fmt.Sprint("k", i), ago(200))
			y.exec("INSERT INTO instance (image_id, software_id, path, path_class) VALUES (?, ?, '', '')", image, i+1)
		}
		for i := range 3 { // the first and the last scan stay
			y.exec("INSERT INTO scan (image_id, report, state, started, ended, stored) VALUES (?, ?, 'succeeded', 1, 1, ?)", live, fmt.Sprint("r", i), ago(400))
		}
		for i, diff := range []string{"a", "b"} {
			y.exec("INSERT INTO layer_facts (key, diff_id, analyzers, host_id, size, stored, data) VALUES (?, ?, 'v1', 1, 0, ?, ?)", fmt.Sprint("k", i), diff, ago(2), []byte{})
		}
		for i := range 2500 { // more than one batch
			y.exec("INSERT INTO audit (at, account, via, action, ok) VALUES (?, '', 'system', 'x', 1)", ago(395+i%2))
		}
		for _, day := range []string{"2020-01-01", "2026-11-24"} {
			y.exec("INSERT INTO risk_day (day, data) VALUES (?, '{}')", day)
		}
		done, waiting := y.scan(), y.scan(live)
		y.exec("UPDATE task SET ended = ? WHERE id = ?", ago(90), done.ID)
		removed, err := y.s.Retain(y.Context())
		if err != nil {
			t.Fatal(err)
		}
		for table, want := range map[string]int64{"image": 2, "presence": 3, "layer": 3, "software": 1, "instance": 1, "scan": 2, "layer_facts": 1, "audit": 1250, "risk_day": 1, "task": 1, "task_item": 1, "work": 1} {
			if got := y.number("SELECT count(*) FROM " + table); got != want {
				t.Errorf("%d rows of %s are left, want %d", got, table, want)
			}
		}
		if removed < 1250 {
			t.Errorf("removed %d", removed)
		}
		if again, err := y.s.Retain(context.Background()); err != nil || again != 0 {
			t.Errorf("a second time it removed %d, %v", again, err)
		}
		y.want(waiting.ID, "queued", "total 1 ok 0 partial 0 failed 0 cancelled 0 running 0 queued 1 waiting 0")
	})
}

func TestFigures(t *testing.T) {
	inYard(t, func(y yard) {
		h := y.host()
		y.host()
		y.exec("UPDATE host SET revoked = 1 WHERE id = 2")
		y.exec("UPDATE image SET state = 'partial', s_high = 2, a_high = 3 WHERE id = ?", y.image([]string{"l"}, h))
		y.scan(y.image([]string{"l"}, h), 1)
		y.lease(h)
		y.exec("INSERT INTO generation (digest, built, advisories, activated) VALUES ('d', ?, 1, 1)", y.s.now().Add(-time.Hour).UnixMilli())
		f, err := y.s.Figures(y.Context())
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]float64{`plimsoll_hosts{state="online"}`: 1, `plimsoll_hosts{state="revoked"}`: 1, `plimsoll_images{state="never"}`: 1,
			`plimsoll_images{state="partial"}`: 1, "plimsoll_work_queued": 1, "plimsoll_work_leased": 1, `plimsoll_findings_open{severity="high"}`: 5,
			"plimsoll_database_age_seconds": 3600, "plimsoll_software_pending": 0} {
			if f[name] != want {
				t.Errorf("%s is %v, want %v", name, f[name], want)
			}
		}
		if f["plimsoll_store_bytes"] < 100_000 {
			t.Errorf("the store has %v bytes", f["plimsoll_store_bytes"])
		}
	})
}

// FuzzBackup reads what somebody gives for a backup. What is taken for whole is
// of a version that is known, and every other error has a code.
func FuzzBackup(f *testing.F) {
	s := testStore(f)
	var b bytes.Buffer
	if err := s.Backup(f.Context(), &b, ""); err != nil {
		f.Fatal(err)
	}
	z, err := zstd.NewReader(&b)
	if err != nil {
		f.Fatal(err)
	}
	defer z.Close()
	plain, err := io.ReadAll(z)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Add([]byte(`{"format":1,"schema":1}` + "\n" + `{"table":"host","columns":["id"]}` + "\n[1]\n" + `{"sha256":"","rows":{}}`))
	f.Add([]byte(strings.Repeat("[", 1<<16)))
	w, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		for _, file := range [][]byte{w.EncodeAll(plain, nil), plain} {
			info, err := CheckBackup(t.Context(), bytes.NewReader(file), "")
			switch {
			case err == nil && (info.Format < 1 || info.Format > backupFormat || info.Rows == nil):
				t.Errorf("%+v", info)
			case err != nil && plimsoll.CodeOf(err) != plimsoll.CodeCorrupt && plimsoll.CodeOf(err) != plimsoll.CodeInvalid:
				t.Error(err)
			}
		}
	})
}
