package sandbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"sync"

	"github.com/fxamacker/cbor/v2"

	"plimsoll"
	"plimsoll/inventory"
	"plimsoll/layerfs"
)

// The two processes exchange messages in CBOR (RFC 8949), each preceded by its
// length in four bytes, big end first. The parent sends one job, then for each
// layer what the cache has of it, then answers; the child sends what it is asked
// for, and ends with a result or a failure.

// order is a message to the child. One field is set.
type order struct {
	Job    *job    `cbor:",omitempty"`
	Facts  *facts  `cbor:",omitempty"`
	Answer *answer `cbor:",omitempty"`
}

// job is what the child has to do. Descriptors follow its standard ones: the
// board, the socket for scratch files, then those of each layer in turn.
type job struct {
	ImageID    plimsoll.Digest
	Diffs      []plimsoll.Digest
	Scope      string
	Layers     []layerfs.Parcel
	Cached     bool // facts of the layers follow, and those that are new are wanted
	Workers    int
	CPUPercent int
	Skip       []inventory.Skipped
	Held       []string // restrictions that the parent imposed
	NoNet      bool     // one of them is an empty network namespace
}

// facts are the encoded facts of a layer: none when the cache has not got them.
type facts struct {
	Layer int
	Value []byte
}

// answer is that to a question.
type answer struct {
	Metacopy bool
	Redirect string
	Fault    string
}

// report is a message of the child. One field is set.
type report struct {
	Ready   *Restrictions `cbor:",omitempty"` // before it reads
	Counted *counted      `cbor:",omitempty"`
	Facts   *facts        `cbor:",omitempty"`
	Ask     *question     `cbor:",omitempty"`
	Stale   *int          `cbor:",omitempty"` // the cache's facts of a layer are damaged; the child ends
	Result  []byte        `cbor:",omitempty"` // an inventory
	Failed  *failure      `cbor:",omitempty"`
}

type counted struct {
	Layer  int
	Cached bool
}

// question is whether a file's content is in lower layers, for one that looks so:
// the mark of that is seen with a right that the child has given up.
type question struct {
	Layer int
	Path  string
}

// failure is an error on its way.
type failure struct {
	Code            plimsoll.Code
	Op, Text, Hint  string
	Missing, Denied bool // errors.Is of fs.ErrNotExist, fs.ErrPermission
}

func failureOf(err error) *failure {
	f := &failure{Code: plimsoll.CodeOf(err), Op: "read image", Text: err.Error(), Hint: plimsoll.HintOf(err), Missing: errors.Is(err, fs.ErrNotExist), Denied: errors.Is(err, fs.ErrPermission)}
	if e, ok := err.(*plimsoll.Error); ok && e.Err != nil {
		f.Op, f.Text = e.Op, e.Err.Error()
	}
	return f
}

func (f *failure) err() error {
	cause := remote{text: f.Text}
	switch {
	case f.Missing:
		cause.is = fs.ErrNotExist
	case f.Denied:
		cause.is = fs.ErrPermission
	}
	return &plimsoll.Error{Code: f.Code, Op: f.Op, Hint: f.Hint, Err: cause}
}

// remote is the cause of an error in the other process.
type remote struct {
	text string
	is   error
}

func (r remote) Error() string { return r.text }
func (r remote) Unwrap() error { return r.is }

// decoding refuses what no honest message holds.
var decoding = sync.OnceValue(func() cbor.DecMode {
	mode, err := cbor.DecOptions{MaxArrayElements: 4096, MaxMapPairs: 64, MaxNestedLevels: 8, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden, UTF8: cbor.UTF8DecodeInvalid}.DecMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
})

// send writes a message.
func send(w io.Writer, v any) error {
	body, err := cbor.Marshal(v)
	if err != nil {
		return err
	}
	if len(body) > maxFrame {
		return errFrame
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	if len(body) < 4<<10 { // one write, not two
		head, body = append(head, body...), nil
	}
	if _, err := w.Write(head); err != nil || body == nil {
		return err
	}
	_, err = w.Write(body)
	return err
}

var errFrame = plimsoll.Errorf(plimsoll.CodeLimit, "speak to the process that reads the image", "a message is larger than %d bytes", maxFrame)

// receive reads a message. The length is a claim: memory is taken as bytes come.
func receive(r io.Reader, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > maxFrame {
		return errFrame
	}
	var body bytes.Buffer
	if n, err := io.CopyN(&body, r, int64(size)); err != nil {
		if n < int64(size) && err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	return decoding().Unmarshal(body.Bytes(), v)
}
