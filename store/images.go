package store

import (
	"context"

	"plimsoll"
	"plimsoll/api"
)

// Images lists images. Names, hosts and containers are those in scope.
func (s *Store) Images(ctx context.Context, scope plimsoll.Scope, f api.ImageFilter, l api.List) (api.Page[api.Image], error) {
	panic("todo S1")
}

// Image returns one image with its layers, history, problems and scans.
func (s *Store) Image(ctx context.Context, scope plimsoll.Scope, id int64) (api.ImageDetail, error) {
	panic("todo S1")
}

// SelectImages returns the IDs of the images that a selection means, in
// ascending order; gone images only when they are named.
func (s *Store) SelectImages(ctx context.Context, scope plimsoll.Scope, sel api.Selection) ([]int64, error) {
	panic("todo S1")
}

// Presences lists where an image is or was, newest first.
func (s *Store) Presences(ctx context.Context, scope plimsoll.Scope, imageID int64, l api.List) (api.Page[api.Presence], error) {
	panic("todo S1")
}

// ContainerFilter narrows the list of containers.
type ContainerFilter struct {
	Image, Host int64
	Query       string // part of a name or pod, or the beginning of an ID
	Running     bool
	Gone        bool // those that are gone too
}

// Containers lists containers by ID.
func (s *Store) Containers(ctx context.Context, scope plimsoll.Scope, f ContainerFilter, l api.List) (api.Page[api.Container], error) {
	panic("todo S1")
}
