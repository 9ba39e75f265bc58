package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll"
	"plimsoll/engine/enginetest"
)

// member is a file of an archive; with a link it has no content.
type member struct{ name, content, link string }

func tarOf(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Mode: 0o644, Size: int64(len(m.content)), Typeflag: tar.TypeReg}
		if m.link != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, m.link
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(m.content))
	}
	w.Close()
	return b.Bytes()
}

func gz(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func zst(t testing.TB, b []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(b, nil)
}

func layerTar(t testing.TB, name string) []byte {
	return tarOf(t, member{name: name, content: "content of " + name})
}

func configOf(arch string, layers ...[]byte) string {
	diffIDs := []plimsoll.Digest{}
	for _, l := range layers {
		diffIDs = append(diffIDs, plimsoll.DigestOf(l))
	}
	b, _ := json.Marshal(map[string]any{
		"os": "linux", "architecture": arch, "rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
	})
	return string(b)
}

func hexOf(content string) string { return plimsoll.DigestOf([]byte(content)).Hex() }

// dockerSave is an archive as docker save wrote it until version 24.
func dockerSave(t testing.TB) []member {
	base, top := layerTar(t, "base"), layerTar(t, "top")
	config := configOf("amd64", base, top)
	return []member{
		{name: "x/layer.tar", content: string(base)},
		{name: "y/layer.tar", content: string(top)},
		{name: "z/layer.tar", link: "../x/layer.tar"},
		{name: hexOf(config) + ".json", content: config},
		{name: "manifest.json", content: fmt.Sprintf(`[{"Config":"%s.json","RepoTags":["my--app:1","docker.io/library/app:1"],"Layers":["z/layer.tar","./y/layer.tar"]}]`, hexOf(config))},
	}
}

func file(t testing.TB, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, path string) (*Store, []plimsoll.Image, []plimsoll.Problem) {
	t.Helper()
	s, err := Open(t.Context(), path, Options{Scratch: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	images, problems, err := s.Images(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s, images, problems
}

func TestIMG27DockerSave(t *testing.T) {
	plain := tarOf(t, dockerSave(t)...)
	for name, b := range map[string][]byte{"a.tar": plain, "a.tar.gz": gz(plain), "a.tar.zst": zst(t, plain)} {
		t.Run(name, func(t *testing.T) {
			path := file(t, name, b)
			s, images, problems := open(t, path)
			if len(images) != 1 || len(problems) != 0 {
				t.Fatalf("got %+v, %+v", images, problems)
			}
			img := images[0]
			if img.ID.Hex()+".json" != dockerSave(t)[3].name || img.Engine != plimsoll.Archive || img.Store != path {
				t.Errorf("got %+v", img)
			}
			if diff := cmp.Diff([]string{"app:1", "my--app:1"}, img.Names); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{"content of base", ""}, enginetest.Contents(t, s, img, "base")); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{"", "content of top"}, enginetest.Contents(t, s, img, "top")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// layout is an OCI layout: files by name.
type layout map[string]string

func (l layout) blob(content []byte) v1.Descriptor {
	d := digest.FromBytes(content)
	l["blobs/sha256/"+d.Encoded()] = string(content)
	return v1.Descriptor{Digest: d, Size: int64(len(content))}
}

func (l layout) json(v any) v1.Descriptor {
	b, _ := json.Marshal(v)
	return l.blob(b)
}

func (l layout) image(t testing.TB, arch string, layers ...string) v1.Descriptor {
	m := v1.Manifest{MediaType: v1.MediaTypeImageManifest}
	var tars [][]byte
	for i, name := range layers {
		b := layerTar(t, name)
		tars = append(tars, b)
		switch i % 3 {
		case 0:
			m.Layers = append(m.Layers, l.blob(gz(b)))
		case 1:
			m.Layers = append(m.Layers, l.blob(b))
		case 2:
			m.Layers = append(m.Layers, l.blob(zst(t, b)))
		}
	}
	m.Config = l.blob([]byte(configOf(arch, tars...)))
	d := l.json(m)
	d.Platform = &v1.Platform{OS: "linux", Architecture: arch}
	return d
}

func (l layout) index(manifests ...v1.Descriptor) {
	l["oci-layout"] = `{"imageLayoutVersion":"1.0.0"}`
	b, _ := json.Marshal(v1.Index{Manifests: manifests})
	l["index.json"] = string(b)
}

func named(d v1.Descriptor, key, value string) v1.Descriptor {
	d.Annotations = map[string]string{key: value}
	return d
}

// dir writes the layout as a directory; tar returns it as a tar.
func (l layout) dir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "my layout")
	for name, content := range l {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func (l layout) tar(t testing.TB) []byte {
	var members []member
	for name, content := range l {
		members = append(members, member{name: "./" + name, content: content})
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return tarOf(t, members...)
}

func TestIMG27OCILayout(t *testing.T) {
	l := layout{}
	l.index(named(l.image(t, "amd64", "gz", "plain", "zst"), v1.AnnotationRefName, "v1"))
	for name, path := range map[string]string{
		"directory": l.dir(t), "tar": file(t, "my layout.tar", l.tar(t)), "tar.gz": file(t, "my layout.tgz", gz(l.tar(t))),
	} {
		t.Run(name, func(t *testing.T) {
			s, images, problems := open(t, path)
			if len(images) != 1 || len(problems) != 0 {
				t.Fatalf("got %+v, %+v", images, problems)
			}
			if diff := cmp.Diff([]string{"my layout:v1"}, images[0].Names); diff != "" {
				t.Error(diff)
			}
			for i, file := range []string{"gz", "plain", "zst"} {
				want := []string{"", "", ""}
				want[i] = "content of " + file
				if diff := cmp.Diff(want, enginetest.Contents(t, s, images[0], file)); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestIMG05EachPlatformThatIsHere(t *testing.T) {
	l := layout{}
	amd, arm, absent := l.image(t, "amd64", "a"), l.image(t, "arm64", "b"), l.image(t, "s390x", "c")
	delete(l, "blobs/sha256/"+absent.Digest.Encoded())
	index := l.json(v1.Index{MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{amd, arm, absent}})
	l.index(named(index, "io.containerd.image.name", "docker.io/library/multi:1"))
	_, images, problems := open(t, l.dir(t))
	var archs []string
	for _, img := range images {
		archs = append(archs, img.Platform.Architecture)
		if img.Problem != nil || img.Names[0] != "multi:1" || len(img.Manifests) != 2 {
			t.Errorf("got %+v", img)
		}
	}
	slices.Sort(archs)
	if diff := cmp.Diff([]string{"amd64", "arm64"}, archs); diff != "" {
		t.Error(diff)
	}
	if len(problems) != 1 || problems[0].Code != plimsoll.ProblemPlatformAbsent || problems[0].Path != "multi:1" {
		t.Errorf("got %+v", problems)
	}
}

// TestDockerSaveBesideLayout: what Docker 25 and ctr export write.
func TestDockerSaveBesideLayout(t *testing.T) {
	l := layout{}
	m := l.image(t, "amd64", "a")
	l.index(m)
	var manifest v1.Manifest
	json.Unmarshal([]byte(l["blobs/sha256/"+m.Digest.Encoded()]), &manifest)
	l["manifest.json"] = fmt.Sprintf(`[{"Config":"blobs/sha256/%s","RepoTags":["a:1"],"Layers":["blobs/sha256/%s"]}]`,
		manifest.Config.Digest.Encoded(), manifest.Layers[0].Digest.Encoded())
	s, images, _ := open(t, file(t, "x.tar", l.tar(t)))
	if len(images) != 1 || len(images[0].Manifests) != 1 {
		t.Fatalf("got %+v, want one image with a manifest", images)
	}
	if diff := cmp.Diff([]string{"a:1"}, images[0].Names); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"content of a"}, enginetest.Contents(t, s, images[0], "a")); diff != "" {
		t.Error(diff)
	}
}

func TestRootFS(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "os-release"), []byte("ID=x"), 0o644)
	os.WriteFile(filepath.Join(dir, "manifest.json"), []byte("{"), 0o644) // a file like any other
	s, images, problems := open(t, dir)
	if len(images) != 1 || len(problems) != 0 || images[0].ID == "" || len(images[0].Layers) != 1 || images[0].Layers[0].DiffID != "" || images[0].Names[0] != dir {
		t.Fatalf("got %+v, %+v", images, problems)
	}
	if diff := cmp.Diff([]string{"ID=x"}, enginetest.Contents(t, s, images[0], "os-release")); diff != "" {
		t.Error(diff)
	}
}

func TestOpenRefuses(t *testing.T) {
	replace := func(name, content string) []member {
		all := dockerSave(t)
		for i := range all {
			if all[i].name == name {
				all[i].content = content
			}
		}
		return all
	}
	l := layout{}
	l.index()
	with := func(name, content string) []byte {
		c := layout{name: content}
		for k, v := range l {
			if k != name {
				c[k] = v
			}
		}
		return c.tar(t)
	}
	// An index of indexes names more images than it has bytes.
	inner := v1.Index{MediaType: v1.MediaTypeImageIndex}
	for range 900 {
		inner.Manifests = append(inner.Manifests, l.blob([]byte(`{"mediaType":"none"}`)))
	}
	deep := layout{}
	maps.Copy(deep, l)
	var outer []v1.Descriptor
	for range 20 {
		outer = append(outer, deep.json(inner))
		inner.Manifests = inner.Manifests[1:]
	}
	deep.index(outer...)
	many := strings.TrimSuffix(strings.Repeat("{},", maxImages+1), ",")
	for name, test := range map[string]struct {
		content []byte
		want    plimsoll.Code
	}{
		"empty file":         {nil, plimsoll.CodeInvalid},
		"text":               {[]byte(strings.Repeat("hello\n", 200)), plimsoll.CodeInvalid},
		"gzip of text":       {gz([]byte("hello")), plimsoll.CodeInvalid},
		"damaged gzip":       {gz(tarOf(t, dockerSave(t)...))[:200], plimsoll.CodeCorrupt},
		"tar of other files": {tarOf(t, member{name: "etc/passwd", content: "x"}), plimsoll.CodeInvalid},
		"cut off":            {tarOf(t, dockerSave(t)...)[:2500], plimsoll.CodeCorrupt},
		"two manifests":      {tarOf(t, append(dockerSave(t), member{name: "./manifest.json", content: "[]"})...), plimsoll.CodeInvalid},
		"manifest no JSON":   {tarOf(t, replace("manifest.json", "[")...), plimsoll.CodeCorrupt},
		"too many images":    {tarOf(t, replace("manifest.json", "["+many+"]")...), plimsoll.CodeLimit},
		"index of indexes":   {deep.tar(t), plimsoll.CodeLimit},
		"ambiguous index":    {with("index.json", `{"manifests":[],"layers":[]}`), plimsoll.CodeInvalid},
		"unknown layout":     {with("oci-layout", `{"imageLayoutVersion":"9"}`), plimsoll.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(t.Context(), file(t, "x", test.content), Options{})
			if plimsoll.CodeOf(err) != test.want {
				t.Errorf("got %v, want code %s", err, test.want)
			}
		})
	}
	if _, err := Open(t.Context(), "/nowhere/at/all", Options{}); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
		t.Errorf("got %v", err)
	}
}

func TestBrokenImageLeavesTheOthers(t *testing.T) {
	good := dockerSave(t)
	for name, test := range map[string]struct {
		entry string
		extra []member
		want  plimsoll.ProblemCode
	}{
		"no configuration":         {`{"Config":"none.json","RepoTags":["bad:1"]}`, nil, plimsoll.ProblemLayerMissing},
		"configuration leads out":  {`{"Config":"../../../etc/passwd","RepoTags":["bad:1"]}`, nil, plimsoll.ProblemLayerMissing},
		"configuration of another": {`{"Config":"` + hexOf("other") + `.json","RepoTags":["bad:1"]}`, []member{{name: hexOf("other") + ".json", content: configOf("amd64")}}, plimsoll.ProblemCorruptStore},
		"layers do not match":      {`{"Config":"c.json","RepoTags":["bad:1"],"Layers":["x/layer.tar"]}`, []member{{name: "c.json", content: configOf("amd64")}}, plimsoll.ProblemCorruptStore},
		"layer is missing":         {`{"Config":"c.json","RepoTags":["bad:1"],"Layers":["none"]}`, []member{{name: "c.json", content: configOf("amd64", nil)}}, plimsoll.ProblemLayerMissing},
		"layer links to itself":    {`{"Config":"c.json","RepoTags":["bad:1"],"Layers":["loop"]}`, []member{{name: "c.json", content: configOf("amd64", nil)}, {name: "loop", link: "loop"}}, plimsoll.ProblemLayerMissing},
	} {
		t.Run(name, func(t *testing.T) {
			members := slices.Clone(good)
			last := &members[len(members)-1]
			last.content = "[" + test.entry + "," + last.content[1:]
			_, images, _ := open(t, file(t, "x.tar", tarOf(t, append(members, test.extra...)...)))
			if len(images) != 2 {
				t.Fatalf("got %d images, want 2", len(images))
			}
			for _, img := range images {
				switch {
				case img.Names[0] != "bad:1" && img.Problem != nil:
					t.Errorf("the good image has %+v", img.Problem)
				case img.Names[0] == "bad:1" && (img.Problem == nil || img.Problem.Code != test.want):
					t.Errorf("the bad image has %+v, want %s", img.Problem, test.want)
				}
			}
		})
	}
}

func TestBadDigestLeavesTheOthers(t *testing.T) {
	for name, bad := range map[string]digest.Digest{
		"another algorithm": digest.Digest("sha512:" + strings.Repeat("0", 128)),
		"path":              "sha256:../../x",
		"none":              "",
	} {
		t.Run(name, func(t *testing.T) {
			l := layout{}
			good := named(l.image(t, "amd64", "a"), v1.AnnotationRefName, "example.org/good:1")
			l.index(named(v1.Descriptor{Digest: bad}, v1.AnnotationRefName, "example.org/bad:1"), good)
			s, images, problems := open(t, l.dir(t))
			if len(images) != 2 || len(problems) != 0 {
				t.Fatalf("got %+v, %+v", images, problems)
			}
			slices.SortFunc(images, func(a, b plimsoll.Image) int { return slices.Compare(a.Names, b.Names) })
			if p := images[0].Problem; p == nil || p.Code != plimsoll.ProblemCorruptStore || images[0].Names[0] != "example.org/bad:1" {
				t.Errorf("the bad image: %+v", images[0])
			}
			if diff := cmp.Diff([]string{"content of a"}, enginetest.Contents(t, s, images[1], "a")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Each document of a compressed tar that is read later takes all that is before it once
// more: what megabytes name thousands of times would take hours.
func TestCompressedTarIsReadOnce(t *testing.T) {
	entry := func(name string) string { return fmt.Sprintf(`{"Config":%q,"Layers":[]}`, name) }
	padding := member{name: "padding", content: strings.Repeat("\x00", 8<<20)}
	often := tarOf(t, padding, member{name: "a.json", content: "{}"},
		member{name: "manifest.json", content: "[" + strings.Repeat(entry("a.json")+",", maxImages-1) + entry("a.json") + "]"})
	s, _, problems := open(t, file(t, "often.tar.gz", gz(often)))
	if again := s.files.(*members).again; again != 0 || len(problems) > 0 {
		t.Errorf("read from the beginning %d times, problems %v", again, problems)
	}

	members := []member{padding}
	var entries []string
	for i := range maxAgain + 1 {
		name := fmt.Sprintf("%d.json", i)
		members = append(members, member{name: name, content: fmt.Sprintf(`{"n":%d}`, i) + strings.Repeat(" ", maxKept)})
		entries = append(entries, entry(name))
	}
	members = append(members, member{name: "manifest.json", content: "[" + strings.Join(entries, ",") + "]"})
	_, images, _ := open(t, file(t, "large.tar.gz", gz(tarOf(t, members...))))
	refused := 0
	for _, img := range images {
		if img.Problem != nil && img.Problem.Code == plimsoll.ProblemLimit {
			refused++
		}
	}
	if len(images) != maxAgain+1 || refused != 1 {
		t.Errorf("%d of %d images refused, want one", refused, len(images))
	}

	ended, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Open(ended, file(t, "x.tar.gz", gz(often)), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("opened although nobody waits: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(tarOf(f, dockerSave(f)...))
	l := layout{}
	l.index(l.image(f, "amd64", "a"))
	f.Add(l.tar(f))
	f.Add(gz(l.tar(f)))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(dir, fmt.Sprint(os.Getpid()))
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), path, Options{})
		if err != nil {
			return
		}
		defer s.Close()
		images, _, _ := s.Images(context.Background())
		for _, img := range images {
			if layers, err := s.Layers(context.Background(), img); err == nil && len(layers) != len(img.Layers) {
				t.Errorf("%d layers for %d", len(layers), len(img.Layers))
			}
		}
	})
}

// An archive that puts other content under a known layer's diff ID would have
// its facts answer for every image with that layer.
func TestLayersMustHaveTheClaimedDiffID(t *testing.T) {
	forged := dockerSave(t)
	forged[0].content = string(layerTar(t, "forged"))
	for name, b := range map[string][]byte{"plain": tarOf(t, forged...), "gzip": gz(tarOf(t, forged...))} {
		t.Run(name, func(t *testing.T) {
			s, images, _ := open(t, file(t, "x.tar", b))
			layers, err := s.Layers(t.Context(), images[0])
			if err != nil {
				t.Fatal(err)
			}
			if _, err := layers[0].Open("forged"); plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
				t.Errorf("got %v", err)
			}
			if _, err := layers[1].Open("top"); err != nil {
				t.Errorf("the honest layer: %v", err)
			}
		})
	}
}
