package lab

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Handmade is an image without an operating system, written by the lab itself.
// Each layer maps file names to contents. A name whose base starts with ".wh."
// is a whiteout, as the OCI image specification has it.
func Handmade(name string, layers ...map[string]string) Recipe {
	key, err := json.Marshal(layers) // in the order of names
	if err != nil {
		panic(err) // strings always marshal
	}
	writers := make([]layer, len(layers))
	for i, files := range layers {
		writers[i] = func(w *tar.Writer) error {
			for _, file := range slices.Sorted(maps.Keys(files)) {
				if err := addFile(w, file, []byte(files[file])); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return handmade(name, string(key), nil, writers)
}

// Tiny is an image of the npm package tiny under a chosen name, which may be
// "my--app:v1--rc" or, for an image without a name, "".
func Tiny(name string) Recipe {
	return handmade(name, "1", []string{"npm tiny 1.0.0"}, []layer{func(w *tar.Writer) error {
		if err := addFile(w, "app/name", []byte(name)); err != nil { // or all would be one image
			return err
		}
		return addPackage(w, "app", "tiny")
	}})
}

// HundredLayers is an image of 100 layers. Layer n installs the npm package
// layer-n, and every tenth layer deletes what the layer below it installed.
func HundredLayers() Recipe {
	var layers []layer
	var truth []string
	for i := range 100 {
		layers = append(layers, func(w *tar.Writer) error {
			if i%10 == 9 {
				if err := addFile(w, fmt.Sprintf("app/node_modules/.wh.layer-%d", i-1), nil); err != nil {
					return err
				}
			}
			return addPackage(w, "app", fmt.Sprintf("layer-%d", i))
		})
		if i%10 != 8 {
			truth = append(truth, fmt.Sprintf("npm layer-%d 1.0.0", i))
		}
	}
	return handmade("hundred-layers:1", "2", truth, layers)
}

// Huge is an image of 4 GB: ten layers of 15,000 files, among them 150 npm
// packages in each layer.
func Huge() Recipe {
	const layerCount, packages, filesEach, fileSize = 10, 150, 99, 27_000
	// Pieces of a random block: neither sparse nor compressible, and quick.
	block := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{}).Read(block)
	var layers []layer
	var truth []string
	for i := range layerCount {
		layers = append(layers, func(w *tar.Writer) error {
			for p := range packages {
				app, pkg := fmt.Sprintf("srv/%d", i), fmt.Sprintf("huge-%d-%d", i, p)
				if err := addPackage(w, app, pkg); err != nil {
					return err
				}
				for f := range filesEach {
					at := (i*7919 + p*997 + f*8191) % (len(block) - fileSize)
					name := fmt.Sprintf("%s/node_modules/%s/lib/%d.bin", app, pkg, f)
					if err := addFile(w, name, block[at:at+fileSize]); err != nil {
						return err
					}
				}
			}
			return nil
		})
		for p := range packages {
			truth = append(truth, fmt.Sprintf("npm huge-%d-%d 1.0.0", i, p))
		}
	}
	return handmade("huge:4gb", "2", truth, layers)
}

// A layer writes the entries of a layer's tar, the same at every call.
type layer func(*tar.Writer) error

func addFile(w *tar.Writer, name string, content []byte) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content))}
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}

// addPackage adds the least that npm calls an installed package.
func addPackage(w *tar.Writer, app, name string) error {
	manifest := fmt.Sprintf("{\"name\": %q, \"version\": \"1.0.0\"}\n", name)
	return addFile(w, app+"/node_modules/"+name+"/package.json", []byte(manifest))
}

func handmade(name, key string, truth []string, layers []layer) Recipe {
	return Recipe{Name: name, key: "handmade " + key, make: func(t testing.TB, out string) {
		t.Helper()
		id, err := writeArchive(filepath.Join(out, fileArchive), name, layers)
		if err != nil {
			t.Fatal(err)
		}
		appendFile(t, filepath.Join(out, fileID), id+"\n")
		appendFile(t, filepath.Join(out, fileTruth), strings.Join(truth, "\n"))
	}}
}

// writeArchive writes a docker-save tar as the Docker image specification v1.2
// describes it and returns the image ID.
func writeArchive(path, name string, layers []layer) (id string, err error) {
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	w := tar.NewWriter(f)

	var config struct {
		Created      time.Time         `json:"created"`
		Architecture string            `json:"architecture"`
		OS           string            `json:"os"`
		Config       struct{}          `json:"config"`
		History      []json.RawMessage `json:"history"`
		RootFS       struct {
			Type    string   `json:"type"`
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
	}
	config.Created = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC) // a clock would change the image ID
	config.Architecture, config.OS, config.RootFS.Type = "amd64", "linux", "layers"
	manifest := struct {
		Config   string
		RepoTags []string
		Layers   []string
	}{}
	if name != "" {
		manifest.RepoTags = []string{name}
	}

	for i, l := range layers {
		// The header needs the size: write once to learn it, once to keep it.
		hash, size := sha256.New(), new(counter)
		if err := l.writeTo(io.MultiWriter(hash, size)); err != nil {
			return "", err
		}
		diffID := hex.EncodeToString(hash.Sum(nil))
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, "sha256:"+diffID)
		config.History = append(config.History, json.RawMessage(fmt.Sprintf(`{"created_by":"layer %d"}`, i)))
		file := fmt.Sprintf("%03d-%s.tar", i, diffID)
		manifest.Layers = append(manifest.Layers, file)
		if err := w.WriteHeader(&tar.Header{Name: file, Mode: 0o644, Size: int64(*size)}); err != nil {
			return "", err
		}
		if err := l.writeTo(w); err != nil {
			return "", err
		}
	}

	configJSON, err := json.Marshal(config)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(configJSON)
	id = hex.EncodeToString(sum[:])
	manifest.Config = id + ".json"
	manifestJSON, err := json.Marshal([]any{manifest})
	if err != nil {
		return "", err
	}
	if err := addFile(w, manifest.Config, configJSON); err != nil {
		return "", err
	}
	if err := addFile(w, "manifest.json", manifestJSON); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return "sha256:" + id, f.Close()
}

func (l layer) writeTo(w io.Writer) error {
	tw := tar.NewWriter(w)
	if err := l(tw); err != nil {
		return err
	}
	return tw.Close()
}

// A counter counts the bytes written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
