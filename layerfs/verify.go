package layerfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"

	"plimsoll"
)

// verifier computes the digest of an uncompressed tar. A nil one has nothing to
// verify and accepts everything.
type verifier struct {
	want plimsoll.Digest
	sum  hash.Hash
}

func newVerifier(want plimsoll.Digest) *verifier {
	if want == "" {
		return nil
	}
	return &verifier{want, sha256.New()}
}

// tee returns r with all that is read from it shown to the verifier.
func (v *verifier) tee(r io.Reader) io.Reader {
	if v == nil {
		return r
	}
	return io.TeeReader(r, v.sum)
}

// section reads a tar with random access, which a scan skips through, as a
// whole; of a stream (no r) it waits for tee.
func (v *verifier) section(ctx context.Context, r io.ReaderAt, size int64, b bounds) error {
	if v == nil || r == nil {
		return nil
	}
	if size > b.stream { // a sparse file claims any size at no cost
		return errStreamLimit
	}
	buf := make([]byte, 1<<20)
	for in := io.NewSectionReader(r, 0, size); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := in.Read(buf)
		v.sum.Write(buf[:n])
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return streamError("read layer", err)
		}
	}
}

// verify says whether what was read has the digest that was claimed for it.
func (v *verifier) verify() error {
	if v == nil {
		return nil
	}
	if got := hex.EncodeToString(v.sum.Sum(nil)); got != v.want.Hex() {
		return plimsoll.Errorf(plimsoll.CodeCorrupt, "verify layer", "its content has digest sha256:%s, the image's configuration claims %s", got, v.want)
	}
	return nil
}
