package plimsoll

// ProblemCode is a stable word for what kept Plimsoll from knowing something.
type ProblemCode string

// Problems of an image as a whole: it cannot be scanned.
const (
	ProblemImageGone         ProblemCode = "image-gone"         // removed while it was read
	ProblemLayerMissing      ProblemCode = "layer-missing"      // the engine names a layer that is not on this disk
	ProblemUnsupportedDriver ProblemCode = "unsupported-driver" // storage driver or snapshotter that is not read
	ProblemPermission        ProblemCode = "permission"         // this process may not read it
	ProblemPlatformAbsent    ProblemCode = "platform-absent"    // the index names it, its content was never pulled
	ProblemCorruptStore      ProblemCode = "corrupt-store"      // the engine's records are damaged
	ProblemEngineUnavailable ProblemCode = "engine-unavailable" // the engine does not answer and its disk does not tell enough
	ProblemEncrypted         ProblemCode = "encrypted"          // encrypted layers
	ProblemNotAnImage        ProblemCode = "not-an-image"       // an artifact without a file system
)

// ProblemCrash is of an image or of a file in it: the process that reads images died
// on it, or had to be ended because it took too long or too much memory.
const ProblemCrash ProblemCode = "crash"

// Problems within an image: the inventory or the findings are incomplete.
const (
	ProblemOpaqueUnknown    ProblemCode = "opaque-unknown"     // opaque directories are invisible to this process
	ProblemRedirect         ProblemCode = "redirect-unknown"   // an overlay redirect or metacopy could not be resolved
	ProblemUnreadableDir    ProblemCode = "unreadable-dir"     // a directory of a layer could not be listed
	ProblemUnreadableFile   ProblemCode = "unreadable-file"    // a wanted file could not be opened
	ProblemCorruptFile      ProblemCode = "corrupt-file"       // a wanted file is damaged
	ProblemLimit            ProblemCode = "limit"              // a limit ended a file, a layer or the image
	ProblemPanic            ProblemCode = "panic"              // an analyser failed on a file
	ProblemUnidentified     ProblemCode = "unidentified"       // an archive or package without name or version
	ProblemPackedBinary     ProblemCode = "packed-binary"      // an executable that is packed
	ProblemNoPackages       ProblemCode = "no-packages"        // a distribution with a package manager and no package
	ProblemUnknownDistro    ProblemCode = "unknown-distro"     // no or unknown distribution identity
	ProblemNoAdvisorySource ProblemCode = "no-advisory-source" // inventory only: nobody was asked about these packages
	ProblemEndOfLife        ProblemCode = "end-of-life"        // the distribution or a runtime gets no more fixes
	ProblemBadVersion       ProblemCode = "bad-version"        // a version that cannot be compared
	ProblemStreamUnknown    ProblemCode = "stream-unknown"     // an rpm module whose stream its advisories or its header do not tell
)

// Problem is something that Plimsoll could not read, identify or judge. A
// problem is counted and shown, never dropped: not scanned, not covered and
// clean are three results.
type Problem struct {
	Code     ProblemCode
	Path     string // of the file within the image, or the package concerned; may be empty
	Layer    Digest // diff ID; empty for the whole image
	Analyzer string // who met it; may be empty
	Detail   string // a sentence: what was tried, the cause, what to do
	Count    int    // how many of the kind; 0 means 1
}

// Incomplete says whether the problem makes an inventory incomplete, so that
// absence of a finding proves nothing. An identified system without advisories
// or past its end of life is read completely.
func (p Problem) Incomplete() bool {
	switch p.Code {
	case ProblemUnidentified, ProblemPackedBinary, ProblemUnknownDistro, ProblemNoAdvisorySource,
		ProblemEndOfLife, ProblemBadVersion, ProblemStreamUnknown, ProblemPlatformAbsent:
		return false
	}
	return true
}
