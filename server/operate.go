package server

import (
	"cmp"
	"context"
	"time"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/store"
)

// What the operator of a console's machine does with its database directly.

// NewEnrolmentToken makes a token that lets hosts join the console at an address.
func NewEnrolmentToken(ctx context.Context, st *store.Store, r api.EnrolmentTokenRequest, who, address string) (api.NewSecret, error) {
	ca, err := openAuthority(ctx, st, time.Now)
	if err != nil {
		return api.NewSecret{}, err
	}
	made, err := newEnrolmentToken(ctx, st, ca, r, who, address, time.Now())
	return made, noteOperator(ctx, st, who, "add-enrolment-token", "", err)
}

func newEnrolmentToken(ctx context.Context, st *store.Store, ca *authority, r api.EnrolmentTokenRequest, who, address string, now time.Time) (api.NewSecret, error) {
	const op = "make an enrolment token"
	for key, value := range r.Labels {
		if !plimsoll.ValidLabel(key, value) {
			return api.NewSecret{}, plimsoll.Errorf(plimsoll.CodeInvalid, op, "%q cannot be a label", key+"="+value)
		}
	}
	uses, ttl := cmp.Or(r.Uses, 1), time.Duration(cmp.Or(r.TTL, 3600))*time.Second
	const mostUses, mostTime = 10_000, 30 * 24 * time.Hour
	if uses < 1 || uses > mostUses || ttl <= 0 || ttl > mostTime {
		return api.NewSecret{}, plimsoll.Errorf(plimsoll.CodeInvalid, op, "it can have 1 to %d uses and last up to 30 days", mostUses)
	}
	secret, hash := newSecret()
	id, err := st.AddEnrolmentToken(ctx, hash, api.EnrolmentToken{
		Uses: uses, Total: uses, Labels: r.Labels, CreatedBy: who, Expires: now.Add(ttl),
	})
	if err != nil {
		return api.NewSecret{}, err
	}
	token := ca.joinToken(id, secret)
	return api.NewSecret{ID: id, Secret: token, Command: "PLIMSOLL_TOKEN=" + token + " plimsoll agent join " + address}, nil
}

// NewAccount adds a user.
func NewAccount(ctx context.Context, st *store.Store, who, name, password string, role plimsoll.Role, labels []string) (int64, error) {
	const op = "add a user"
	if !role.Allows(plimsoll.RoleViewer) {
		return 0, plimsoll.Errorf(plimsoll.CodeInvalid, op, "%q is no role; there are viewer, operator and admin", role)
	}
	if !userName.MatchString(name) {
		return 0, plimsoll.Errorf(plimsoll.CodeInvalid, op, "%q cannot be a name: letters, digits and ._@- can", name)
	}
	if err := checkLabels(labels); err != nil {
		return 0, err
	}
	hash, err := HashPassword(password)
	if err != nil {
		return 0, err
	}
	id, err := st.AddAccount(ctx, store.Account{User: api.User{Name: name, Role: role, Labels: labels}, Password: hash})
	return id, noteOperator(ctx, st, who, "add-user", name, err)
}

// SetPassword gives a user another password; the user's sessions end.
func SetPassword(ctx context.Context, st *store.Store, who, name, password string) error {
	a, err := st.AccountByName(ctx, name)
	if err != nil {
		return err
	}
	if a.Password, err = HashPassword(password); err != nil {
		return err
	}
	return noteOperator(ctx, st, who, "change-user", name, st.ChangeAccount(ctx, a))
}

// noteOperator notes a change in the audit log and returns its error.
func noteOperator(ctx context.Context, st *store.Store, who, action, object string, err error) error {
	entry := api.AuditEntry{At: time.Now(), User: who, Via: "system", Action: action, Object: object, OK: err == nil}
	if auditErr := st.Audit(ctx, entry); err == nil {
		err = auditErr
	}
	return err
}
