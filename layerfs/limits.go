package layerfs

import "plimsoll"

// Budgets of one layer and of the merged view. Each is far above what honest
// images hold; reaching one is reported, never passed over.
const (
	maxEntries    = 2_000_000 // names of a layer
	maxText       = 256 << 20 // bytes of names and link targets of a layer's index
	maxName       = 255       // bytes of one path component, as in Linux
	maxComponents = 255       // components of a path, and so the depth of the tree
	maxTarget     = 4096      // bytes of a link's target, as in Linux (PATH_MAX)
	maxLinks      = 40        // symbolic links followed for one path, as in Linux
	maxSteps      = 64        // path components that a tar's members, on average, take to place
	maxPathSteps  = 2048      // path components followed for one path, those of its links counted
	maxLayers     = 256       // of one image; Docker allows 125
	maxProblems   = 1000      // problems told one by one of a layer; the rest is counted

	maxStream      = 64 << 30  // decompressed bytes of a layer
	freeStream     = 8 << 30   // decompressed bytes before maxRatio counts: large files of zeros are legal
	maxRatio       = 1100      // decompressed per compressed byte; gzip cannot exceed 1032
	maxInMemory    = 32 << 20  // bytes of wanted files of a stream held in memory at once
	maxScratchFile = 512 << 20 // bytes of one wanted file of a stream, in memory or scratch
	maxZstdWindow  = 128 << 20 // bytes of a zstd window; what zstd --ultra -22 needs
)

// bounds are the limits that tests lower to reach them cheaply.
type bounds struct {
	entries    int
	text       int
	components int
	stream     int64
	freeStream int64
	inMemory   int64
	scratch    int64
}

func defaultBounds() bounds {
	return bounds{
		entries: maxEntries, text: maxText, components: maxComponents,
		stream: maxStream, freeStream: freeStream, inMemory: maxInMemory, scratch: maxScratchFile,
	}
}

func limitError(op, format string, args ...any) error {
	return plimsoll.Errorf(plimsoll.CodeLimit, op, format, args...)
}
