// Package engine is what the readers of container engines share: where a host
// keeps things, bounded reading of an engine's records, the OCI documents that
// describe images, the names of images and the reasons why one cannot be read.
//
// It owns no engine: packages engine/docker, engine/containerd, engine/podman
// and engine/archive do, and import it. It refuses to write, to mount, to run
// anything and to use the network.
//
// Trust: an engine's records are hostile. Other users of the host own rootless
// stores, and image authors wrote the documents in them. Every read is bounded,
// no name from a record becomes a path before it was checked, and names are
// resolved inside the engine's directory only.
package engine

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"plimsoll"
)

// Fault is an error that says why an image, or a store as a whole, cannot be
// read, in a form that can be shown and counted.
type Fault struct {
	Problem plimsoll.ProblemCode
	Cause   *plimsoll.Error // Op is what was tried, Hint what to do
}

func (f *Fault) Error() string { return f.Cause.Error() }

// Unwrap gives the cause, and with it the code and the hint.
func (f *Fault) Unwrap() error { return f.Cause }

// Fail makes a Fault. Op is a verb and an object, hint a sentence.
func Fail(problem plimsoll.ProblemCode, op, hint string, cause error) *Fault {
	return &Fault{problem, &plimsoll.Error{Code: errorCode(problem), Op: op, Hint: hint, Err: cause}}
}

func errorCode(p plimsoll.ProblemCode) plimsoll.Code {
	switch p {
	case plimsoll.ProblemImageGone, plimsoll.ProblemLayerMissing, plimsoll.ProblemPlatformAbsent:
		return plimsoll.CodeNotFound
	case plimsoll.ProblemPermission, plimsoll.ProblemUnsupportedDriver, plimsoll.ProblemEncrypted:
		return plimsoll.CodeUnreadable
	case plimsoll.ProblemEngineUnavailable:
		return plimsoll.CodeUnavailable
	case plimsoll.ProblemNotAnImage:
		return plimsoll.CodeInvalid
	case plimsoll.ProblemLimit:
		return plimsoll.CodeLimit
	}
	return plimsoll.CodeCorrupt
}

const permissionHint = "Run plimsoll as root or give it CAP_DAC_READ_SEARCH."

// ProblemOf says why an image cannot be read, from any error of an engine
// package: the cause, then what to do.
func ProblemOf(err error) plimsoll.Problem {
	p := plimsoll.Problem{Code: plimsoll.ProblemCorruptStore, Detail: err.Error() + "."}
	hint := plimsoll.HintOf(err)
	var f *Fault
	switch code := plimsoll.CodeOf(err); {
	case errors.As(err, &f):
		p.Code = f.Problem
	case errors.Is(err, fs.ErrPermission):
		p.Code = plimsoll.ProblemPermission
	case code == plimsoll.CodeNotFound: // it was there when the image was listed
		p.Code = plimsoll.ProblemImageGone
	case errors.Is(err, fs.ErrNotExist):
		p.Code = plimsoll.ProblemLayerMissing
	case code == plimsoll.CodeUnreadable:
		p.Code = plimsoll.ProblemPermission
	case code == plimsoll.CodeLimit:
		p.Code = plimsoll.ProblemLimit
	case code == plimsoll.CodeUnavailable:
		p.Code = plimsoll.ProblemEngineUnavailable
	}
	if hint == "" && p.Code == plimsoll.ProblemPermission {
		hint = permissionHint
	}
	if hint != "" {
		p.Detail += " " + hint
	}
	return p
}

// NotOpened says why a place that may hold images could not be read: op is what
// was tried, hint what to do unless permission is all that lacks.
func NotOpened(op, hint string, err error) plimsoll.Problem {
	code := plimsoll.ProblemEngineUnavailable
	if errors.Is(err, fs.ErrPermission) {
		code, hint = plimsoll.ProblemPermission, ""
	}
	var path *fs.PathError
	if errors.As(err, &path) && strings.Contains(op, path.Path) {
		err = path.Err // the path is told already
	}
	return ProblemOf(Fail(code, op, hint, err))
}

// Merge sorts images by ID and joins those of one store that are the same: one
// image under several manifests has all names, manifests and containers. A
// readable one wins over one with a problem. Images without an ID are kept
// apart and sorted by their manifests.
func Merge(images []plimsoll.Image) []plimsoll.Image {
	slices.SortStableFunc(images, func(a, b plimsoll.Image) int {
		return cmp.Or(
			strings.Compare(string(a.ID), string(b.ID)),
			slices.Compare(a.Manifests, b.Manifests),
			slices.Compare(a.Names, b.Names),
		)
	})
	var merged []plimsoll.Image
	for _, img := range images {
		if n := len(merged); n > 0 && img.ID != "" && merged[n-1].ID == img.ID {
			merged[n-1] = Join(merged[n-1], img)
			continue
		}
		merged = append(merged, img)
	}
	return merged
}

// Join returns one image that two records or stores hold: a, or b where a cannot
// be read, with the names, manifests and containers of both.
func Join(a, b plimsoll.Image) plimsoll.Image {
	if a.Problem != nil && b.Problem == nil {
		a, b = b, a
	}
	a.Names = sortedUnique(slices.Concat(a.Names, b.Names))
	a.Manifests = sortedUnique(slices.Concat(a.Manifests, b.Manifests))
	a.Containers = slices.Concat(a.Containers, b.Containers)
	slices.SortFunc(a.Containers, func(a, b plimsoll.Container) int { return strings.Compare(a.ID, b.ID) })
	a.Containers = slices.CompactFunc(a.Containers, func(a, b plimsoll.Container) bool { return a.ID == b.ID })
	return a
}
