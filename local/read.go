package local

import (
	"context"
	"errors"
	"slices"
	"time"

	"plimsoll"
	"plimsoll/engine"
	"plimsoll/inventory"
	"plimsoll/inventory/langpkg"
	"plimsoll/inventory/ospkg"
	"plimsoll/layerfs"
)

// DefaultTimeout is long enough for the largest images seen, and ends a hang.
const DefaultTimeout = 15 * time.Minute

// workers is how many layers are read at once; more would only compete for the
// same disk.
const workers = 2

// Analyzers returns all analysers.
func Analyzers() []inventory.Analyzer {
	return slices.Concat(ospkg.Analyzers(), langpkg.Analyzers())
}

// NewScanner returns a scanner with all analysers and a cache, which may be nil.
func NewScanner(cache inventory.Cache, fault func(error)) *inventory.Scanner {
	return &inventory.Scanner{
		Analyzers:  Analyzers(),
		Workers:    workers,
		Cache:      cache,
		CacheFault: fault,
	}
}

// Read reads one image in at most timeout. Whatever goes wrong becomes its
// result; only the end of ctx does so for no fault of the image.
func Read(ctx context.Context, scanner *inventory.Scanner, img Image, timeout time.Duration) plimsoll.Result {
	result := plimsoll.Result{Image: img.Image, Status: plimsoll.ScanComplete}
	if img.Problem != nil {
		result.Status, result.Problem = plimsoll.ScanFailed, img.Problem
		return result
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, plimsoll.Errorf(plimsoll.CodeLimit, "scan image", "it took longer than %s", timeout))
	defer cancel()
	read := false
	inv, err := scanner.Scan(ctx, img.Image, func() ([]layerfs.Layer, error) {
		read = true
		return img.store.Layers(ctx, img.Image)
	})
	if err == nil && read {
		err = stillThere(ctx, img)
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && plimsoll.CodeOf(cause) == plimsoll.CodeLimit {
			err = cause // the end of time or memory, in words
		}
		problem := engine.ProblemOf(err)
		if errors.Is(err, inventory.ErrCrashed) {
			problem.Code = plimsoll.ProblemCrash
		}
		result.Status, result.Problem = plimsoll.ScanFailed, &problem
		return result
	}
	if !inv.Complete() {
		result.Status = plimsoll.ScanPartial
	}
	result.Inventory, result.Problems = inv, inv.Problems
	return result
}

// stillThere fails when an image's layers were removed while they were read: a
// directory that was emptied under our hands looks like one that was empty
// (acceptance IMG-23).
func stillThere(ctx context.Context, img Image) error {
	layers, err := img.store.Layers(ctx, img.Image)
	for _, l := range layers {
		l.Close()
	}
	return err
}
