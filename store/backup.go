package store

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"

	"plimsoll"
)

// A backup is a zstd stream of JSON lines: a manifest, then for each table a
// header and its rows as arrays, then a trailer with the number of rows and the
// SHA-256 of every line before it.
const (
	backupFormat = 1
	backupLine   = 256 << 20 // bytes of the longest line that is read
	backupMemory = 128 << 20 // bytes that reading the compressed stream may take
	sealedFor    = "plimsoll backup 1 secrets"
	sealTime     = 3        // passes of argon2id
	sealMemory   = 64 << 10 // KiB of argon2id
	sealThreads  = 2        // of argon2id
	backupNotes  = "sessions, exports, layer facts and advisories are not in it"
)

// BackupInfo says what a backup holds.
type BackupInfo struct {
	Format  int              `json:"format"`
	Schema  int64            `json:"schema"`
	Written time.Time        `json:"written"`
	Notes   string           `json:"notes,omitempty"`
	Secrets *sealed          `json:"secrets,omitempty"` // nil: they were left out, for want of a passphrase
	Rows    map[string]int64 `json:"-"`                 // of each table, from the trailer
}

// sealed is the fleet's secrets, encrypted with XChaCha20-Poly1305 under a key
// that argon2id makes of the passphrase.
type sealed struct {
	Salt  []byte `json:"salt"`
	Nonce []byte `json:"nonce"`
	Data  []byte `json:"data"`
}

type backupTable struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
}

type backupEnd struct {
	Rows   map[string]int64 `json:"rows"`
	SHA256 string           `json:"sha256"`
}

// leftOut are the tables that a backup does not hold: what ends with a console's
// run, what agents send again, what is fetched and what is counted again.
var leftOut = []string{"session", "export", "export_part", "generation_part", "layer_facts", "layer_claim", "contents", "open_risk"}

// schemaTable is a table of the schema.
type schemaTable struct {
	name     string
	identity bool // its IDs are numbered by the database
}

var createTable = regexp.MustCompile(`(?s)CREATE TABLE (\w+) \((.*?)\n?\)(?:\{rowless\})?;`)

// backedUp lists the tables of a backup, each after those that it refers to: the
// order in which the schema makes them.
func backedUp() ([]schemaTable, error) {
	var list []schemaTable
	for _, m := range migrations {
		text, err := schemaFiles.ReadFile(m.file)
		if err != nil {
			return nil, err
		}
		for _, found := range createTable.FindAllStringSubmatch(string(text), -1) {
			if !slices.Contains(leftOut, found[1]) {
				list = append(list, schemaTable{name: found[1], identity: strings.Contains(found[2], "{id}")})
			}
		}
	}
	return list, nil
}

// Backup writes a copy of the whole state to w, while consoles go on: the
// tables as records, with a manifest of counts and hashes; the same format from
// both databases. Secrets (the CA's key) are sealed with the passphrase, and
// left out when it is empty: agents must then enrol anew after a restore. A database
// that is damaged is not backed up: the error has CodeCorrupt.
func (s *Store) Backup(ctx context.Context, w io.Writer, passphrase string) error {
	const op = "write a backup"
	if err := s.Check(ctx); err != nil {
		return err
	}
	tables, err := backedUp()
	if err != nil {
		return storeError(op, err)
	}
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return storeError(op, err)
	}
	b := &backupWriter{w: bufio.NewWriterSize(z, 1<<16), hash: sha256.New(), rows: map[string]int64{}}
	err = s.read(ctx, op, func(t *tx) error {
		info := BackupInfo{Format: backupFormat, Schema: migrations[len(migrations)-1].version, Written: moment(t.now), Notes: backupNotes}
		if info.Secrets, err = t.sealSecrets(passphrase); err != nil {
			return err
		}
		if err := b.object(info); err != nil {
			return err
		}
		for _, table := range tables {
			if err := b.table(t, table.name); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = b.object(backupEnd{Rows: b.rows, SHA256: hex.EncodeToString(b.hash.Sum(nil))})
	}
	if err == nil {
		err = errors.Join(b.w.Flush(), z.Close())
	}
	return storeError(op, err)
}

type backupWriter struct {
	w    *bufio.Writer
	hash hash.Hash
	rows map[string]int64
}

func (b *backupWriter) line(data []byte) error {
	data = append(data, '\n')
	b.hash.Write(data)
	_, err := b.w.Write(data)
	return err
}

func (b *backupWriter) object(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.line(data)
}

func (b *backupWriter) table(t *tx, name string) error {
	condition := ""
	if name == "setting" {
		condition = " WHERE name NOT LIKE '" + secretPrefix + "%'" // those are sealed
	}
	rows, err := t.query("SELECT * FROM " + name + condition)
	if err != nil {
		return err
	}
	columns, err := rows.Columns()
	if err != nil {
		rows.Close()
		return err
	}
	if err := b.object(backupTable{Table: name, Columns: columns}); err != nil {
		rows.Close()
		return err
	}
	values, dest := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		dest[i] = &values[i]
	}
	b.rows[name] = 0
	var line []byte
	return each(rows, nil, func(scan func(...any) error) error {
		if err := scan(dest...); err != nil {
			return err
		}
		line = line[:0]
		for i, v := range values {
			line = append(line, ",["[bit(i == 0)])
			var err error
			if line, err = appendValue(line, v); err != nil {
				return fmt.Errorf("%s.%s: %w", name, columns[i], err)
			}
		}
		line = append(line, ']')
		b.rows[name]++
		return b.line(line)
	})
}

func appendValue(line []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case int64:
		return strconv.AppendInt(line, v, 10), nil
	case float64:
		return strconv.AppendFloat(line, v, 'g', -1, 64), nil
	case []byte:
		line = append(line, '"')
		line = base64.StdEncoding.AppendEncode(line, v)
		return append(line, '"'), nil
	case string:
		text, err := json.Marshal(v)
		return append(line, text...), err
	}
	return nil, fmt.Errorf("a value of type %T", v)
}

func (t *tx) sealSecrets(passphrase string) (*sealed, error) {
	if passphrase == "" {
		return nil, nil
	}
	secrets := map[string]string{}
	rows, err := t.query("SELECT name, value FROM setting WHERE name LIKE '" + secretPrefix + "%'")
	err = each(rows, err, func(scan func(...any) error) error {
		var name, value string
		err := scan(&name, &value)
		secrets[name] = value
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &sealed{Salt: make([]byte, 16), Nonce: make([]byte, chacha20poly1305.NonceSizeX)}
	if _, err := rand.Read(out.Salt); err != nil {
		return nil, err
	}
	if _, err := rand.Read(out.Nonce); err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.NewX(argon2.IDKey([]byte(passphrase), out.Salt, sealTime, sealMemory, sealThreads, chacha20poly1305.KeySize))
	if err != nil {
		return nil, err
	}
	out.Data = aead.Seal(nil, out.Nonce, []byte(jsonText(secrets)), []byte(sealedFor))
	return out, nil
}

// open returns the secrets; the error has CodeInvalid for a wrong passphrase.
func (c *sealed) open(passphrase string) (map[string]string, error) {
	aead, err := chacha20poly1305.NewX(argon2.IDKey([]byte(passphrase), c.Salt, sealTime, sealMemory, sealThreads, chacha20poly1305.KeySize))
	if err != nil {
		return nil, err
	}
	var data []byte
	if len(c.Nonce) == aead.NonceSize() {
		data, err = aead.Open(nil, c.Nonce, c.Data, []byte(sealedFor))
	}
	var secrets map[string]string
	if err != nil || json.Unmarshal(data, &secrets) != nil {
		return nil, &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: "open the backup's secrets", Err: errors.New("the passphrase is wrong"),
			Hint: "give the passphrase that the backup was made with"}
	}
	for name := range secrets {
		if !strings.HasPrefix(name, secretPrefix) {
			return nil, corrupt("a secret has the name %q", name)
		}
	}
	return secrets, nil
}

func corrupt(format string, args ...any) error {
	return &plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: "read the backup", Err: fmt.Errorf(format, args...), Hint: "use another copy of the backup"}
}

// readBackup reads a whole backup and calls header for every table and row for
// every row; both may be nil. What it returns without an error is complete and
// undamaged.
func readBackup(ctx context.Context, r io.Reader, header func(backupTable) error, row func([]byte) error) (BackupInfo, error) {
	var info BackupInfo
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(backupMemory))
	if err != nil {
		return info, corrupt("it is no backup: %w", err)
	}
	defer z.Close()
	lines := bufio.NewScanner(z)
	lines.Buffer(make([]byte, 64<<10), backupLine)
	sum := sha256.New()
	rows, table := map[string]int64{}, ""
	for first := true; lines.Scan(); first = false {
		if err := ctx.Err(); err != nil {
			return info, storeError("read the backup", err)
		}
		line := lines.Bytes()
		var end backupEnd
		switch {
		case first:
			if json.Unmarshal(line, &info) != nil || info.Format == 0 {
				return info, corrupt("it is no backup")
			}
			if newest := migrations[len(migrations)-1].version; info.Format > backupFormat || info.Schema > newest {
				return info, &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: "read the backup",
					Err: fmt.Errorf("a newer version of Plimsoll wrote it (schema %d, this one knows %d)", info.Schema, newest), Hint: "use that version"}
			}
		case len(line) > 0 && line[0] == '[':
			if table == "" {
				return info, corrupt("a row belongs to no table")
			}
			rows[table]++
			if row != nil {
				if err := row(line); err != nil {
					return info, err
				}
			}
		default:
			var h backupTable
			if json.Unmarshal(line, &h) == nil && h.Table != "" {
				if _, again := rows[h.Table]; again {
					return info, corrupt("table %q comes twice", h.Table)
				}
				table, rows[h.Table] = h.Table, 0
				if header != nil {
					if err := header(h); err != nil {
						return info, err
					}
				}
				break
			}
			if json.Unmarshal(line, &end) != nil || end.SHA256 == "" {
				return info, corrupt("a line is neither table nor row")
			}
			if end.SHA256 != hex.EncodeToString(sum.Sum(nil)) || !maps.Equal(end.Rows, rows) {
				return info, corrupt("its content is not what was written")
			}
			if lines.Scan() || lines.Err() != nil {
				return info, corrupt("something follows its end")
			}
			info.Rows = rows
			return info, nil
		}
		sum.Write(line)
		sum.Write([]byte{'\n'})
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, zstd.ErrMagicMismatch) {
			return info, corrupt("it is no backup")
		}
		return info, corrupt("it cannot be read: %w", err)
	}
	return info, corrupt("its end is missing")
}

// CheckBackup reads a whole backup and says what it holds. The error has
// CodeCorrupt for a damaged one, CodeInvalid when a newer version wrote it or
// the passphrase is wrong; an empty passphrase leaves the secrets unchecked.
func CheckBackup(ctx context.Context, r io.Reader, passphrase string) (BackupInfo, error) {
	info, err := readBackup(ctx, r, nil, nil)
	if err == nil && info.Secrets != nil && passphrase != "" {
		_, err = info.Secrets.open(passphrase)
	}
	return info, err
}
