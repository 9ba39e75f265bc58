package store

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// lockAccess keeps changes of accounts apart: who is the last administrator is a
// question about all of them.
const lockAccess = 0x706c6d03

// Names in table setting.
const (
	settingSettings = "settings"
	settingSetup    = "setup"   // "<expires> <hash>" of the one-time token
	secretPrefix    = "secret/" // base64; sealed in backups
)

// Account is a user with the password's hash.
type Account struct {
	api.User
	Password string // argon2id, PHC format
}

const accountColumns = "account.id, account.name, account.role, account.labels, account.disabled, account.created, account.last_login"

func scanUser(scan func(...any) error, more ...any) (u api.User, err error) {
	var labels string
	var created, login int64
	err = scan(append([]any{&u.ID, &u.Name, &u.Role, &labels, &u.Disabled, &created, &login}, more...)...)
	if err != nil {
		return u, err
	}
	u.Created, u.LastLogin = moment(created), momentOrNil(login)
	return u, json.Unmarshal([]byte(labels), &u.Labels)
}

// Accounts lists users by name.
func (s *Store) Accounts(ctx context.Context) ([]api.User, error) {
	list := []api.User{}
	err := s.read(ctx, "list users", func(t *tx) error {
		rows, err := t.query("SELECT " + accountColumns + " FROM account ORDER BY name")
		return each(rows, err, func(scan func(...any) error) error {
			u, err := scanUser(scan)
			list = append(list, u)
			return err
		})
	})
	return list, err
}

// AccountByName returns an account, disabled or not.
func (s *Store) AccountByName(ctx context.Context, name string) (Account, error) {
	return s.account(ctx, "name = ?", name)
}

// AccountByID returns an account, disabled or not.
func (s *Store) AccountByID(ctx context.Context, id int64) (Account, error) {
	return s.account(ctx, "id = ?", id)
}

func (s *Store) account(ctx context.Context, condition string, arg any) (a Account, err error) {
	var w where
	w.and(condition, arg)
	if w.err != nil {
		return a, notFound("user", "of that name")
	}
	err = s.read(ctx, "find a user", func(t *tx) (err error) {
		a.User, err = scanUser(t.row("SELECT "+accountColumns+", password FROM account"+w.String(), w.args...).Scan, &a.Password)
		if errors.Is(err, sql.ErrNoRows) {
			return notFound("user", arg)
		}
		return err
	})
	return a, err
}

// AddAccount adds a user; CodeInvalid when the name is taken.
func (s *Store) AddAccount(ctx context.Context, a Account) (id int64, err error) {
	err = s.write(ctx, "add a user", func(t *tx) (err error) {
		id, err = t.addAccount(a)
		return err
	})
	return id, err
}

func (t *tx) addAccount(a Account) (int64, error) {
	id, err := t.id("INSERT INTO account (name, role, labels, password, disabled, created) VALUES (?, ?, ?, ?, ?, ?) "+
		"ON CONFLICT (name) DO NOTHING RETURNING id", a.Name, a.Role, jsonList(a.Labels), a.Password, bit(a.Disabled), t.now)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, plimsoll.Errorf(plimsoll.CodeInvalid, "add a user", "there is a user %q already", a.Name)
	}
	return id, err
}

// AddFirstAccount adds the first administrator: it fails with CodeInvalid when
// there is any account, or when setupHash is not the one that SetSetup kept or
// is over. It uses the setup up.
func (s *Store) AddFirstAccount(ctx context.Context, setupHash string, a Account) (id int64, err error) {
	const op = "add the first administrator"
	err = s.transact(ctx, op, lockAccess, func(t *tx) error {
		var accounts int64
		if err := t.row("SELECT count(*) FROM account").Scan(&accounts); err != nil {
			return err
		}
		if accounts > 0 {
			return plimsoll.Errorf(plimsoll.CodeInvalid, op, "this console is set up already")
		}
		var kept, hash string
		var expires int64
		err := t.row("SELECT value FROM setting WHERE name = ?", settingSetup).Scan(&kept)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if _, scanErr := fmt.Sscan(kept, &expires, &hash); err != nil || scanErr != nil || expires <= t.now ||
			subtle.ConstantTimeCompare([]byte(hash), []byte(setupHash)) != 1 {
			return &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: op, Err: errors.New("the link is unknown or over"),
				Hint: "start the console again: it prints a new link"}
		}
		if _, err := t.exec("DELETE FROM setting WHERE name = ?", settingSetup); err != nil {
			return err
		}
		a.Role, a.Labels, a.Disabled = plimsoll.RoleAdmin, nil, false
		id, err = t.addAccount(a)
		return err
	})
	return id, err
}

// SetSetup keeps the hash of the one-time token for the first administrator.
func (s *Store) SetSetup(ctx context.Context, hash string, expires time.Time) error {
	return s.write(ctx, "keep the setup token", func(t *tx) error {
		return t.set(settingSetup, fmt.Sprintf("%d %s", ms(expires), hash))
	})
}

// NeedsSetup says whether there is no account yet.
func (s *Store) NeedsSetup(ctx context.Context) (needs bool, err error) {
	err = s.read(ctx, "look for users", func(t *tx) error {
		return t.row("SELECT NOT EXISTS (SELECT 1 FROM account)").Scan(&needs)
	})
	return needs, err
}

// ChangeAccount replaces role, labels, disabled and, unless empty, the
// password. Sessions of a disabled account, or after a new password, end; API
// tokens of a disabled account stop. The last enabled administrator without
// labels stays one: CodeInvalid.
func (s *Store) ChangeAccount(ctx context.Context, a Account) error {
	return s.transact(ctx, "change a user", lockAccess, func(t *tx) error {
		result, err := t.exec("UPDATE account SET role = ?, labels = ?, disabled = ? WHERE id = ?",
			a.Role, jsonList(a.Labels), bit(a.Disabled), a.ID)
		if err := changed(result, err, "user", a.ID); err != nil {
			return err
		}
		if a.Password != "" {
			if _, err := t.exec("UPDATE account SET password = ? WHERE id = ?", a.Password, a.ID); err != nil {
				return err
			}
		}
		if a.Password != "" || a.Disabled {
			if err := t.endSessions("account_id = ?", a.ID); err != nil {
				return err
			}
		}
		return t.needAdministrator()
	})
}

// ChangePassword replaces the password was of an account by another, and ends its
// sessions but the one with the token keep. CodeInvalid when somebody else has
// changed it, or the account, meanwhile.
func (s *Store) ChangePassword(ctx context.Context, id int64, was, password, keep string) error {
	const op = "change a password"
	return s.transact(ctx, op, lockAccess, func(t *tx) error {
		n, err := affected(t.exec("UPDATE account SET password = ? WHERE id = ? AND password = ? AND disabled = 0", password, id, was))
		if err != nil {
			return err
		}
		if n == 0 {
			return plimsoll.Errorf(plimsoll.CodeInvalid, op, "it was changed meanwhile")
		}
		return t.endSessions("account_id = ? AND token <> ?", id, sessionKey(keep))
	})
}

// RemoveAccount removes a user with sessions and tokens; never the last administrator.
func (s *Store) RemoveAccount(ctx context.Context, id int64) error {
	return s.transact(ctx, "remove a user", lockAccess, func(t *tx) error {
		if err := t.endSessions("account_id = ?", id); err != nil {
			return err
		}
		if _, err := t.exec("DELETE FROM api_token WHERE account_id = ?", id); err != nil {
			return err
		}
		result, err := t.exec("DELETE FROM account WHERE id = ?", id)
		if err := changed(result, err, "user", id); err != nil {
			return err
		}
		return t.needAdministrator()
	})
}

func (t *tx) needAdministrator() error {
	var there bool
	err := t.row("SELECT EXISTS (SELECT 1 FROM account WHERE role = ? AND disabled = 0 AND labels = '[]')", plimsoll.RoleAdmin).Scan(&there)
	if err == nil && !there {
		return &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: "change a user",
			Err: errors.New("the last administrator who sees everything stays one"), Hint: "make another user an administrator first"}
	}
	return err
}

// NoteLogin notes that an account has signed in.
func (s *Store) NoteLogin(ctx context.Context, id int64) error {
	return s.write(ctx, "note a login", func(t *tx) error {
		_, err := t.exec("UPDATE account SET last_login = ? WHERE id = ?", t.now, id)
		return err
	})
}

// EndSessions ends all sessions of an account.
func (s *Store) EndSessions(ctx context.Context, account int64) error {
	return s.write(ctx, "end sessions", func(t *tx) error { return t.endSessions("account_id = ?", account) })
}

// Audit adds an entry.
func (s *Store) Audit(ctx context.Context, e api.AuditEntry) error {
	return s.write(ctx, "write the audit log", func(t *tx) error {
		_, err := t.exec("INSERT INTO audit (at, account, via, action, object, detail, address, ok) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			t.now, plain(e.User), e.Via, plain(e.Action), plain(e.Object), plain(e.Detail), plain(e.Address), bit(e.OK))
		return err
	})
}

// AuditFilter narrows the audit log.
type AuditFilter struct {
	User, Action string
	Since, Until time.Time
}

var auditSorts = []sortKey{{name: "at", column: "audit.id", desc: true}}

// AuditLog lists entries, newest first.
func (s *Store) AuditLog(ctx context.Context, f AuditFilter, l api.List) (page api.Page[api.AuditEntry], err error) {
	k, err := newKeyset(l, "audit", "audit.id", auditSorts)
	if err != nil {
		return page, err
	}
	var w where
	if f.User != "" {
		w.and("audit.account = ?", f.User)
	}
	if f.Action != "" {
		w.and("audit.action = ?", f.Action)
	}
	if !f.Since.IsZero() {
		w.and("audit.at >= ?", ms(f.Since))
	}
	if !f.Until.IsZero() {
		w.and("audit.at < ?", ms(f.Until))
	}
	err = s.read(ctx, "read the audit log", func(t *tx) error {
		page, err = fetch(t, k, "id, at, account, via, action, object, detail, address, ok", "audit", w,
			func(scan func(...any) error) (e api.AuditEntry, err error) {
				var at int64
				err = scan(&e.ID, &at, &e.User, &e.Via, &e.Action, &e.Object, &e.Detail, &e.Address, &e.OK)
				e.At = moment(at)
				return e, err
			})
		return err
	})
	return page, err
}

// Settings returns the fleet's settings.
func (s *Store) Settings(ctx context.Context) (v api.Settings, err error) {
	err = s.read(ctx, "read the settings", func(t *tx) error {
		v, err = t.settings()
		return err
	})
	return v, err
}

func (t *tx) settings() (api.Settings, error) {
	v := api.DefaultSettings() // also for what an older version did not keep
	var text string
	err := t.row("SELECT value FROM setting WHERE name = ?", settingSettings).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return v, nil
	}
	if err != nil {
		return v, err
	}
	return v, json.Unmarshal([]byte(text), &v)
}

// SetSettings replaces them. A window that is none is CodeInvalid.
func (s *Store) SetSettings(ctx context.Context, v api.Settings) error {
	if _, err := inWindow(v.Window, s.now()); err != nil {
		return err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return storeError("keep the settings", err)
	}
	return s.write(ctx, "keep the settings", func(t *tx) error { return t.set(settingSettings, string(text)) })
}

func (t *tx) set(name, value string) error {
	_, err := t.exec("INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)
	return err
}

// Secret returns a secret of the fleet (the CA's key, the session key), made by
// create on first use; consoles that ask together get the same one.
func (s *Store) Secret(ctx context.Context, name string, create func() ([]byte, error)) (secret []byte, err error) {
	const op = "read a secret of the fleet"
	name = secretPrefix + name
	get := func(t *tx) error {
		var text string
		if err := t.row("SELECT value FROM setting WHERE name = ?", name).Scan(&text); err != nil {
			return err
		}
		secret, err = base64.StdEncoding.DecodeString(text)
		return err
	}
	if err = s.read(ctx, op, get); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
		return secret, err
	}
	made, err := create()
	if err != nil {
		return nil, err
	}
	err = s.write(ctx, "keep a secret of the fleet", func(t *tx) error {
		_, err := t.exec("INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
			name, base64.StdEncoding.EncodeToString(made))
		if err != nil {
			return err
		}
		return get(t)
	})
	return secret, err
}

// jsonList is a list of labels as it is stored: sorted, each once.
func jsonList(list []string) string {
	list = slices.Compact(slices.Sorted(slices.Values(list)))
	return jsonText(append([]string{}, list...))
}

// jsonText is a value of ours as it is stored: one that JSON can hold.
func jsonText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic("store: " + err.Error()) // a type of ours that has no JSON: never because of data
	}
	return string(text)
}

// plain makes a text one that both databases can hold.
func plain(text string) string {
	if storable(text) {
		return text
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// affected returns how many rows a statement changed.
func affected(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}
