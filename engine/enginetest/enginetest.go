// Package enginetest is test support for the packages below engine: it looks
// into the images that a store gives.
//
// It owns no fixtures, since each engine's records have a form of their own, and
// it is imported by tests only.
//
// Trust: it reads what a test made, within what the layers claim.
package enginetest

import (
	"context"
	"testing"

	"plimsoll"
	"plimsoll/layerfs"
)

// Store opens the layers of an image, bottom first.
type Store interface {
	Layers(context.Context, plimsoll.Image) ([]layerfs.Layer, error)
}

// Contents returns what each layer of img has at name, bottom first, "" for
// nothing. It ends the test when the image has a Problem or other layers than it
// names.
func Contents(t testing.TB, s Store, img plimsoll.Image, name string) []string {
	t.Helper()
	if img.Problem != nil {
		t.Fatal(img.Problem)
	}
	layers, err := s.Layers(context.Background(), img)
	if err != nil {
		t.Fatal(err)
	}
	if len(layers) != len(img.Layers) {
		t.Fatalf("got %d layers, the image has %d", len(layers), len(img.Layers))
	}
	var found []string
	for _, l := range layers {
		found = append(found, content(l, name))
		l.Close()
	}
	return found
}

// content returns what l has at name, "" for nothing.
func content(l layerfs.Layer, name string) string {
	f, err := l.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, f.Size)
	f.ReadAt(b, 0)
	return string(b)
}
