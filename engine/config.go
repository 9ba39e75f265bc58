package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"plimsoll"
)

// maxLayers bounds the layers of one image. Docker allows 125; the kernel's
// overlayfs stops at 500.
const maxLayers = 256

// config is the part of a configuration blob that we use, of Docker's image
// specification and of the OCI's. Times and commands are decoded leniently:
// old builders wrote both in several ways, and neither matters to a scan.
type config struct {
	Architecture string
	OS           string
	Variant      string
	Created      moment
	Config       struct {
		User       string
		WorkingDir string
		Entrypoint words
		Cmd        words
		Env        []string
		Labels     map[string]string
	}
	RootFS *struct {
		Type    string
		DiffIDs []string `json:"diff_ids"`
	}
	History []struct {
		Created    moment
		CreatedBy  string `json:"created_by"`
		Comment    string
		EmptyLayer bool `json:"empty_layer"`
	}
}

// moment is a time, zero when it cannot be understood.
type moment struct{ time.Time }

func (m *moment) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		m.Time, _ = time.Parse(time.RFC3339Nano, s)
	}
	m.Time = m.UTC()
	return nil
}

// words is a list of strings, also when it was written as a single string.
type words []string

func (w *words) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil && s != "" {
		*w = words{s}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(w))
}

// DecodeConfig returns the image that a configuration blob describes. Its ID
// is the digest of b; names, engine and sizes are left to the caller. The error
// is a Fault.
func DecodeConfig(b []byte) (plimsoll.Image, error) {
	img := plimsoll.Image{ID: plimsoll.DigestOf(b)}
	op := "read configuration " + img.ID.Short()
	var c config
	if err := Unmarshal(b, &c); err != nil {
		return img, Fail(plimsoll.ProblemCorruptStore, op, "Pull or build the image again.", err)
	}
	if c.RootFS == nil || c.RootFS.Type != "layers" {
		return img, Fail(plimsoll.ProblemNotAnImage, op, "", errors.New("it describes no file system"))
	}
	if n := len(c.RootFS.DiffIDs); n > maxLayers {
		return img, Fail(plimsoll.ProblemLimit, op, "", fmt.Errorf("%d layers, more than %d", n, maxLayers))
	}
	diffIDs := make([]plimsoll.Digest, len(c.RootFS.DiffIDs))
	for i, s := range c.RootFS.DiffIDs {
		d, err := plimsoll.ParseDigest(s)
		if err != nil {
			return img, Fail(plimsoll.ProblemCorruptStore, op, "Pull or build the image again.", err)
		}
		diffIDs[i] = d
	}
	img.Platform = plimsoll.Platform{OS: c.OS, Architecture: c.Architecture, Variant: c.Variant}
	if c.OS == "" {
		img.Platform.OS = "linux" // images older than the field
	}
	img.Created = c.Created.Time
	img.Config = plimsoll.Config{
		User:       c.Config.User,
		WorkingDir: c.Config.WorkingDir,
		Entrypoint: c.Config.Entrypoint,
		Cmd:        c.Config.Cmd,
		Env:        c.Config.Env,
		Labels:     c.Config.Labels,
	}
	for _, h := range c.History {
		img.History = append(img.History, plimsoll.History{
			Created: h.Created.Time, CreatedBy: h.CreatedBy, Comment: h.Comment, EmptyLayer: h.EmptyLayer,
		})
	}
	img.Layers = plimsoll.NewLayers(diffIDs, img.History)
	return img, nil
}

// Pod returns "namespace/pod" from the labels that Kubernetes puts on a
// container, empty when there are none.
func Pod(labels map[string]string) string {
	namespace, pod := labels["io.kubernetes.pod.namespace"], labels["io.kubernetes.pod.name"]
	if namespace == "" || pod == "" {
		return ""
	}
	return namespace + "/" + pod
}
