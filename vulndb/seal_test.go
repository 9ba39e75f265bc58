package vulndb

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plimsoll"
)

// sealed is a directory with one generation, and the bundle of it.
func sealed(t *testing.T) (*Dir, *Seal, []byte) {
	t.Helper()
	d := acquire(t, t.TempDir())
	generation(t, d, 20, 1)
	if _, err := d.Activate(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := Export(d.path, &b); err != nil {
		t.Fatal(err)
	}
	s, _, err := cutSeal(bytes.NewReader(b.Bytes()))
	if err != nil || s == nil {
		t.Fatal(s, err)
	}
	return d, s, b.Bytes()
}

// What a seal says cannot be changed, taken from another, or outlive its key.
func TestSealsAreChecked(t *testing.T) {
	t.Parallel()
	d, seal, _ := sealed(t)
	_, other, _ := sealed(t)
	keys, err := ReadKeys(d.path)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, tt := range []struct {
		name   string
		change func(s *Seal)
		at     time.Time
		want   plimsoll.Code
	}{
		{"as it is", func(*Seal) {}, now, ""},
		{"until its last moment", func(*Seal) {}, seal.Certificate.Expires.Add(-1), ""},
		{"expired", func(*Seal) {}, seal.Certificate.Expires, plimsoll.CodeInvalid},
		{"expiry put off", func(s *Seal) { s.Certificate.Expires = now.Add(1000 * time.Hour) }, now, plimsoll.CodeCorrupt},
		{"another digest", func(s *Seal) { s.Digest = other.Digest; s.Size++ }, now, plimsoll.CodeCorrupt},
		{"another size", func(s *Seal) { s.Size++ }, now, plimsoll.CodeCorrupt},
		{"another date", func(s *Seal) { s.Built = s.Built.Add(time.Hour) }, now, plimsoll.CodeCorrupt},
		{"no signature", func(s *Seal) { s.Signature = nil }, now, plimsoll.CodeCorrupt},
		{"signature of the certificate", func(s *Seal) { s.Signature = s.Certificate.Signature }, now, plimsoll.CodeCorrupt},
		{"root of another", func(s *Seal) { s.Certificate.Root = other.Certificate.Root }, now, plimsoll.CodeCorrupt},
		{"certificate of another", func(s *Seal) { s.Certificate = other.Certificate }, now, plimsoll.CodeCorrupt},
		{"all of another", func(s *Seal) { *s = *other }, now, plimsoll.CodeInvalid},
		{"signed by the root without a signing key", func(s *Seal) {
			root, err := readKeyPair(filepath.Join(d.path, keysDir, rootFile))
			if err != nil {
				t.Fatal(err)
			}
			s.Certificate.Key = s.Certificate.Root
			s.Signature = ed25519.Sign(root.private(), s.signed())
		}, now, plimsoll.CodeCorrupt},
		{"empty", func(s *Seal) { *s = Seal{} }, now, plimsoll.CodeCorrupt},
	} {
		changed := *seal
		tt.change(&changed)
		if err := changed.check(keys.accepted(), tt.at); plimsoll.CodeOf(err) != tt.want {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	if g, by, err := Verify(t.Context(), d.path); err != nil || by != keys.Root || g.Advisories != 20 {
		t.Errorf("%+v %s %v", g, by, err)
	}
	// Valid advisories that somebody else put in their place.
	e, _, _ := sealed(t)
	generation(t, e, 30, 2)
	if _, err := e.Activate(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(e.path, genDir, currentName(e.path)))
	if err == nil {
		err = os.WriteFile(filepath.Join(d.path, genDir, currentName(d.path)), content, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Verify(t.Context(), d.path); plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
		t.Errorf("exchanged: %v", err)
	}
}

// A root key can be kept elsewhere; a signing key is renewed in time where it is not.
func TestKeys(t *testing.T) {
	t.Parallel()
	d, seal, _ := sealed(t)
	now := time.Now()
	first, err := d.signing(now)
	if err != nil || first.public() != seal.Certificate.Key {
		t.Fatal(first, err)
	}
	if again, err := d.signing(now.Add(signingLife - renewBefore - time.Minute)); err != nil || again.public() != first.public() {
		t.Errorf("renewed too soon: %v", err)
	}
	renewed, err := d.signing(now.Add(signingLife - renewBefore + time.Minute))
	if err != nil || renewed.public() == first.public() || renewed.Certificate.Root != first.Certificate.Root {
		t.Errorf("not renewed: %v", err)
	}

	root := filepath.Join(t.TempDir(), "root.json")
	keys, err := d.UseRoot(root, now)
	if err != nil || keys.Root == first.Certificate.Root {
		t.Fatal(keys, err)
	}
	if _, err := os.Stat(filepath.Join(d.path, keysDir, rootFile)); !errors.Is(err, os.ErrNotExist) {
		t.Error("the old root key is still here")
	}
	if info, err := os.Stat(root); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the root key can be read by others: %v %v", info, err)
	}
	if p, err := d.signing(now.Add(signingLife - time.Minute)); err != nil || p.Certificate.Root != keys.Root {
		t.Errorf("a key whose root is elsewhere is used to its end: %v", err)
	}
	if _, err := d.signing(now.Add(signingLife + time.Minute)); plimsoll.CodeOf(err) != plimsoll.CodeUnavailable || !strings.Contains(plimsoll.HintOf(err), "--root") {
		t.Errorf("expired, and no root: %v", err)
	}
	if again, err := d.UseRoot(root, now.Add(time.Hour)); err != nil || again.Root != keys.Root || !again.Expires.After(keys.Expires) {
		t.Errorf("the same root again: %+v %v", again, err)
	}

	// What was sealed by a key that is trusted no more is sealed anew when exported.
	if _, _, err := Verify(t.Context(), d.path); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
		t.Errorf("the seal of the old root: %v", err)
	}
	d.Release()
	var b bytes.Buffer
	if _, err := Export(d.path, &b); err != nil {
		t.Fatal(err)
	}
	if _, by, err := Verify(t.Context(), d.path); err != nil || by != keys.Root {
		t.Errorf("%s %v", by, err)
	}

	e := acquire(t, t.TempDir())
	if err := e.Trust(keys.Root, true); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Import(t.Context(), bytes.NewReader(b.Bytes()), Terms{}); err != nil {
		t.Error(err)
	}
	if err := e.Trust(keys.Root, false); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Import(t.Context(), bytes.NewReader(b.Bytes()), Terms{}); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
		t.Errorf("trusted no more: %v", err)
	}
	// Who takes it all the same vouches for it.
	f := acquire(t, t.TempDir())
	if _, err := f.Import(t.Context(), bytes.NewReader(b.Bytes()), Terms{Unsigned: true}); err != nil {
		t.Fatal(err)
	}
	own, _ := ReadKeys(f.path)
	if _, by, err := Verify(t.Context(), f.path); err != nil || by != own.Root || by == keys.Root {
		t.Errorf("%s %v", by, err)
	}

	for _, bad := range []string{"", "ed25519:", "ed25519:AAAA", strings.TrimPrefix(keys.Root.String(), keyPrefix), keys.Root.String() + "A"} {
		if _, err := ParseKey(bad); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if key, err := ParseKey(" " + keys.Root.String() + "\n"); err != nil || key != keys.Root {
		t.Error(key, err)
	}
}

// Whatever a file begins with, it is read within limits and never panics.
func FuzzCutSeal(f *testing.F) {
	key := Key{1}
	good, err := json.Marshal(Seal{Digest: plimsoll.DigestOf(nil), Certificate: Certificate{Root: key, Key: key, Signature: []byte{1}}, Signature: []byte{2}})
	if err != nil {
		f.Fatal(err)
	}
	var b bytes.Buffer
	if err := writeSeal(&b, &Seal{}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(append([]byte(bundleMagic+"\x10\x00\x00\x00"), good...))
	f.Add([]byte(bundleMagic))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, _, err := cutSeal(bytes.NewReader(b))
		if err != nil || s == nil {
			return
		}
		if s.check([]Key{{2}}, time.Unix(0, 0)) == nil {
			t.Error("a seal that nobody made was taken")
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add(Key{}.String())
	f.Add("ed25519:" + strings.Repeat("A", 44))
	f.Fuzz(func(t *testing.T, text string) {
		if k, err := ParseKey(text); err == nil && k.String() != strings.TrimSpace(text) {
			t.Errorf("%q was read as %s", text, k)
		}
	})
}
