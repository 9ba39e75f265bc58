package bench

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Store is a containers-storage as Podman keeps it, written without Podman: a
// thousand images take seconds.
type Store struct {
	Dir    string
	images []map[string]any
	layers []map[string]any
	known  map[string]bool // layers that are there
}

// Layer is a layer of a Store. Layers of one name are the same.
type Layer struct {
	Name  string
	Write func(dir string) error // fills the layer's directory
}

func hexOf(words ...any) string {
	sum := sha256.Sum256(fmt.Append(nil, words...))
	return hex.EncodeToString(sum[:])
}

// Image adds an image of layers, bottom first.
func (s *Store) Image(name string, layers ...Layer) error {
	if s.known == nil {
		s.known = make(map[string]bool)
	}
	var diffs []string
	parent := ""
	for _, l := range layers {
		diff := "sha256:" + hexOf("diff", l.Name)
		diffs = append(diffs, diff)
		id := hexOf("layer", parent, l.Name)
		record := map[string]any{"id": id, "diff-digest": diff, "diff-size": 1}
		if parent != "" {
			record["parent"] = parent
		}
		if parent = id; s.known[id] {
			continue
		}
		s.known[id] = true
		s.layers = append(s.layers, record)
		dir := filepath.Join(s.Dir, "overlay", id, "diff")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := l.Write(dir); err != nil {
			return err
		}
	}
	config, err := json.Marshal(map[string]any{
		"os": "linux", "architecture": "amd64", "rootfs": map[string]any{"type": "layers", "diff_ids": diffs},
		"config": map[string]any{"Labels": map[string]string{"name": name}}, // or images of the same layers would be one
	})
	if err != nil {
		return err
	}
	id := hexOf(string(config))
	manifest, err := json.Marshal(map[string]any{"config": map[string]any{"digest": "sha256:" + id}, "layers": []any{}})
	if err != nil {
		return err
	}
	dir := filepath.Join(s.Dir, "overlay-images", id)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	s.images = append(s.images, map[string]any{
		"id": id, "names": []string{"localhost/" + name}, "layer": parent, "big-data-names": []string{"manifest", "sha256:" + id}})
	if err := os.WriteFile(filepath.Join(dir, "manifest"), manifest, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "="+base64.StdEncoding.EncodeToString([]byte("sha256:"+id))), config, 0o644)
}

// Save writes the lists of images and layers.
func (s *Store) Save() error {
	for file, list := range map[string]any{"overlay-images/images.json": s.images, "overlay-layers/layers.json": s.layers} {
		text, err := json.Marshal(list)
		if err != nil {
			return err
		}
		path := filepath.Join(s.Dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Contents is a layer of so many files of no interest, a hundred in a directory, and so
// many npm packages, each installed once.
func Contents(name string, files, packages int) Layer {
	return Layer{name, func(dir string) error {
		write := func(path, text string) error {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			return os.WriteFile(path, []byte(text), 0o644)
		}
		for i := range files {
			path := filepath.Join(dir, "usr", "share", name, fmt.Sprint(i/100), fmt.Sprintf("part-%d.txt", i))
			err := os.WriteFile(path, nil, 0o644)
			if os.IsNotExist(err) { // the first of its directory
				err = write(path, "")
			}
			if err != nil {
				return err
			}
		}
		for i := range packages {
			pkg := packageName(i)
			text := fmt.Sprintf("{\"name\": %q, \"version\": \"1.%d.0\", \"license\": \"MIT\"}\n", pkg, i%20)
			if err := write(filepath.Join(dir, "srv", name, "node_modules", pkg, "package.json"), text); err != nil {
				return err
			}
		}
		return nil
	}}
}

func packageName(i int) string { return fmt.Sprintf("package-%d", i) }
