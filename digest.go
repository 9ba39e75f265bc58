package plimsoll

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Digest identifies content: "sha256:" and 64 lower-case hexadecimal digits.
// The zero value means "unknown".
type Digest string

const digestPrefix = "sha256:"

// ParseDigest checks s and returns it as a Digest. The error has CodeInvalid.
func ParseDigest(s string) (Digest, error) {
	hexPart, ok := strings.CutPrefix(s, digestPrefix)
	if !ok || len(hexPart) != sha256.Size*2 || strings.ToLower(hexPart) != hexPart {
		return "", Errorf(CodeInvalid, "parse digest", "%q is not sha256: and 64 hexadecimal digits", clip(s))
	}
	if _, err := hex.DecodeString(hexPart); err != nil {
		return "", Errorf(CodeInvalid, "parse digest", "%q is not sha256: and 64 hexadecimal digits", clip(s))
	}
	return Digest(s), nil
}

// DigestOf returns the digest of b.
func DigestOf(b []byte) Digest {
	sum := sha256.Sum256(b)
	return Digest(digestPrefix + hex.EncodeToString(sum[:]))
}

// Hex returns the hexadecimal part.
func (d Digest) Hex() string { return strings.TrimPrefix(string(d), digestPrefix) }

// Short returns the first twelve hexadecimal digits, as engines print image IDs.
func (d Digest) Short() string { return d.Hex()[:min(12, len(d.Hex()))] }

// ChainIDs returns the chain ID of each layer, bottom first, as the OCI image
// specification defines them: the first is the diff ID itself, each further one
// the digest of the previous chain ID, a space and the diff ID.
func ChainIDs(diffIDs []Digest) []Digest {
	chain := make([]Digest, len(diffIDs))
	for i, diff := range diffIDs {
		if i == 0 {
			chain[i] = diff
			continue
		}
		chain[i] = DigestOf([]byte(string(chain[i-1]) + " " + string(diff)))
	}
	return chain
}

// clip shortens foreign text for an error message.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
