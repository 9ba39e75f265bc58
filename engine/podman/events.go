package podman

import (
	"context"
	"path/filepath"

	"plimsoll/engine"
)

// Watch calls changed when images or containers of the store may have changed,
// until ctx ends. There is no daemon to tell, so its records are looked at.
func (s *Store) Watch(ctx context.Context, changed func()) error {
	return engine.Poll(ctx, s.signature, changed)
}

func (s *Store) signature() string {
	at := func(name string) string { return filepath.Join(s.dir.Path(), name) }
	return engine.Signature(
		at(imageList),
		at("overlay-containers/containers.json"),
		at("overlay-containers/volatile-containers.json"),
		at(layerList),
	)
}
