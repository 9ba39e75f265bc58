package vulndb

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll"
)

// A generation travels with a seal: an Ed25519 signature (RFC 8032) of its content by
// a signing key that lives for some months, which a root key has certified. Who has
// the file from a mirror, a stick or a mail trusts the root key alone, never the way
// by which it came. A directory holds
//
//	keys/root.json     its own root key; absent when the root is kept elsewhere
//	keys/signing.json  its signing key with the certificate
//	keys/trusted       root keys of others, one in a line
//	gen/….seal         the seal of each generation
const (
	keysDir     = "keys"
	rootFile    = "root.json"
	signingFile = "signing.json"
	trustedFile = "trusted"
	sealSuffix  = ".seal"

	// signingLife is how long a signing key lives, renewBefore when the next one
	// takes its place where the root key is at hand.
	signingLife = 90 * 24 * time.Hour
	renewBefore = 30 * 24 * time.Hour

	// bundleMagic begins a file that holds a seal and the generation that it is
	// about. The seal's length follows in four bytes, little-endian.
	bundleMagic = "plimsoll bundle 1\n"
	maxSeal     = 16 << 10 // bytes
	maxTrusted  = 1000     // keys
)

// Key is a public root key.
type Key [ed25519.PublicKeySize]byte

const keyPrefix = "ed25519:"

// String is the key as people pass it on.
func (k Key) String() string { return keyPrefix + base64.RawURLEncoding.EncodeToString(k[:]) }

// ParseKey reads what String gave. The error has CodeInvalid.
func ParseKey(s string) (k Key, err error) {
	text, ok := strings.CutPrefix(strings.TrimSpace(s), keyPrefix)
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if !ok || err != nil || len(b) != len(k) || strings.ContainsAny(text, "\r\n") { // which base64 skips
		return k, plimsoll.Errorf(plimsoll.CodeInvalid, "read a key", "%.100q is no key; one begins with %q", s, keyPrefix)
	}
	return Key(b), nil
}

// MarshalText and UnmarshalText are String and ParseKey.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

func (k *Key) UnmarshalText(b []byte) (err error) {
	*k, err = ParseKey(string(b))
	return err
}

// Seal vouches for a generation.
type Seal struct {
	Digest      plimsoll.Digest `json:"digest"` // of the whole file
	Size        int64           `json:"size"`   // bytes
	Built       time.Time       `json:"built"`
	Certificate Certificate     `json:"certificate"`
	Signature   []byte          `json:"signature"`
}

// Certificate is a root key's word that a signing key is its own until a day.
type Certificate struct {
	Root      Key       `json:"root"`
	Key       Key       `json:"key"`
	Expires   time.Time `json:"expires"`
	Signature []byte    `json:"signature"`
}

// What is signed begins with its purpose, so that a signature of one kind is never
// taken for one of the other.
func (s *Seal) signed() []byte {
	return fmt.Appendf(nil, "plimsoll generation\n%s\n%d\n%s\n", s.Digest, s.Size, s.Built.UTC().Format(time.RFC3339))
}

func (c *Certificate) signed() []byte {
	return fmt.Appendf(nil, "plimsoll signing key\n%s\n%s\n", c.Key, c.Expires.UTC().Format(time.RFC3339))
}

// check says whether the seal is whole, of a key that is trusted, and valid now.
// Whether it is about a file only the file tells.
func (s *Seal) check(trusted []Key, now time.Time) error {
	const op = "check the seal of advisories"
	c := &s.Certificate
	switch {
	case !ed25519.Verify(c.Root[:], c.signed(), c.Signature) || !ed25519.Verify(c.Key[:], s.signed(), s.Signature):
		return &plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: op, Err: errors.New("the signature is wrong: the file was damaged or changed"), Hint: "export it again"}
	case !slices.Contains(trusted, c.Root):
		return &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: op, Err: fmt.Errorf("it is signed by %s, whom nobody here trusts", c.Root),
			Hint: fmt.Sprintf("if that is the key that \"plimsoll db key\" shows where it comes from: plimsoll db trust %s", c.Root)}
	case !now.Before(c.Expires):
		return &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: op, Err: fmt.Errorf("its signing key expired on %s", c.Expires.Format(time.DateOnly)),
			Hint: "export it again, and see that the clock of this machine is right"}
	}
	return nil
}

// keyPair is a key with its private half, as it is kept.
type keyPair struct {
	Seed        []byte       `json:"seed"`
	Certificate *Certificate `json:"certificate,omitempty"` // of a signing key
}

func (p keyPair) private() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(p.Seed) }
func (p keyPair) public() Key                 { return Key(p.private().Public().(ed25519.PublicKey)) }

func newKeyPair() (keyPair, error) {
	seed := make([]byte, ed25519.SeedSize)
	_, err := rand.Read(seed)
	return keyPair{Seed: seed}, err
}

// certify makes a signing key.
func (p keyPair) certify(now time.Time) (keyPair, error) {
	next, err := newKeyPair()
	if err != nil {
		return next, err
	}
	c := Certificate{Root: p.public(), Key: next.public(), Expires: now.Add(signingLife).UTC().Truncate(time.Second)}
	c.Signature = ed25519.Sign(p.private(), c.signed())
	next.Certificate = &c
	return next, nil
}

// readKeyPair returns an error with CodeNotFound when there is no such file.
func readKeyPair(path string) (p keyPair, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return p, fileError("read a key", err)
	}
	if err := json.Unmarshal(b, &p); err != nil || len(p.Seed) != ed25519.SeedSize {
		return p, plimsoll.Errorf(plimsoll.CodeCorrupt, "read a key", "%s holds no key", path)
	}
	return p, nil
}

func (p keyPair) write(path string) error {
	b, err := json.MarshalIndent(p, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fileError("keep a key", err)
	}
	return replaceFile("keep a key", path, append(b, '\n'), 0o600)
}

// replaceFile writes a file in one durable step.
func replaceFile(op, path string, content []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path+tmpSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, mode)
	if err != nil {
		return fileError(op, err)
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(path+tmpSuffix, path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		os.Remove(path + tmpSuffix)
		return fileError(op, err)
	}
	return nil
}

// Keys are the keys of a directory.
type Keys struct {
	Root    Key       // zero when the directory has sealed nothing yet
	Expires time.Time // of the signing key
	Trusted []Key     // of others, sorted
}

// ReadKeys returns the keys of dir.
func ReadKeys(dir string) (k Keys, err error) {
	p, err := readKeyPair(filepath.Join(dir, keysDir, signingFile))
	switch {
	case err == nil && p.Certificate != nil:
		k.Root, k.Expires = p.Certificate.Root, p.Certificate.Expires
	case err != nil && plimsoll.CodeOf(err) != plimsoll.CodeNotFound:
		return k, err
	}
	b, err := os.ReadFile(filepath.Join(dir, keysDir, trustedFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return k, fileError("read the trusted keys", err)
	}
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		key, err := ParseKey(line)
		if err != nil {
			return k, err
		}
		if k.Trusted = append(k.Trusted, key); len(k.Trusted) > maxTrusted {
			return k, plimsoll.Errorf(plimsoll.CodeLimit, "read the trusted keys", "there are more than %d", maxTrusted)
		}
	}
	slices.SortFunc(k.Trusted, func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
	k.Trusted = slices.Compact(k.Trusted)
	return k, nil
}

// accepted are the keys whose seals count in the directory.
func (k Keys) accepted() []Key {
	if k.Root == (Key{}) {
		return k.Trusted
	}
	return append(slices.Clone(k.Trusted), k.Root)
}

// Trust makes the seals of a root key count, or no longer.
func (d *Dir) Trust(key Key, trust bool) error {
	k, err := ReadKeys(d.path)
	if err != nil {
		return err
	}
	k.Trusted = slices.DeleteFunc(k.Trusted, func(known Key) bool { return known == key })
	if trust {
		k.Trusted = append(k.Trusted, key)
	}
	var b bytes.Buffer
	for _, key := range k.Trusted {
		fmt.Fprintln(&b, key)
	}
	if err := os.MkdirAll(filepath.Join(d.path, keysDir), 0o700); err != nil {
		return fileError("keep the trusted keys", err)
	}
	return replaceFile("keep the trusted keys", filepath.Join(d.path, keysDir, trustedFile), b.Bytes(), 0o600)
}

// UseRoot has a root key that is kept elsewhere, in the file root, certify a new
// signing key of this directory, and forgets the directory's own root key. The file
// is made if there is none.
func (d *Dir) UseRoot(root string, now time.Time) (Keys, error) {
	p, err := readKeyPair(root)
	if plimsoll.CodeOf(err) == plimsoll.CodeNotFound {
		if p, err = newKeyPair(); err == nil {
			err = p.write(root)
		}
	}
	if err != nil {
		return Keys{}, err
	}
	signing, err := p.certify(now)
	if err == nil {
		err = signing.write(filepath.Join(d.path, keysDir, signingFile))
	}
	if err != nil {
		return Keys{}, err
	}
	if err := os.Remove(filepath.Join(d.path, keysDir, rootFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return Keys{}, fileError("forget the root key", err)
	}
	return ReadKeys(d.path)
}

// signing returns the directory's signing key, making or renewing it where its root
// key is at hand.
func (d *Dir) signing(now time.Time) (keyPair, error) {
	const op = "sign advisories"
	path := filepath.Join(d.path, keysDir, signingFile)
	p, err := readKeyPair(path)
	absent := plimsoll.CodeOf(err) == plimsoll.CodeNotFound
	if err != nil && !absent {
		return p, err
	}
	if !absent && p.Certificate != nil && now.Before(p.Certificate.Expires.Add(-renewBefore)) {
		return p, nil
	}
	root, err := readKeyPair(filepath.Join(d.path, keysDir, rootFile))
	switch {
	case plimsoll.CodeOf(err) != plimsoll.CodeNotFound && err != nil:
		return p, err
	case err != nil && absent: // the first time
		if root, err = newKeyPair(); err == nil {
			err = root.write(filepath.Join(d.path, keysDir, rootFile))
		}
		if err != nil {
			return p, err
		}
	case err != nil && p.Certificate != nil && now.Before(p.Certificate.Expires):
		return p, nil
	case err != nil:
		return p, &plimsoll.Error{Code: plimsoll.CodeUnavailable, Op: op, Err: errors.New("the signing key has expired, and its root key is kept elsewhere"),
			Hint: "renew it with plimsoll db key --root FILE"}
	}
	if p, err = root.certify(now); err == nil {
		err = p.write(path)
	}
	return p, err
}

// seal signs the file at path.
func (d *Dir) seal(path string, built, now time.Time) (*Seal, error) {
	p, err := d.signing(now)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError("sign advisories", err)
	}
	defer f.Close()
	digest, size, err := digestOf(f)
	if err != nil {
		return nil, fileError("sign advisories", err)
	}
	s := &Seal{Digest: digest, Size: size, Built: built.UTC(), Certificate: *p.Certificate}
	s.Signature = ed25519.Sign(p.private(), s.signed())
	return s, nil
}

// digestOf reads all of r.
func digestOf(r io.Reader) (plimsoll.Digest, int64, error) {
	sum := sha256.New()
	n, err := io.Copy(sum, r)
	return digest(sum), n, err
}

func digest(sum hash.Hash) plimsoll.Digest {
	return plimsoll.Digest("sha256:" + hex.EncodeToString(sum.Sum(nil)))
}

// readSeal returns the seal beside a generation; nil when there is none.
func readSeal(path string) (*Seal, error) {
	b, err := os.ReadFile(path + sealSuffix)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fileError("read the seal of advisories", err)
	}
	return parseSeal(b)
}

// writeSealBeside keeps the seal of the generation at path, which may not be there yet.
func writeSealBeside(path string, s *Seal) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return replaceFile("keep the seal of advisories", path+sealSuffix, append(text, '\n'), 0o644)
}

func parseSeal(b []byte) (*Seal, error) {
	var s Seal
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, &plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: "read the seal of advisories", Err: err, Hint: "export it again"}
	}
	return &s, nil
}

// cutSeal reads the seal at the beginning of a bundle, and returns what follows.
// Without one the seal is nil.
func cutSeal(r io.Reader) (*Seal, io.Reader, error) {
	b := bufio.NewReader(r)
	if head, _ := b.Peek(len(bundleMagic)); string(head) != bundleMagic {
		return nil, b, nil
	}
	b.Discard(len(bundleMagic))
	var length uint32
	err := binary.Read(b, binary.LittleEndian, &length)
	if err == nil && length > maxSeal {
		err = fmt.Errorf("it claims %d bytes", length)
	}
	text := make([]byte, min(length, maxSeal))
	if err == nil {
		_, err = io.ReadFull(b, text)
	}
	if err != nil {
		return nil, nil, &plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: "read the seal of advisories", Err: err, Hint: "export it again"}
	}
	s, err := parseSeal(text)
	return s, b, err
}

// writeSeal begins a bundle.
func writeSeal(w io.Writer, s *Seal) error {
	text, err := json.Marshal(s)
	if err == nil {
		_, err = io.WriteString(w, bundleMagic)
	}
	if err == nil {
		err = binary.Write(w, binary.LittleEndian, uint32(len(text)))
	}
	if err == nil {
		_, err = w.Write(text)
	}
	return err
}

// Verify reads all of the active generation of dir and checks it and its seal. The
// key is that of the seal's root; zero without a seal, as earlier versions left it.
func Verify(ctx context.Context, dir string) (g plimsoll.Generation, by Key, err error) {
	path, db, err := openCurrent(dir)
	if err != nil {
		return g, by, err
	}
	defer db.Close()
	if err := db.Verify(ctx); err != nil {
		return g, by, err
	}
	seal, err := readSeal(path)
	if err != nil || seal == nil {
		return db.Generation(), by, err
	}
	keys, err := ReadKeys(dir)
	if err != nil {
		return g, by, err
	}
	// An expired key has signed it in time: what is here was checked when it came.
	if err := seal.check(keys.accepted(), seal.Certificate.Expires.Add(-1)); err != nil {
		return g, by, err
	}
	if sum, size, err := digestOf(io.NewSectionReader(db.src, 0, db.size)); err != nil || sum != seal.Digest || size != seal.Size {
		return g, by, &plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: "verify advisories", Err: errors.New("the file is not what its seal is about"),
			Hint: "fetch them again with plimsoll db update"}
	}
	return db.Generation(), seal.Certificate.Root, nil
}
