package containerd

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
)

// tree is a bucket: values are []byte or tree.
type tree map[string]any

const testPage = 4096

// encode writes a database in which each bucket is one leaf page.
func encode(root tree, txid uint64) []byte {
	file := make([]byte, 2*testPage)
	var page func(t tree) uint64
	page = func(t tree) uint64 {
		keys := make([]string, 0, len(t))
		for k := range t {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		values := make([][]byte, len(keys))
		for i, k := range keys {
			switch v := t[k].(type) {
			case []byte:
				values[i] = v
			case tree:
				values[i] = binary.LittleEndian.AppendUint64(nil, page(v))
				values[i] = append(values[i], make([]byte, 8)...)
			}
		}
		id := uint64(len(file) / testPage)
		head := binary.LittleEndian.AppendUint64(nil, id)
		head = binary.LittleEndian.AppendUint16(head, flagLeaf)
		head = binary.LittleEndian.AppendUint16(head, uint16(len(keys)))
		head = append(head, 0, 0, 0, 0)
		var data []byte
		for i, k := range keys {
			_, isTree := t[k].(tree)
			flags := uint32(0)
			if isTree {
				flags = leafFlagBucket
			}
			pos := (len(keys)-i)*elementHeader + len(data)
			for _, n := range []uint32{flags, uint32(pos), uint32(len(k)), uint32(len(values[i]))} {
				head = binary.LittleEndian.AppendUint32(head, n)
			}
			data = append(append(data, k...), values[i]...)
		}
		b := append(head, data...)
		b = append(b, make([]byte, (testPage-len(b)%testPage)%testPage)...)
		binary.LittleEndian.PutUint32(b[12:], uint32(len(b)/testPage-1))
		file = append(file, b...)
		return id
	}
	rootPage := page(root)
	putMeta(file, 0, rootPage, txid)
	putMeta(file, 1, rootPage, txid-1)
	return file
}

func putMeta(file []byte, index int, root, txid uint64) {
	b := file[index*testPage+pageHeader:]
	binary.LittleEndian.PutUint32(b, boltMagic)
	binary.LittleEndian.PutUint32(b[4:], boltVersion)
	binary.LittleEndian.PutUint32(b[8:], testPage)
	binary.LittleEndian.PutUint64(b[16:], root)
	binary.LittleEndian.PutUint64(b[40:], uint64(len(file)/testPage))
	binary.LittleEndian.PutUint64(b[48:], txid)
	sum := fnv.New64a()
	sum.Write(b[:56])
	binary.LittleEndian.PutUint64(b[56:], sum.Sum64())
}

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// read returns a whole bucket as a tree.
func read(b bucket, depth int) (tree, error) {
	t := tree{}
	err := b.each(func(key, value []byte, sub *bucket) error {
		if sub == nil {
			t[string(key)] = bytes.Clone(value)
			return nil
		}
		if depth == 0 {
			return nil
		}
		inner, err := read(*sub, depth-1)
		t[string(key)] = inner
		return err
	})
	return t, err
}

func TestIMG04BoltOfARealContainerd(t *testing.T) {
	var all tree
	err := view(bytes.NewReader(fixture(t, "meta.db.gz")), func(root bucket, txid uint64) error {
		var err error
		all, err = read(root, 20)
		if err != nil {
			return err
		}
		// Seeking finds what walking found, and nothing else.
		images, err := root.sub("v1", "team-a", "images")
		if err != nil {
			return err
		}
		for i := range 150 {
			name := fmt.Sprintf("registry.example/app:%d", i+1)
			target, err := root.sub("v1", "team-a", "images", name, "target")
			if err != nil {
				return err
			}
			digest, err := target.get("digest")
			if _, bad := plimsoll.ParseDigest(string(digest)); err != nil || bad != nil {
				t.Errorf("%s has digest %q, %v", name, digest, err)
			}
		}
		for _, name := range []string{"", "a", "registry.example/app:1000", "~"} {
			if b, err := images.sub(name); err != nil || b.db != nil {
				t.Errorf("found a bucket %q, %v", name, err)
			}
			if v, err := images.get(name); err != nil || v != nil {
				t.Errorf("found a value %q: %q, %v", name, v, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	team := all["v1"].(tree)["team-a"].(tree)
	if n := len(team["images"].(tree)); n != 151 {
		t.Errorf("got %d images, want 151", n)
	}

	var snapshots map[string]snapshot
	err = view(bytes.NewReader(fixture(t, "metadata.db.gz")), func(root bucket, _ uint64) (err error) {
		snapshots, err = readSnapshots(root)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	const top = "sha256:4bceb02458b5d76bf17cc8c8ea5053873e7b163071c24a880da6173e5c78fe15"
	if sn := snapshots["team-a/"+top]; sn.id == 0 || sn.size == 0 || sn == snapshots["k8s.io/"+top] {
		t.Errorf("the top layer's snapshot is %+v", sn)
	}
	for name := range snapshots {
		if !strings.Contains(name, "/sha256:") {
			t.Errorf("%q is no committed layer", name)
		}
	}
}

// changing is a database that is committed to while it is read.
type changing struct {
	states [][]byte
	reads  int
	every  int // reads per state
}

func (c *changing) ReadAt(b []byte, off int64) (int, error) {
	i := min(c.reads/c.every, len(c.states)-1)
	c.reads++
	return bytes.NewReader(c.states[i]).ReadAt(b, off)
}

func TestIMG04BoltChangesMeanwhile(t *testing.T) {
	var states [][]byte
	for i := range 4 {
		v := fmt.Appendf(nil, "%d", i)
		states = append(states, encode(tree{"a": tree{"v": v}, "b": tree{"v": v}}, uint64(i+10)))
	}
	r := &changing{states: states, every: 4}
	var a, b []byte
	err := view(r, func(root bucket, _ uint64) error {
		sub, err := root.sub("a")
		if err != nil {
			return err
		}
		if a, err = sub.get("v"); err != nil {
			return err
		}
		if sub, err = root.sub("b"); err != nil {
			return err
		}
		b, err = sub.get("v")
		return err
	})
	if err != nil || !bytes.Equal(a, b) || len(a) == 0 {
		t.Errorf("got %q and %q, %v: not one state", a, b, err)
	}

	states = nil
	for i := range 200 {
		states = append(states, encode(tree{"a": tree{}}, uint64(i+10)))
	}
	err = view(&changing{states: states, every: 1}, func(bucket, uint64) error { return nil })
	if plimsoll.CodeOf(err) != plimsoll.CodeUnavailable {
		t.Errorf("a database that never rests: got %v", err)
	}
}

func TestBoltMetaPages(t *testing.T) {
	whole := encode(tree{"a": tree{"v": []byte("1")}}, 10)
	get := func(file []byte) (string, error) {
		var v []byte
		err := view(bytes.NewReader(file), func(root bucket, _ uint64) error {
			a, err := root.sub("a")
			if err != nil {
				return err
			}
			v, err = a.get("v")
			return err
		})
		return string(v), err
	}
	for name, test := range map[string]struct {
		damage func(b []byte)
		want   plimsoll.Code
	}{
		"whole":                  {func([]byte) {}, ""},
		"first meta page torn":   {func(b []byte) { b[pageHeader+20]++ }, ""},
		"second meta page torn":  {func(b []byte) { b[testPage+pageHeader+20]++ }, ""},
		"both torn":              {func(b []byte) { b[pageHeader]++; b[testPage+pageHeader]++ }, plimsoll.CodeCorrupt},
		"root outside the file":  {func(b []byte) { putMeta(b, 0, 1<<50, 99) }, plimsoll.CodeCorrupt},
		"root is a meta page":    {func(b []byte) { putMeta(b, 0, 1, 99) }, plimsoll.CodeCorrupt},
		"page that is 4 GiB":     {func(b []byte) { copy(b[2*testPage+12:], "\xff\xff\xff\xff") }, plimsoll.CodeLimit},
		"overflow after the end": {func(b []byte) { b[2*testPage+12] = 200 }, plimsoll.CodeCorrupt},
		"more elements than fit": {func(b []byte) { copy(b[2*testPage+10:], "\xff\xff") }, plimsoll.CodeCorrupt},
		"key after the page":     {func(b []byte) { copy(b[2*testPage+pageHeader+4:], "\xff\xff\xff\xff") }, plimsoll.CodeCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			b := bytes.Clone(whole)
			test.damage(b)
			v, err := get(b)
			if plimsoll.CodeOf(err) != test.want || err == nil && v != "1" {
				t.Errorf("got %q, %v, want code %q", v, err, test.want)
			}
		})
	}
	t.Run("a page that is its own child", func(t *testing.T) {
		b := bytes.Clone(whole)
		binary.LittleEndian.PutUint16(b[2*testPage+8:], flagBranch)
		binary.LittleEndian.PutUint64(b[2*testPage+pageHeader+8:], 2)
		var m meta
		m, _ = readMeta(bytes.NewReader(b))
		db := &bolt{r: bytes.NewReader(b), meta: m, budget: 1 << 20}
		if err := (bucket{db: db, root: 2}).each(func(_, _ []byte, _ *bucket) error { return nil }); plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
			t.Errorf("got %v", err)
		}
	})
}

func TestEncodeAndRead(t *testing.T) {
	want := tree{"v1": tree{"": []byte("empty key"), "a": []byte{}, "big": bytes.Repeat([]byte("x"), 3*testPage), "sub": tree{"deep": tree{}}}}
	var got tree
	err := view(bytes.NewReader(encode(want, 2)), func(root bucket, _ uint64) (err error) {
		got, err = read(root, 9)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzBolt(f *testing.F) {
	f.Add(fixture(f, "metadata.db.gz"), uint16(3), byte(0xff))
	f.Add(encode(tree{"v1": tree{"snapshots": tree{"a/1/b": tree{"id": []byte{1}, "kind": []byte{3}}}}}, 5), uint16(9), byte(1))
	f.Fuzz(func(t *testing.T, file []byte, at uint16, change byte) {
		for _, off := range []int{int(at), 2*testPage + int(at)%testPage} {
			if off < len(file) {
				file[off] ^= change
			}
		}
		if len(file) > 2*testPage { // whatever the pages say, they are looked at
			putMeta(file, 0, 2+uint64(change)%8, 99)
		}
		m, err := readMeta(bytes.NewReader(file))
		if err != nil {
			return
		}
		// The real budget is for databases of a thousand images.
		root := bucket{db: &bolt{r: bytes.NewReader(file), meta: m, budget: 1 << 20}, root: m.root}
		readSnapshots(root)
		read(root, 5)
	})
}
