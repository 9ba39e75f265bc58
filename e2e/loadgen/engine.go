package loadgen

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"plimsoll"
	"plimsoll/agent"
	"plimsoll/api"
	"plimsoll/inventory"
	"plimsoll/layerfs"
	"plimsoll/local"
)

// engine is the image store of one host, as an engine's package gives it. Its
// layers are made when they are read.
type engine struct {
	fleet Fleet
	host  int
}

var _ local.Store = engine{}

func (e engine) Name() string { return "docker " + root }
func (e engine) Close() error { return nil }

func (e engine) Images(context.Context) (list []plimsoll.Image, problems []plimsoll.Problem, err error) {
	for _, i := range e.fleet.Images(e.host) {
		list = append(list, e.fleet.Image(e.host, i))
	}
	return list, nil, nil
}

func (e engine) Layers(_ context.Context, img plimsoll.Image) (list []layerfs.Layer, err error) {
	for _, i := range e.fleet.Images(e.host) {
		if e.fleet.ImageID(i) != img.ID {
			continue
		}
		for _, l := range e.fleet.layers(i) {
			list = append(list, layerfs.Tar(func() (io.ReadCloser, error) {
				return io.NopCloser(bytes.NewReader(e.fleet.tar(l))), nil
			}, layerfs.TarOptions{Workers: 1}))
		}
		return list, nil
	}
	return nil, plimsoll.Errorf(plimsoll.CodeNotFound, "open layers", "host %d has no image %s", e.host, img.ID.Short())
}

// stores are those of one host as its agent wants them: nothing comes, nothing
// goes.
type stores struct{ engine }

var _ agent.Stores = stores{}

func (s stores) images(ctx context.Context) []local.Image {
	host := local.Host{Stores: []local.Store{s.engine}}
	return host.Images(ctx)
}

func (s stores) List(ctx context.Context) (agent.Listing, error) {
	var l agent.Listing
	for _, img := range s.images(ctx) {
		l.Images = append(l.Images, agent.Held{Image: img.Image})
	}
	l.Stores = []api.Store{{Name: s.Name(), Images: len(l.Images)}}
	return l, nil
}

func (s stores) Read(ctx context.Context, id plimsoll.Digest, timeout time.Duration, scanner func(private bool) *inventory.Scanner) (plimsoll.Result, bool) {
	for _, img := range s.images(ctx) {
		if img.ID == id {
			return local.Read(ctx, scanner(false), img, timeout), false
		}
	}
	return plimsoll.Result{Status: plimsoll.ScanFailed, Problem: &plimsoll.Problem{Code: plimsoll.ProblemImageGone}}, false
}

func (s stores) Watch(ctx context.Context, _ func()) error {
	<-ctx.Done()
	return ctx.Err()
}

// packages returns the names of the packages that a choice installs: a source
// package of Debian makes one or two.
func (c choice) packages() []string {
	name := c.eco.nameOf(c.name)
	if c.eco.typ == plimsoll.TypeDeb && c.name%3 == 0 {
		return []string{name, name + "-bin"}
	}
	return []string{name}
}

// Of files that no analyser wants, so many come with each package: the facts of
// a layer hold their names.
const otherFiles = 10

// tar returns a layer as a tar stream.
func (f Fleet) tar(l layer) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	put := func(path, text string) {
		w.WriteHeader(&tar.Header{Name: path, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text)), ModTime: Epoch()})
		io.WriteString(w, text)
	}
	others := func(dir string) {
		for k := range otherFiles {
			put(fmt.Sprintf("%s/file%d.txt", dir, k), "")
		}
	}
	var status strings.Builder // of dpkg
	for _, c := range f.contents(l) {
		name, version := c.eco.nameOf(c.name), c.eco.versionOf(c.version)
		switch c.eco.typ {
		case plimsoll.TypeDeb:
			for _, p := range c.packages() {
				fmt.Fprintf(&status, "Package: %s\nStatus: install ok installed\nMaintainer: Debian\nArchitecture: amd64\nSource: %s\nVersion: %s\n\n", p, name, version)
				others("usr/share/doc/" + p)
			}
		case plimsoll.TypeNPM:
			dir := "app/node_modules/" + name
			put(dir+"/package.json", fmt.Sprintf(`{"name":%q,"version":%q,"license":"MIT"}`, name, version))
			others(dir)
		case plimsoll.TypePyPI:
			dir := "usr/local/lib/python3.11/site-packages/"
			if l.kind == "own" {
				dir = "app/venv/lib/python3.11/site-packages/"
			}
			module := strings.ReplaceAll(name, "-", "_")
			put(dir+module+"-"+version+".dist-info/METADATA", fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\nLicense: MIT\n\n", name, version))
			others(dir + module)
		}
	}
	switch l.kind {
	case "base":
		put("etc/os-release", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=debian\n")
		put("var/lib/dpkg/status", status.String())
	case "empty":
		w.WriteHeader(&tar.Header{Name: "app/", Typeflag: tar.TypeDir, Mode: 0o755, ModTime: Epoch()})
	}
	if err := w.Close(); err != nil {
		panic(err) // memory takes everything, and the headers are ours
	}
	return buf.Bytes()
}
