package containerd

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"net"
	"slices"
	"strings"
	"time"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	introspectionapi "github.com/containerd/containerd/api/services/introspection/v1"
	namespacesapi "github.com/containerd/containerd/api/services/namespaces/v1"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"plimsoll"
	"plimsoll/engine"
)

// Limits of a daemon's answers.
const (
	maxAnswer     = 64 << 20
	answerTimeout = 10 * time.Second
)

// catalog says what a containerd holds: its daemon does, or its disk.
type catalog interface {
	namespaces(context.Context) ([]string, error)
	images(ctx context.Context, namespace string) ([]imageRecord, error)
	containers(ctx context.Context, namespace string) ([]containerRecord, error)
}

type imageRecord struct {
	name   string
	target plimsoll.Digest
}

type containerRecord struct {
	id, image string // image is the name of an image record
	labels    map[string]string
	state     string
}

// remote asks the daemon. Nothing that is asked changes its state.
type remote struct{ conn *grpc.ClientConn }

func dial(socket string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///containerd",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithNoProxy(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)))
}

func within(ctx context.Context, namespace string) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	if namespace != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "containerd-namespace", namespace)
	}
	return ctx, cancel
}

// roots returns the directories of the content store and of the overlayfs
// snapshotter, as the daemon names them; empty when it does not.
func (r remote) roots(ctx context.Context) (content, overlay string, err error) {
	ctx, cancel := within(ctx, "")
	defer cancel()
	resp, err := introspectionapi.NewIntrospectionClient(r.conn).Plugins(ctx, &introspectionapi.PluginsRequest{})
	if err != nil {
		return "", "", err
	}
	for _, p := range resp.Plugins {
		switch p.Type + "." + p.ID {
		case contentPlugin:
			content = p.Exports["root"]
		case overlayPlugin:
			overlay = p.Exports["root"]
		}
	}
	return content, overlay, nil
}

func (r remote) namespaces(ctx context.Context) ([]string, error) {
	ctx, cancel := within(ctx, "")
	defer cancel()
	resp, err := namespacesapi.NewNamespacesClient(r.conn).List(ctx, &namespacesapi.ListNamespacesRequest{})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, n := range resp.Namespaces {
		names = append(names, n.Name)
	}
	slices.Sort(names)
	return names, nil
}

func (r remote) images(ctx context.Context, namespace string) ([]imageRecord, error) {
	ctx, cancel := within(ctx, namespace)
	defer cancel()
	resp, err := imagesapi.NewImagesClient(r.conn).List(ctx, &imagesapi.ListImagesRequest{})
	if err != nil {
		return nil, err
	}
	var records []imageRecord
	for _, img := range resp.Images {
		records = append(records, imageRecord{img.Name, plimsoll.Digest(img.GetTarget().GetDigest())})
	}
	return records, nil
}

func (r remote) containers(ctx context.Context, namespace string) ([]containerRecord, error) {
	ctx, cancel := within(ctx, namespace)
	defer cancel()
	resp, err := containersapi.NewContainersClient(r.conn).List(ctx, &containersapi.ListContainersRequest{})
	if err != nil {
		return nil, err
	}
	tasks, err := tasksapi.NewTasksClient(r.conn).List(ctx, &tasksapi.ListTasksRequest{})
	if err != nil {
		return nil, err
	}
	states := map[string]string{}
	for _, t := range tasks.Tasks {
		states[t.ID] = strings.ToLower(t.Status.String())
	}
	var records []containerRecord
	for _, c := range resp.Containers {
		state := states[c.ID]
		if state == "" {
			state = "created" // there is no task
		}
		records = append(records, containerRecord{c.ID, c.Image, c.Labels, state})
	}
	return records, nil
}

// disk reads the daemon's metadata database.
type disk struct{ root *engine.Dir }

// metaDB is the metadata of all namespaces. Its layout is
// v1/<namespace>/{images,containers}/<name>/…, see containerd's metadata/buckets.go.
const metaDB = "io.containerd.metadata.v1.bolt/meta.db"

func (d disk) view(fn func(v1 bucket) error) error {
	f, err := d.root.Open(metaDB)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was ever stored
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return view(f, func(root bucket, _ uint64) error {
		v1, err := root.sub("v1")
		if err != nil {
			return err
		}
		return fn(v1)
	})
}

func (d disk) namespaces(context.Context) ([]string, error) {
	var names []string
	err := d.view(func(v1 bucket) error {
		names = nil
		return v1.each(func(key, _ []byte, sub *bucket) error {
			if sub != nil {
				names = append(names, string(key))
			}
			return nil
		})
	})
	return names, err
}

func (d disk) images(_ context.Context, namespace string) ([]imageRecord, error) {
	var records []imageRecord
	err := d.view(func(v1 bucket) error {
		records = nil
		images, err := v1.sub(namespace, "images")
		if err != nil {
			return err
		}
		return images.each(func(key, _ []byte, sub *bucket) error {
			if sub == nil {
				return nil
			}
			target, err := sub.sub("target")
			if err != nil {
				return err
			}
			digest, err := target.get("digest")
			records = append(records, imageRecord{string(key), plimsoll.Digest(digest)})
			return err
		})
	})
	return records, err
}

func (d disk) containers(_ context.Context, namespace string) ([]containerRecord, error) {
	var records []containerRecord
	err := d.view(func(v1 bucket) error {
		records = nil
		containers, err := v1.sub(namespace, "containers")
		if err != nil {
			return err
		}
		return containers.each(func(key, _ []byte, sub *bucket) error {
			if sub == nil {
				return nil
			}
			image, err := sub.get("image")
			if err != nil {
				return err
			}
			labels, err := sub.sub("labels")
			if err != nil {
				return err
			}
			c := containerRecord{id: string(key), image: string(image), labels: map[string]string{}}
			records = append(records, c)
			return labels.each(func(k, v []byte, _ *bucket) error {
				c.labels[string(k)] = string(v)
				return nil
			})
		})
	})
	return records, err
}

// snapshot is a committed snapshot of the overlayfs snapshotter.
type snapshot struct {
	id   uint64 // the name of its directory
	size int64  // bytes on disk
}

// committed is the kind of a snapshot that is a layer and does not change.
const committed = 3

// readSnapshots returns the committed snapshots of all namespaces by
// "namespace/chain ID", from the snapshotter's own database: its interface gives
// a directory only for a snapshot that is mounted, and making one would change
// its state. Names in the database are "namespace/number/name".
func readSnapshots(root bucket) (map[string]snapshot, error) {
	found := map[string]snapshot{}
	all, err := root.sub("v1", "snapshots")
	if err != nil {
		return nil, err
	}
	err = all.each(func(key, _ []byte, sub *bucket) error {
		parts := strings.SplitN(string(key), "/", 3)
		if sub == nil || len(parts) != 3 {
			return nil
		}
		kind, err := sub.get("kind")
		if err != nil {
			return err
		}
		rawID, err := sub.get("id")
		if err != nil {
			return err
		}
		rawSize, err := sub.get("size")
		if err != nil {
			return err
		}
		id, n := binary.Uvarint(rawID)
		if n <= 0 || len(kind) != 1 || kind[0] != committed {
			return nil
		}
		size, _ := binary.Varint(rawSize)
		found[parts[0]+"/"+parts[2]] = snapshot{id, max(0, size)}
		return nil
	})
	return found, err
}
