package server

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"plimsoll"
)

// Cost of a password's hash, as OWASP advises for argon2id.
const (
	hashMemory = 19 << 10 // KiB
	hashTime   = 2
	hashLanes  = 1
	hashBytes  = 32
	saltBytes  = 16
)

// Limits of a password, in bytes.
const minPassword, maxPassword = 12, 200

// HashPassword returns the argon2id hash of a password in PHC format. The error
// has CodeInvalid when it is too short or too long.
func HashPassword(password string) (string, error) {
	if len(password) < minPassword || len(password) > maxPassword {
		return "", plimsoll.Errorf(plimsoll.CodeInvalid, "keep the password", "it must have %d to %d characters", minPassword, maxPassword)
	}
	salt := make([]byte, saltBytes)
	rand.Read(salt)
	sum := argon2.IDKey([]byte(password), salt, hashTime, hashMemory, hashLanes, hashBytes)
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashTime, hashLanes, b64(salt), b64(sum)), nil
}

// hash is HashPassword, as many at a time as memory allows.
func (s *Server) hash(ctx context.Context, password string) (string, error) {
	if err := s.hashing.Acquire(ctx, 1); err != nil {
		return "", err
	}
	defer s.hashing.Release(1)
	return HashPassword(password)
}

// fits says whether a password has the hash. An unreadable hash takes as long as
// a good one, so that time does not tell whether there is such a user.
func (s *Server) fits(ctx context.Context, phc, password string) bool {
	var version int
	var memory, time uint32
	var lanes uint8
	var salt, want []byte
	parts := strings.Split(phc, "$")
	ok := len(parts) == 6 && parts[1] == "argon2id"
	if ok {
		_, err1 := fmt.Sscanf(parts[2], "v=%d", &version)
		_, err2 := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &time, &lanes)
		var err3, err4 error
		salt, err3 = base64.RawStdEncoding.DecodeString(parts[4])
		want, err4 = base64.RawStdEncoding.DecodeString(parts[5])
		ok = err1 == nil && err2 == nil && err3 == nil && err4 == nil && version == argon2.Version &&
			memory <= 1<<20 && time >= 1 && time <= 100 && lanes >= 1 && len(want) > 0
	}
	if !ok {
		memory, time, lanes, salt, want = hashMemory, hashTime, hashLanes, make([]byte, saltBytes), make([]byte, hashBytes)
	}
	if err := s.hashing.Acquire(ctx, 1); err != nil {
		return false
	}
	defer s.hashing.Release(1)
	got := argon2.IDKey([]byte(password), salt, time, memory, lanes, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1 && ok
}
