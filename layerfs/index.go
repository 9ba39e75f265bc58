package layerfs

// Index is the immutable list of a layer's entries, compact enough to keep for
// every layer of a host.
type Index struct{}
