package ospkg

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// contentSets reads what Red Hat's build system leaves in each layer: the
// repositories that its packages came from, as "content_sets" of a file named for
// the image. Other JSON files in the same directories are something else
// (acceptance RPM-07).
type contentSets struct{}

func (contentSets) Name() string { return "content-sets" }
func (contentSets) Version() int { return 1 }

func (contentSets) Wants(path string) inventory.Want {
	if _, ok := buildInfoRoot(path); ok {
		return inventory.Yes
	}
	return inventory.No
}

// buildInfoRoot returns the root of the system that a build record is about.
func buildInfoRoot(path string) (root string, ok bool) {
	if !strings.HasSuffix(path, ".json") {
		return "", false
	}
	dir, _ := split(path)
	for _, home := range [...]string{"usr/share/buildinfo/content_manifests", "root/buildinfo/content_manifests", "usr/share/buildinfo", "root/buildinfo"} {
		if root, ok = cutRoot(dir, home); ok {
			return root, true
		}
	}
	return "", false
}

// Limits of one record: an image is built from some ten repositories.
const (
	maxContentManifest = 8 << 20
	maxContentSets     = 1000
)

func (contentSets) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	const op = "read build record"
	if f.Size > maxContentManifest {
		return inventory.Facts{}, plimsoll.Errorf(plimsoll.CodeLimit, op, "%d bytes are more than the limit of %d", f.Size, maxContentManifest)
	}
	data, err := io.ReadAll(f.Reader(maxContentManifest))
	if err != nil {
		return inventory.Facts{}, readError(op, err)
	}
	var manifest struct {
		Sets []string `json:"content_sets"`
	}
	if json.Unmarshal(data, &manifest) != nil {
		return inventory.Facts{}, nil // something else
	}
	root, _ := buildInfoRoot(f.Path)
	system := plimsoll.OS{Root: root, Path: f.Path}
	for _, id := range manifest.Sets {
		if id = text([]byte(id), maxName); id == "" {
			continue
		}
		if len(system.Repositories) == maxContentSets {
			return inventory.Facts{}, plimsoll.Errorf(plimsoll.CodeLimit, op, "more than %d content sets", maxContentSets)
		}
		system.Repositories = append(system.Repositories, id)
	}
	if len(system.Repositories) == 0 {
		return inventory.Facts{}, nil
	}
	slices.Sort(system.Repositories)
	system.Repositories = slices.Compact(system.Repositories)
	return inventory.Facts{System: &system}, nil
}
