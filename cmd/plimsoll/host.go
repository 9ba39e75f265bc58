package main

import (
	"context"
	"slices"

	"github.com/spf13/pflag"

	"plimsoll"
	"plimsoll/local"
)

// hostOptions say where to look for engines beyond the usual places.
type hostOptions struct {
	local.Options
	engines []string
}

func (o *hostOptions) flags(flags *pflag.FlagSet) {
	flags.StringSliceVar(&o.engines, "engine", nil, "look at these engines only: docker, containerd, podman")
	flags.StringArrayVar(&o.DockerRoots, "docker-root", nil, "data root of a Docker daemon; repeatable, only needed when it is found neither from the daemon, daemon.json nor the process list")
	flags.StringArrayVar(&o.ContainerdSockets, "containerd-address", nil, "socket of a containerd daemon; repeatable")
	flags.StringArrayVar(&o.ContainerdRoots, "containerd-root", nil, "root of a containerd daemon, to read images that its socket does not give; repeatable")
	flags.StringArrayVar(&o.StorageRoots, "storage-root", nil, "containers-storage root of Podman, CRI-O or Buildah; repeatable")
}

// places returns where to look, or a mistake of usage.
func (a *app) places() (local.Options, error) {
	o := a.host.Options
	o.Scratch = a.cacheDir
	for _, e := range a.host.engines {
		if !slices.Contains([]plimsoll.Engine{plimsoll.Docker, plimsoll.Containerd, plimsoll.Podman}, plimsoll.Engine(e)) {
			return o, usagef("--engine: %q is none of docker, containerd, podman", e)
		}
		o.Engines = append(o.Engines, plimsoll.Engine(e))
	}
	return o, nil
}

// openHost finds the stores of this machine or, when archives were named, opens
// just those.
func (a *app) openHost(ctx context.Context) (*local.Host, error) {
	o, err := a.places()
	if err != nil && len(o.Inputs) == 0 {
		return nil, err
	}
	return local.Open(ctx, o)
}
