package match

import (
	"strconv"
	"strings"

	"plimsoll"
)

// rpmMarks are what a release tells beyond its order.
type rpmMarks struct {
	modular   bool   // built as part of a module
	flavour   string // "fips", "ksplice": builds that are fixed apart from the others
	epochless bool   // the feed leaves epochs out
	minor     string // "8_4": built for a minor release's own stream
	extended  bool   // from the feed of an extended minor release
}

// marksOf reads the marks of a record from its fixed versions: feeds such as
// AlmaLinux's do not name modules otherwise.
func marksOf(r *record) rpmMarks {
	m := rpmMarks{modular: len(r.Modules) > 0, epochless: r.Epochless || omitsEpochs(r.Ecosystem), extended: strings.HasPrefix(r.Ecosystem, extendedPrefix)}
	for _, f := range r.fixes {
		text := f.String()
		m.modular = m.modular || modularRelease(text)
		m.flavour = rpmFlavour(text)
		m.minor = minorStream(text)
		if strings.Contains(text, ":") {
			m.epochless = false
		}
	}
	return m
}

// omitsEpochs names the feeds that write versions without epochs even for
// packages that have one (acceptance RPM-10). For all others a missing epoch
// is 0.
func omitsEpochs(ecosystem string) bool {
	family, _, _ := strings.Cut(ecosystem, ":")
	switch family {
	case "openEuler", "SUSE", "openSUSE":
		return true
	}
	return false
}

func withoutEpoch(v string) string {
	if i := strings.IndexByte(v, ':'); i >= 0 {
		return v[i+1:]
	}
	return v
}

// modularRelease recognises a module's build by the release that the build
// system gives it: ".module+el8.1.0+4098+f286395e", ".module_el8.3.0+2044+…",
// ".module+an8.8.0+…" of Anolis, ".module_f36+…" of Fedora.
func modularRelease(v string) bool {
	return strings.Contains(v, ".module+") || strings.Contains(v, ".module_")
}

// rpmFlavour recognises builds that live beside the ordinary ones and have
// their own fixes (acceptance RPM-08).
func rpmFlavour(v string) string {
	switch {
	case strings.Contains(v, "_fips"):
		return "fips"
	case strings.Contains(v, ".ksplice"):
		return "ksplice"
	}
	return ""
}

// minorStream returns "8_4" of a release with the dist tag el8_4, else "".
func minorStream(v string) string {
	_, tag, ok := strings.Cut(v, ".el")
	if !ok {
		return ""
	}
	end := 0
	for end < len(tag) && (tag[end] >= '0' && tag[end] <= '9' || tag[end] == '_') {
		end++
	}
	tag = strings.TrimRight(tag[:end], "_")
	if strings.Count(tag, "_") != 1 {
		return ""
	}
	return tag
}

// laterMinor says whether tag "8_6" lies after the minor release "8.4" of a
// system; false when the system does not say its minor release.
func laterMinor(tag, release string) bool {
	major, minor, ok := strings.Cut(release, ".")
	tagMajor, tagMinor, tagOK := strings.Cut(tag, "_")
	if !ok || !tagOK || major != tagMajor {
		return false
	}
	a, errA := strconv.Atoi(tagMinor)
	b, errB := strconv.Atoi(minor)
	return errA == nil && errB == nil && a > b
}

// streams is the answer to whether a package and a record are of one module
// stream.
type streams int8

const (
	streamsDiffer streams = iota
	streamsAgree
	streamsUnknown
)

// sameStream compares a package with a record by module (acceptance RPM-05). A
// modular build is never judged by an ordinary advisory and the other way
// round. Where one side does not name its stream, versions that follow the
// stream's number (nodejs 10.24 of stream 10) or that have the same upstream
// version tell; the rest is unknown and not guessed.
func sameStream(p *plimsoll.Package, v string, r *record) streams {
	modular := p.Module != "" || modularRelease(v)
	if modular != r.rpm.modular {
		return streamsDiffer
	}
	if !modular {
		return streamsAgree
	}
	name, stream := moduleStream(p.Module)
	if p.Module != "" && len(r.Modules) > 0 {
		for _, m := range r.Modules {
			if n, s := moduleStream(m); n == name && s == stream {
				return streamsAgree
			}
		}
		return streamsDiffer
	}
	if p.Module == "" && len(r.Modules) > 0 {
		_, stream = moduleStream(r.Modules[0])
	}
	if len(r.fixes) == 0 {
		return streamsUnknown
	}
	answer := streamsDiffer
	for _, f := range r.fixes {
		installed, other := upstreamOf(v), upstreamOf(f.String())
		switch {
		case installed == other:
			return streamsAgree
		case stream != "" && follows(installed, stream):
			if follows(other, stream) {
				return streamsAgree
			}
		default:
			answer = streamsUnknown
		}
	}
	return answer
}

func moduleStream(label string) (name, stream string) {
	name, rest, _ := strings.Cut(label, ":")
	stream, _, _ = strings.Cut(rest, ":")
	return name, stream
}

// upstreamOf returns the upstream version: no epoch, no release.
func upstreamOf(v string) string {
	v = withoutEpoch(v)
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		v = v[:i]
	}
	return v
}

// follows says whether a version belongs to a stream that is named by number.
func follows(v, stream string) bool {
	rest, ok := strings.CutPrefix(v, stream)
	return ok && stream[0] >= '0' && stream[0] <= '9' && (rest == "" || rest[0] == '.')
}
