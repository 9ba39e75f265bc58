package engine_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll"
	"plimsoll/engine"
)

var (
	diff1 = plimsoll.DigestOf([]byte("1"))
	diff2 = plimsoll.DigestOf([]byte("2"))
)

func TestDecodeConfig(t *testing.T) {
	b := fmt.Appendf(nil, `{
		"architecture": "arm64", "os": "linux", "variant": "v8", "created": "2024-02-03T04:05:06.7+01:00",
		"config": {"User": "app", "WorkingDir": "/w", "Entrypoint": "/bin/run", "Cmd": ["a", "b"], "Env": ["A=b"], "Labels": {"k": "v"}},
		"rootfs": {"type": "layers", "diff_ids": [%q, %q]},
		"history": [
			{"created": "not a time", "created_by": "ADD rootfs"},
			{"created_by": "CMD", "empty_layer": true, "comment": "c"},
			{"created_by": "RUN make"}
		]}`, diff1, diff2)
	got, err := engine.DecodeConfig(b)
	if err != nil {
		t.Fatal(err)
	}
	want := plimsoll.Image{
		ID:       plimsoll.DigestOf(b),
		Platform: plimsoll.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"},
		Created:  time.Date(2024, 2, 3, 3, 5, 6, 7e8, time.UTC),
		Config: plimsoll.Config{User: "app", WorkingDir: "/w", Entrypoint: []string{"/bin/run"}, Cmd: []string{"a", "b"},
			Env: []string{"A=b"}, Labels: map[string]string{"k": "v"}},
		History: []plimsoll.History{
			{CreatedBy: "ADD rootfs"}, {CreatedBy: "CMD", Comment: "c", EmptyLayer: true}, {CreatedBy: "RUN make"},
		},
		Layers: []plimsoll.Layer{
			{DiffID: diff1, ChainID: diff1, CreatedBy: "ADD rootfs"},
			{DiffID: diff2, ChainID: plimsoll.DigestOf([]byte(string(diff1) + " " + string(diff2))), CreatedBy: "RUN make"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeConfigRefuses(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat(fmt.Sprintf("%q,", diff1), 257), ",")
	for name, test := range map[string]struct {
		config string
		want   plimsoll.ProblemCode
	}{
		"truncated":       {`{"rootfs":`, plimsoll.ProblemCorruptStore},
		"no file system":  {`{"mediaType":"helm"}`, plimsoll.ProblemNotAnImage},
		"null":            {`null`, plimsoll.ProblemNotAnImage},
		"path as diff ID": {`{"rootfs":{"type":"layers","diff_ids":["../../etc"]}}`, plimsoll.ProblemCorruptStore},
		"short diff ID":   {`{"rootfs":{"type":"layers","diff_ids":["sha256:00"]}}`, plimsoll.ProblemCorruptStore},
		"wrong type":      {`{"rootfs":{"type":"layers","diff_ids":{}}}`, plimsoll.ProblemCorruptStore},
		"too many layers": {`{"rootfs":{"type":"layers","diff_ids":[` + many + `]}}`, plimsoll.ProblemLimit},
	} {
		t.Run(name, func(t *testing.T) {
			img, err := engine.DecodeConfig([]byte(test.config))
			var f *engine.Fault
			if !errors.As(err, &f) || f.Problem != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
			if img.ID != plimsoll.DigestOf([]byte(test.config)) {
				t.Errorf("the ID is %s", img.ID)
			}
		})
	}
}

// store is a set of documents by digest.
type blobStore map[plimsoll.Digest][]byte

func (s blobStore) add(v any) v1.Descriptor {
	b, ok := v.([]byte)
	if !ok {
		b, _ = json.Marshal(v)
	}
	d := plimsoll.DigestOf(b)
	s[d] = b
	return v1.Descriptor{Digest: digest.Digest(d), Size: int64(len(b))}
}

func (s blobStore) read(d plimsoll.Digest) ([]byte, error) {
	if b, ok := s[d]; ok {
		return b, nil
	}
	return nil, fs.ErrNotExist
}

func (s blobStore) manifest(platform string) v1.Descriptor {
	config := s.add([]byte(fmt.Sprintf(`{"architecture":%q,"os":"linux","rootfs":{"type":"layers","diff_ids":[%q]}}`, platform, diff1)))
	config.MediaType = v1.MediaTypeImageConfig
	m := s.add(v1.Manifest{MediaType: v1.MediaTypeImageManifest, Config: config,
		Layers: []v1.Descriptor{{MediaType: v1.MediaTypeImageLayerGzip, Digest: digest.Digest(diff2)}}})
	m.Platform = &v1.Platform{OS: "linux", Architecture: platform}
	return m
}

func TestIMG05OnlyOnePlatformIsHere(t *testing.T) {
	s := blobStore{}
	amd, arm, s390, ppc := s.manifest("amd64"), s.manifest("arm64"), s.manifest("s390x"), s.manifest("ppc64le")
	attestation := s.manifest("unknown")
	attestation.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest"}
	index := s.add(v1.Index{MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{arm, amd, s390, ppc, attestation}})
	delete(s, plimsoll.Digest(arm.Digest)) // never pulled
	var m v1.Manifest
	json.Unmarshal(s[plimsoll.Digest(s390.Digest)], &m)
	delete(s, plimsoll.Digest(m.Config.Digest)) // only the manifest was pulled
	target := plimsoll.Digest(index.Digest)

	check := func(img *plimsoll.Image, blobs []v1.Descriptor) error {
		if img.Platform.Architecture == "amd64" {
			return nil
		}
		return engine.Fail(plimsoll.ProblemLayerMissing, "find layer", "", fs.ErrNotExist)
	}
	images, absent := engine.Present(s.read, target, check)
	if len(images) != 1 || images[0].Problem != nil || images[0].Platform.Architecture != "amd64" {
		t.Errorf("got images %+v, want that of amd64", images)
	}
	if len(images) == 1 && len(images[0].Manifests) != 2 {
		t.Errorf("got manifests %v, want those of the index and of the platform", images[0].Manifests)
	}
	linux := func(arch string) plimsoll.Platform { return plimsoll.Platform{OS: "linux", Architecture: arch} }
	if diff := cmp.Diff([]plimsoll.Platform{linux("arm64"), linux("s390x"), linux("ppc64le")}, absent); diff != "" {
		t.Error(diff)
	}
	p := engine.Absence([]string{"docker.io/library/a:1"}, target, absent)
	if p.Code != plimsoll.ProblemPlatformAbsent || p.Incomplete() || p.Path != "a:1" || p.Count != 3 {
		t.Errorf("got %+v", p)
	}

	t.Run("none is here", func(t *testing.T) {
		bare := blobStore{target: s[target]}
		images, absent := engine.Present(bare.read, target, check)
		if len(images) != 1 || images[0].Problem == nil || images[0].Problem.Code != plimsoll.ProblemPlatformAbsent || absent != nil {
			t.Errorf("got %+v and %v, want one image that says so", images, absent)
		}
	})
	t.Run("one without layers", func(t *testing.T) {
		images, _ := engine.Present(s.read, plimsoll.Digest(ppc.Digest), check)
		if len(images) != 1 || images[0].Problem == nil || images[0].Problem.Code != plimsoll.ProblemLayerMissing {
			t.Errorf("got %+v, want a missing layer", images)
		}
	})
}

// A digest that cannot be read hides no image, neither the one it stands for nor
// the others.
func TestResolveTellsOfBadDigest(t *testing.T) {
	s := blobStore{}
	sha512 := v1.Descriptor{Digest: digest.Digest("sha512:" + strings.Repeat("0", 128)), Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}
	index := plimsoll.Digest(s.add(v1.Index{MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{sha512, s.manifest("amd64")}}).Digest)
	images, absent := engine.Resolve(s.read, index)
	if len(images) != 2 || len(absent) != 0 {
		t.Fatalf("got %+v, absent %v", images, absent)
	}
	bad := images[0].Image
	if bad.Problem == nil || bad.Problem.Code != plimsoll.ProblemCorruptStore || bad.Platform.Architecture != "arm64" || !slices.Equal(bad.Manifests, []plimsoll.Digest{index}) {
		t.Errorf("got %+v", bad)
	}
	if images[1].Image.Problem != nil {
		t.Errorf("the good image has %+v", images[1].Image.Problem)
	}
}

func TestResolveRefuses(t *testing.T) {
	s := blobStore{}
	good := s.manifest("amd64")
	var manifest v1.Manifest
	json.Unmarshal(s[plimsoll.Digest(good.Digest)], &manifest)
	with := func(change func(*v1.Manifest)) []byte {
		m := manifest
		m.Layers = append([]v1.Descriptor(nil), m.Layers...)
		change(&m)
		b, _ := json.Marshal(m)
		return b
	}
	for name, test := range map[string]struct {
		document []byte
		want     plimsoll.ProblemCode
	}{
		"manifest and index at once": {[]byte(`{"manifests":[],"layers":[],"config":{}}`), plimsoll.ProblemCorruptStore},
		"index that says manifest":   {[]byte(`{"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[]}`), plimsoll.ProblemCorruptStore},
		"manifest that says index":   {with(func(m *v1.Manifest) { m.MediaType = v1.MediaTypeImageIndex }), plimsoll.ProblemCorruptStore},
		"schema 1":                   {[]byte(`{"schemaVersion":1,"fsLayers":[]}`), plimsoll.ProblemNotAnImage},
		"neither":                    {[]byte(`{}`), plimsoll.ProblemNotAnImage},
		"not JSON":                   {[]byte(`<html>`), plimsoll.ProblemCorruptStore},
		"path as digest":             {with(func(m *v1.Manifest) { m.Config.Digest = "../../etc/passwd" }), plimsoll.ProblemCorruptStore},
		"encrypted":                  {with(func(m *v1.Manifest) { m.Layers[0].MediaType += "+encrypted" }), plimsoll.ProblemEncrypted},
		"Helm chart":                 {with(func(m *v1.Manifest) { m.Config.MediaType = "application/vnd.cncf.helm.config.v1+json" }), plimsoll.ProblemNotAnImage},
		"artifact":                   {with(func(m *v1.Manifest) { m.Layers[0].MediaType = "application/vnd.in-toto+json" }), plimsoll.ProblemNotAnImage},
		"nydus":                      {with(func(m *v1.Manifest) { m.Layers[0].MediaType = "application/vnd.oci.image.layer.nydus.blob.v1" }), plimsoll.ProblemUnsupportedDriver},
		"configuration is missing":   {with(func(m *v1.Manifest) { m.Config.Digest = digest.Digest(diff1) }), plimsoll.ProblemLayerMissing},
	} {
		t.Run(name, func(t *testing.T) {
			target := plimsoll.Digest(s.add(test.document).Digest)
			images, absent := engine.Resolve(s.read, target)
			if len(images) != 1 || len(absent) != 0 || images[0].Image.Problem == nil || images[0].Image.Problem.Code != test.want {
				t.Errorf("got %+v, %v, want one image with problem %s", images, absent, test.want)
			}
		})
	}
	t.Run("content of another digest", func(t *testing.T) {
		target := plimsoll.DigestOf([]byte("x"))
		images, _ := engine.Resolve(func(plimsoll.Digest) ([]byte, error) { return s[plimsoll.Digest(good.Digest)], nil }, target)
		if len(images) != 1 || images[0].Image.Problem == nil || images[0].Image.Problem.Code != plimsoll.ProblemCorruptStore {
			t.Errorf("got %+v", images)
		}
	})
	t.Run("index nested without end", func(t *testing.T) {
		d := good
		for range 9 {
			d = s.add(v1.Index{Manifests: []v1.Descriptor{d}})
		}
		images, _ := engine.Resolve(s.read, plimsoll.Digest(d.Digest))
		if len(images) != 1 || images[0].Image.Problem == nil || images[0].Image.Problem.Code != plimsoll.ProblemLimit {
			t.Errorf("got %+v", images)
		}
	})
	t.Run("index of ten thousand", func(t *testing.T) {
		d := s.add(v1.Index{Manifests: append(make([]v1.Descriptor, 0, 10000), slices.Repeat([]v1.Descriptor{good}, 10000)...)})
		images, _ := engine.Resolve(s.read, plimsoll.Digest(d.Digest))
		if last := images[len(images)-1].Image; len(images) > 1000 || last.Problem == nil || last.Problem.Code != plimsoll.ProblemLimit {
			t.Errorf("got %d images, the last %+v", len(images), last)
		}
	})
}

func FuzzResolve(f *testing.F) {
	s := blobStore{}
	for _, b := range [][]byte{s[plimsoll.Digest(s.manifest("amd64").Digest)], []byte(`{"manifests":[]}`)} {
		f.Add(b, []byte(`{"rootfs":{"type":"layers","diff_ids":[]}}`))
	}
	f.Fuzz(func(t *testing.T, document, config []byte) {
		target := plimsoll.DigestOf(document)
		images, _ := engine.Resolve(func(d plimsoll.Digest) ([]byte, error) {
			if d == target {
				return document, nil
			}
			return config, nil
		}, target)
		for _, r := range images {
			if r.Layers != nil && len(r.Layers) != len(r.Image.Layers) {
				t.Error("blobs are not aligned with layers")
			}
		}
		img, err := engine.DecodeConfig(config)
		if err == nil && img.ID != plimsoll.DigestOf(config) {
			t.Error("the ID is not the digest")
		}
	})
}
