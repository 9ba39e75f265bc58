package plimsoll

import (
	"strings"
	"time"
)

// Engine names the kind of software that holds an image on a host.
type Engine string

// The engines that Plimsoll reads.
const (
	Docker     Engine = "docker"
	Containerd Engine = "containerd"
	Podman     Engine = "podman"  // containers-storage: Podman, CRI-O, Buildah
	Archive    Engine = "archive" // docker-save tar, OCI layout, root file system directory
	SBOM       Engine = "sbom"    // no image: what another tool's bill of materials claims
)

// Image is one image as one engine holds it. The same image in two engines has
// the same ID and layers.
type Image struct {
	ID         Digest // digest of the configuration blob
	Engine     Engine
	Store      string   // where the engine keeps it: data root, containerd namespace, archive path
	Names      []string // references, sorted; empty for a dangling image
	Manifests  []Digest // manifest digests known for it, sorted; empty for images built here
	Platform   Platform
	Created    time.Time // zero when unknown
	Size       int64     // bytes of all layers, uncompressed, as the engine says; 0 when unknown
	Config     Config
	History    []History
	Layers     []Layer // bottom first
	Containers []Container
	// Problem says why the image cannot be read; nil for a readable image.
	Problem *Problem
}

// Platform is what an image was built for, in the terms of the OCI specification.
type Platform struct{ OS, Architecture, Variant string }

func (p Platform) String() string {
	return strings.TrimRight(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}

// Config is the part of an image's configuration that a scan reports.
type Config struct {
	User       string
	WorkingDir string
	Entrypoint []string
	Cmd        []string
	Env        []string
	Labels     map[string]string
}

// History is one step of the build that made an image.
type History struct {
	Created    time.Time
	CreatedBy  string
	Comment    string
	EmptyLayer bool // the step made no layer
}

// Layer is one file system change set of an image.
type Layer struct {
	DiffID    Digest // digest of the uncompressed tar; the layer's identity
	ChainID   Digest // identity of the stack up to and including this layer
	Size      int64  // bytes, uncompressed, as the engine says; 0 when unknown
	CreatedBy string // the build step that made it; empty when the history does not tell
	Base      bool   // belongs to the base image, as far as can be told
}

// Container is a container on this host that was made from an image.
type Container struct {
	ID, Name string
	State    string // running, exited, created, paused …, in the engine's word
	Pod      string // "namespace/pod" when an orchestrator labelled it
}

// Name returns a readable name: the first reference or, for a dangling image,
// its short ID.
func (img *Image) Name() string {
	if len(img.Names) > 0 {
		return img.Names[0]
	}
	return img.ID.Short()
}

// NewLayers pairs diff IDs with chain IDs and the build steps of history that
// made a layer.
func NewLayers(diffIDs []Digest, history []History) []Layer {
	layers := make([]Layer, len(diffIDs))
	chain := ChainIDs(diffIDs)
	for i, diff := range diffIDs {
		layers[i] = Layer{DiffID: diff, ChainID: chain[i]}
	}
	i := 0
	for _, h := range history {
		if h.EmptyLayer {
			continue
		}
		if i == len(layers) {
			break // more steps than layers: the history is not to be trusted further
		}
		layers[i].CreatedBy = h.CreatedBy
		i++
	}
	return layers
}

// MarkBase marks the layers of each image that belong to its base image: the
// longest other image in images whose layers are a proper prefix of its own,
// else the layers below the last CMD or ENTRYPOINT that is followed by a step
// which made a layer (a build on top of a finished image), else none.
func MarkBase(images []Image) {
	tops := make(map[Digest]bool, len(images)) // chain ID of a top layer
	for _, img := range images {
		if n := len(img.Layers); n > 0 {
			tops[img.Layers[n-1].ChainID] = true
		}
	}
	for _, img := range images {
		base := baseFromHistory(img)
		for i := len(img.Layers) - 2; i >= 0; i-- {
			if tops[img.Layers[i].ChainID] {
				base = i + 1
				break
			}
		}
		for i := range img.Layers[:base] {
			img.Layers[i].Base = true
		}
	}
}

func baseFromHistory(img Image) int {
	base, layers := 0, 0
	for _, h := range img.History {
		if !h.EmptyLayer {
			layers++
			continue
		}
		if setsCommand(h.CreatedBy) && layers < len(img.Layers) {
			base = layers
		}
	}
	return base
}

// setsCommand says whether a build step is a CMD or ENTRYPOINT, as BuildKit
// writes it or, after "#(nop)", as older builders do.
func setsCommand(step string) bool {
	if _, rest, ok := strings.Cut(step, "#(nop)"); ok {
		step = rest
	}
	instruction, _, _ := strings.Cut(strings.TrimSpace(step), " ")
	return instruction == "CMD" || instruction == "ENTRYPOINT"
}
