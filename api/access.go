package api

import (
	"time"

	"plimsoll"
)

// User is somebody who can sign in.
type User struct {
	ID        int64         `json:"id"`
	Name      string        `json:"name"`
	Role      plimsoll.Role `json:"role" enum:"viewer,operator,admin"`
	Labels    []string      `json:"labels,omitempty" doc:"sees only hosts with one of these labels; empty: all hosts"`
	Disabled  bool          `json:"disabled,omitempty"`
	Created   time.Time     `json:"created"`
	LastLogin *time.Time    `json:"lastLogin,omitempty"`
}

// Scope returns what the user sees.
func (u *User) Scope() plimsoll.Scope {
	return plimsoll.Scope{All: len(u.Labels) == 0, Labels: u.Labels}
}

// UserRequest makes or changes a user. On change, absent fields stay.
type UserRequest struct {
	Name     string         `json:"name,omitempty" maxLength:"100" pattern:"^[A-Za-z0-9._@-]*$"`
	Password string         `json:"password,omitempty" maxLength:"200" doc:"at least 12 characters" writeOnly:"true"`
	Role     *plimsoll.Role `json:"role,omitempty" enum:"viewer,operator,admin"`
	Labels   *[]string      `json:"labels,omitempty" maxItems:"50"`
	Disabled *bool          `json:"disabled,omitempty"`
}

// Login signs in.
type Login struct {
	Name     string `json:"name" maxLength:"100"`
	Password string `json:"password" maxLength:"200" writeOnly:"true"`
}

// Setup makes the first administrator, with the one-time link of the first start.
type Setup struct {
	Token    string `json:"token" maxLength:"200" writeOnly:"true"`
	Name     string `json:"name" minLength:"1" maxLength:"100" pattern:"^[A-Za-z0-9._@-]+$"`
	Password string `json:"password" minLength:"12" maxLength:"200" writeOnly:"true"`
}

// Me says who is asking.
type Me struct {
	Name    string        `json:"name"`
	Role    plimsoll.Role `json:"role"`
	Labels  []string      `json:"labels,omitempty"`
	Via     string        `json:"via" enum:"session,token"`
	Token   string        `json:"token,omitempty" doc:"name of the API token in use"`
	Version string        `json:"version" doc:"of the console"`
}

// PasswordChange replaces one's own password.
type PasswordChange struct {
	Old string `json:"old" maxLength:"200" writeOnly:"true"`
	New string `json:"new" minLength:"12" maxLength:"200" writeOnly:"true"`
}

// APIToken lets a program in.
type APIToken struct {
	ID       int64         `json:"id"`
	Name     string        `json:"name"`
	Prefix   string        `json:"prefix" doc:"beginning of the token, to recognise it"`
	User     string        `json:"user"`
	Role     plimsoll.Role `json:"role"`
	Labels   []string      `json:"labels,omitempty"`
	Created  time.Time     `json:"created"`
	Expires  *time.Time    `json:"expires,omitempty"`
	LastUsed *time.Time    `json:"lastUsed,omitempty"`
	Revoked  bool          `json:"revoked,omitempty"`
}

// APITokenRequest makes an API token: never with more rights or a wider scope
// than its maker has.
type APITokenRequest struct {
	Name    string        `json:"name" minLength:"1" maxLength:"100"`
	Role    plimsoll.Role `json:"role" enum:"viewer,operator,admin"`
	Labels  []string      `json:"labels,omitempty" maxItems:"50"`
	Expires *time.Time    `json:"expires,omitempty"`
}

// NewSecret is shown once.
type NewSecret struct {
	ID     int64  `json:"id"`
	Secret string `json:"secret" doc:"shown once, stored as a hash"`
	// Command is what to type on a new host; for enrolment tokens.
	Command string `json:"command,omitempty"`
}

// EnrolmentToken lets new hosts join.
type EnrolmentToken struct {
	ID        int64           `json:"id"`
	Uses      int             `json:"uses" doc:"hosts that can still join"`
	Total     int             `json:"total"`
	Labels    plimsoll.Labels `json:"labels,omitempty" doc:"given to hosts that join with it"`
	Created   time.Time       `json:"created"`
	CreatedBy string          `json:"createdBy"`
	Expires   time.Time       `json:"expires"`
	Revoked   bool            `json:"revoked,omitempty"`
}

// EnrolmentTokenRequest makes an enrolment token.
type EnrolmentTokenRequest struct {
	Uses   int             `json:"uses,omitempty" minimum:"1" maximum:"10000" doc:"default 1"`
	TTL    int64           `json:"ttl,omitempty" minimum:"60" maximum:"2592000" doc:"seconds; default one hour"`
	Labels plimsoll.Labels `json:"labels,omitempty"`
}

// AuditEntry is one change that somebody made.
type AuditEntry struct {
	ID      int64     `json:"id"`
	At      time.Time `json:"at"`
	User    string    `json:"user"`
	Via     string    `json:"via" enum:"session,token,system,setup"`
	Action  string    `json:"action" doc:"the API operation"`
	Object  string    `json:"object,omitempty"`
	Detail  string    `json:"detail,omitempty"`
	Address string    `json:"address,omitempty"`
	OK      bool      `json:"ok"`
}
