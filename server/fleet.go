package server

import (
	"context"
	"strings"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/match"
	"plimsoll/store"
)

func (s *Server) fleetRoutes() {
	route(s, viewer, op("GET", "/dashboard", "get-dashboard", "Fleet", "The fleet at a glance"), func(ctx context.Context, c *caller, _ *struct{}) (api.Dashboard, error) {
		d, err := s.Store.Dashboard(ctx, c.scope)
		if err == nil {
			d.Database, err = s.database(ctx, c)
		}
		return d, err
	})

	route(s, viewer, op("GET", "/hosts", "list-hosts", "Hosts", "List hosts"), s.listHosts)
	route(s, viewer, op("GET", "/hosts/{id}", "get-host", "Hosts", "One host"), func(ctx context.Context, c *caller, in *ByID) (api.Host, error) {
		return s.Store.Host(ctx, c.scope, in.ID)
	})
	route(s, admin, op("PATCH", "/hosts/{id}", "label-host", "Hosts", "Replace the labels of a host"), s.labelHost)
	command(s, admin, op("POST", "/hosts/{id}/revoke", "revoke-host", "Hosts", "Take away a host's identity"), s.revokeHost)
	command(s, admin, op("DELETE", "/hosts/{id}", "remove-host", "Hosts", "Revoke a host and forget it"), s.removeHost)

	route(s, viewer, op("GET", "/images", "list-images", "Images", "List images"), func(ctx context.Context, c *caller, in *imagesInput) (api.Page[api.Image], error) {
		return s.Store.Images(ctx, c.scope, in.ImageFilter, in.list(in.Sort))
	})
	route(s, viewer, op("GET", "/images/{id}", "get-image", "Images", "One image, with layers, history and scans"), func(ctx context.Context, c *caller, in *ByID) (api.ImageDetail, error) {
		return s.Store.Image(ctx, c.scope, in.ID)
	})
	route(s, viewer, op("GET", "/images/{id}/presences", "list-presences", "Images", "Where an image is or was"), func(ctx context.Context, c *caller, in *pageOfOne) (api.Page[api.Presence], error) {
		return s.Store.Presences(ctx, c.scope, in.ID, in.list(""))
	})
	route(s, viewer, op("GET", "/images/{id}/containers", "list-image-containers", "Images", "Containers made from an image"), func(ctx context.Context, c *caller, in *pageOfOne) (api.Page[api.Container], error) {
		if _, err := s.Store.Image(ctx, c.scope, in.ID); err != nil {
			return api.Page[api.Container]{}, err
		}
		return s.Store.Containers(ctx, c.scope, store.ContainerFilter{Image: in.ID}, in.list(""))
	})
	route(s, viewer, op("GET", "/images/{id}/software", "list-image-software", "Images", "Packages in an image"), func(ctx context.Context, c *caller, in *installedInput) (api.Page[api.Installed], error) {
		return s.Store.Installed(ctx, c.scope, in.ID, in.SoftwareFilter, in.list(""))
	})
	route(s, viewer, op("GET", "/images/{id}/diff", "diff-images", "Images", "What changed from another image to this one"), func(ctx context.Context, c *caller, in *diffInput) (api.ImageDiff, error) {
		return s.Store.DiffImages(ctx, c.scope, in.With, in.ID)
	})
	route(s, viewer, op("GET", "/images/{id}/changes", "list-image-changes", "Images", "What updates of the advisories changed about an image, newest first"), func(ctx context.Context, c *caller, in *pageOfOne) (api.Page[api.Change], error) {
		return s.Store.ImageChanges(ctx, c.scope, in.ID, in.list(""))
	})
	route(s, viewer, op("GET", "/images/{id}/plan", "get-image-plan", "Images", "What to upgrade in an image"), s.imagePlan)

	route(s, viewer, op("GET", "/containers", "list-containers", "Images", "List containers"), func(ctx context.Context, c *caller, in *containersInput) (api.Page[api.Container], error) {
		f := store.ContainerFilter{Image: in.Image, Host: in.Host, Query: in.Query, Running: in.Running, Gone: in.Gone, Vuln: in.Vuln}
		return s.Store.Containers(ctx, c.scope, f, in.list(""))
	})
	route(s, viewer, op("GET", "/software", "list-software", "Software", "List distinct packages"), func(ctx context.Context, c *caller, in *softwareInput) (api.Page[api.Software], error) {
		return s.Store.Software(ctx, c.scope, in.SoftwareFilter, in.list(in.Sort))
	})
	route(s, viewer, op("GET", "/software/places", "list-places", "Software", "Hosts and running containers that have a package"), func(ctx context.Context, c *caller, in *placesInput) (api.Page[api.Place], error) {
		return s.Store.Places(ctx, c.scope, in.SoftwareFilter, in.list(""))
	})
}

// Paging is what every list takes. It is exported for the same reason as ByID.
type Paging struct {
	Order  string `query:"order" enum:"asc,desc" doc:"default: the natural order of the sort key, names upwards, figures and times downwards"`
	Cursor string `query:"cursor" maxLength:"4000" doc:"next of the page before"`
	Limit  int    `query:"limit" minimum:"0" maximum:"500" doc:"rows; default 50"`
}

func (p Paging) list(sort string) api.List {
	if p.Order == "desc" {
		sort = "-" + sort
	}
	return api.List{Sort: sort, Asc: p.Order == "asc", Cursor: p.Cursor, Limit: p.Limit}
}

type pageOfOne struct {
	ByID
	Paging
}

// The sort keys are those of package api; a test compares.
type (
	imagesInput struct {
		api.ImageFilter
		Sort string `query:"sort" enum:"risk,name,size,created,firstSeen,lastSeen,scannedAt,packages,fixable,kev,hosts,containers" doc:"sort key; the first is the default"`
		Paging
	}
	softwareInput struct {
		api.SoftwareFilter
		Sort string `query:"sort" enum:"name,images,risk,firstSeen" doc:"sort key; the first is the default"`
		Paging
	}
	hostsInput struct {
		api.HostFilter
		Sort string `query:"sort" enum:"name,lastSeen,images" doc:"sort key; the first is the default"`
		Paging
	}
)

type diffInput struct {
	ByID
	With int64 `query:"with" required:"true" minimum:"1" doc:"ID of the image to compare with: the earlier one"`
}

type placesInput struct {
	api.SoftwareFilter
	Paging
}

type installedInput struct {
	ByID
	api.SoftwareFilter
	Paging
}

type containersInput struct {
	Image   int64  `query:"image" doc:"ID of an image"`
	Host    int64  `query:"host" doc:"ID of a host"`
	Query   string `query:"q" maxLength:"300" doc:"part of a name or pod, or the beginning of an ID"`
	Running bool   `query:"running" doc:"running ones alone"`
	Gone    bool   `query:"gone" doc:"those that are gone too"`
	Vuln    string `query:"vulnerability" maxLength:"100" doc:"of images with an open finding of it, by any of its IDs"`
	Paging
}

func (s *Server) listHosts(ctx context.Context, c *caller, in *hostsInput) (api.Page[api.Host], error) {
	return s.Store.Hosts(ctx, c.scope, in.HostFilter, in.list(in.Sort))
}

func checkLabel(label string) error {
	key, value, ok := strings.Cut(label, "=")
	if !ok || !plimsoll.ValidLabel(key, value) && !(key == "id" && value != "") {
		return plimsoll.Errorf(plimsoll.CodeInvalid, "check a label", "%q is not of the form key=value", label)
	}
	return nil
}

type labelHostInput struct {
	ByID
	Body struct {
		Labels plimsoll.Labels `json:"labels" maxProperties:"64"`
	}
}

// labelHost asks for the whole fleet: labels say who sees what.
func (s *Server) labelHost(ctx context.Context, c *caller, in *labelHostInput) (api.Host, error) {
	if err := unbounded(c); err != nil {
		return api.Host{}, err
	}
	for key, value := range in.Body.Labels {
		if key != "id" && !plimsoll.ValidLabel(key, value) {
			return api.Host{}, plimsoll.Errorf(plimsoll.CodeInvalid, "label a host", "%q cannot be a label", key+"="+value)
		}
	}
	delete(in.Body.Labels, "id")
	if err := s.Store.SetHostLabels(ctx, in.ID, in.Body.Labels); err != nil {
		return api.Host{}, err
	}
	requestOf(ctx).detail = strings.Join(in.Body.Labels.SortedLabels(), ",")
	return s.Store.Host(ctx, c.scope, in.ID)
}

func (s *Server) revokeHost(ctx context.Context, c *caller, in *ByID) error {
	if _, err := s.Store.Host(ctx, c.scope, in.ID); err != nil {
		return err
	}
	return s.Store.RevokeHost(ctx, in.ID)
}

func (s *Server) removeHost(ctx context.Context, c *caller, in *ByID) error {
	if _, err := s.Store.Host(ctx, c.scope, in.ID); err != nil {
		return err
	}
	return s.Store.RemoveHost(ctx, in.ID)
}

func (s *Server) imagePlan(ctx context.Context, c *caller, in *ByID) (api.Plan, error) {
	if _, err := s.Store.Image(ctx, c.scope, in.ID); err != nil {
		return api.Plan{}, err
	}
	judge, release := s.judge.acquire()
	if judge == nil {
		return api.Plan{}, noAdvisories()
	}
	defer release()
	image, inventory, err := s.Store.Inventory(ctx, c.scope, in.ID)
	if err != nil {
		return api.Plan{}, err
	}
	evaluation, err := match.Evaluate(ctx, judge.db, inventory, judge.options())
	if err != nil {
		return api.Plan{}, err
	}
	return api.PlanOf(match.Plan(image, inventory, evaluation.Findings)), nil
}
