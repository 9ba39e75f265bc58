package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"plimsoll"
)

// The words that people read, in one place for the table and the HTML page.

// sentence says what a problem means to somebody who does not know Plimsoll.
func sentence(code plimsoll.ProblemCode) string {
	switch code {
	case plimsoll.ProblemImageGone:
		return "The image was removed while it was read."
	case plimsoll.ProblemLayerMissing:
		return "A layer that the engine names is not on this disk."
	case plimsoll.ProblemUnsupportedDriver:
		return "The engine keeps it with a storage driver that is not read."
	case plimsoll.ProblemPermission:
		return "This process may not read it."
	case plimsoll.ProblemPlatformAbsent:
		return "The index names this platform, its content was never pulled."
	case plimsoll.ProblemCorruptStore:
		return "The engine's records or the image are damaged."
	case plimsoll.ProblemEngineUnavailable:
		return "The engine does not answer and its disk does not tell enough."
	case plimsoll.ProblemEncrypted:
		return "Its layers are encrypted."
	case plimsoll.ProblemNotAnImage:
		return "It is an artifact without a file system."
	case plimsoll.ProblemOpaqueUnknown:
		return "Deleted directories may be invisible to this process: packages may be listed that are gone."
	case plimsoll.ProblemRedirect:
		return "A renamed directory of a layer could not be resolved."
	case plimsoll.ProblemUnreadableDir:
		return "A directory could not be listed."
	case plimsoll.ProblemUnreadableFile:
		return "A wanted file could not be opened."
	case plimsoll.ProblemCorruptFile:
		return "A wanted file is damaged."
	case plimsoll.ProblemLimit:
		return "A limit ended reading early."
	case plimsoll.ProblemPanic:
		return "An analyser failed on a file."
	case plimsoll.ProblemUnidentified:
		return "An archive or package has no name or version to look up."
	case plimsoll.ProblemPackedBinary:
		return "An executable is packed; what it is made of is hidden."
	case plimsoll.ProblemNoPackages:
		return "A distribution with a package manager, but no package was found."
	case plimsoll.ProblemUnknownDistro:
		return "The distribution is not known, so its packages were not judged."
	case plimsoll.ProblemNoAdvisorySource:
		return "Nobody publishes advisories about these packages here; they are listed only."
	case plimsoll.ProblemEndOfLife:
		return "The distribution or a runtime gets no more fixes: new flaws stay open or unseen."
	case plimsoll.ProblemBadVersion:
		return "A version cannot be compared, so nothing was concluded from it."
	case plimsoll.ProblemStreamUnknown:
		return "An rpm module's stream is not told, so its advisories were not applied."
	}
	return "Something could not be judged."
}

// stateWord says what there is to hope for.
func stateWord(f *plimsoll.Finding) string {
	switch f.Status {
	case plimsoll.StatusNotPresent:
		return "not present"
	case plimsoll.StatusOwned:
		return "left to OS"
	case plimsoll.StatusHandled:
		return "handled"
	}
	return fixWord(f.State)
}

func fixWord(s plimsoll.FixState) string {
	switch s {
	case plimsoll.FixAvailable:
		return "fixable"
	case plimsoll.FixNone:
		return "no fix yet"
	case plimsoll.FixDeferred:
		return "deferred"
	case plimsoll.FixRefused:
		return "won't fix"
	case plimsoll.FixEndOfLife:
		return "end of life"
	case plimsoll.FixExtended:
		return "paid support"
	case plimsoll.FixInvestigating:
		return "investigating"
	}
	return "unknown"
}

func className(c plimsoll.Class) string {
	if c == plimsoll.ClassSystem {
		return "System"
	}
	return "Application"
}

func title1(word string) string {
	if word == "" {
		return word
	}
	return strings.ToUpper(word[:1]) + word[1:]
}

// plural counts things: "1 package", "2 packages".
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// percent spells a probability.
func percent(p float64) string {
	p = number(p) * 100
	if p < 0.1 {
		return "<0.1%"
	}
	return strconv.FormatFloat(min(p, 100), 'f', 1, 64) + "%"
}

// bytesWord spells a size as engines do, in powers of ten.
func bytesWord(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", max(n, 0))
	}
	f, unit := float64(n), 0
	for f >= 999.5 && unit < 5 {
		f, unit = f/1000, unit+1
	}
	digits := 0
	if f < 99.95 {
		digits = 1
	}
	return strconv.FormatFloat(f, 'f', digits, 64) + " " + []string{"B", "kB", "MB", "GB", "TB", "PB"}[unit]
}

func day(t time.Time) string {
	if date(t) == "" {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

// ageWord spells how long ago something was.
func ageWord(d time.Duration) string {
	switch {
	case d < 0:
		return "in the future"
	case d < time.Hour:
		return "less than an hour"
	case d < 48*time.Hour:
		return plural(int(d/time.Hour), "hour", "hours")
	}
	return plural(int(d/(24*time.Hour)), "day", "days")
}

// systemWord names the operating systems of an image, and the one that somebody
// named instead.
func systemWord(r *plimsoll.Result) string {
	var names []string
	for _, s := range r.Inventory.Systems {
		n := name(cmp.Or(s.Name, strings.TrimSpace(s.ID+" "+s.VersionID), "unknown distribution"))
		if s.Root != "" {
			n += " in /" + path(s.Root)
		}
		names = append(names, n)
	}
	said := strings.Join(names, ", ")
	switch {
	case r.JudgedAs != "" && said != "":
		return name(r.JudgedAs) + ", named by the user; the image says " + said
	case r.JudgedAs != "":
		return name(r.JudgedAs) + ", named by the user; the image names none"
	case said != "":
		return said
	}
	return "none (no distribution in the image)"
}

// endOfLife says which system of the image is out of support; "" when none is.
func endOfLife(r *plimsoll.Result) string {
	for _, c := range r.Coverage {
		if !c.Ended {
			continue
		}
		if d := day(c.EndOfLife); d != "" {
			return "end of life since " + d
		}
		return "end of life"
	}
	return ""
}

// softwareWord counts packages by type.
func softwareWord(packages []plimsoll.Package) string {
	counts := make(map[string]int)
	for i := range packages {
		counts[string(packages[i].Type)]++
	}
	var types []string
	for t := range counts {
		types = append(types, t)
	}
	slices.SortFunc(types, func(a, b string) int { return cmp.Or(counts[b]-counts[a], strings.Compare(a, b)) })
	for i, t := range types {
		types[i] = fmt.Sprintf("%d %s", counts[t], name(t))
	}
	s := plural(len(packages), "package", "packages")
	if len(types) > 0 {
		s += ": " + strings.Join(types, ", ")
	}
	return s
}

// warning is what kept a result from being whole, one for each code.
type warning struct {
	Code     string
	Count    int
	Sentence string
	Examples []string // where, and what was tried
	More     int      // further places
	Gap      bool     // absence of a finding proves nothing
}

// warnings sums problems up by code, those that make the scan incomplete first.
func warnings(problems []plimsoll.Problem) []warning {
	const examples = 3
	byCode := make(map[plimsoll.ProblemCode]*warning)
	var list []*warning
	for _, p := range problems {
		w := byCode[p.Code]
		if w == nil {
			w = &warning{Code: name(string(p.Code)), Sentence: sentence(p.Code), Gap: p.Incomplete()}
			byCode[p.Code] = w
			list = append(list, w)
		}
		w.Count += times(p)
		if len(w.Examples) < examples {
			w.Examples = append(w.Examples, example(p))
		} else {
			w.More++
		}
	}
	slices.SortFunc(list, func(a, b *warning) int { return cmp.Or(-compareBool(a.Gap, b.Gap), strings.Compare(a.Code, b.Code)) })
	return each(list, func(w *warning) warning { return *w })
}

func example(p plimsoll.Problem) string {
	where, detail := path(p.Path), line(p.Detail, maxTitle)
	switch {
	case where == "":
		return detail
	case detail == "":
		return where
	}
	return where + ": " + detail
}

// hiddenWord says what filters removed: "12 hidden: 9 severity, 3 without a fix".
func hiddenWord(hidden []plimsoll.Hidden) string {
	total := 0
	var parts []string
	for _, h := range hidden {
		total += h.Count
		parts = append(parts, fmt.Sprintf("%d %s", h.Count, name(h.Filter)))
	}
	if total == 0 {
		return ""
	}
	return plural(total, "finding", "findings") + " hidden: " + strings.Join(parts, ", ") + "."
}

// imageName is the title of an image: a reference, or the short ID.
func imageName(img *plimsoll.Image) string {
	const most = 512 // a repository, a tag and a digest together are shorter
	return line(cmp.Or(img.Name(), img.Store, "(no name)"), most)
}

// layerWord names a layer briefly: eight digits and whose it is.
func layerWord(img *plimsoll.Image, d plimsoll.Digest) string {
	if d == "" {
		return ""
	}
	short := line(d.Short(), 12)
	short = short[:min(8, len(short))]
	for _, l := range img.Layers {
		if l.DiffID == d {
			return short + map[bool]string{true: " base", false: " own"}[l.Base]
		}
	}
	return short
}

// exploitedWord tells an entry of CISA's catalogue in one sentence.
func exploitedWord(k *plimsoll.KEV) string {
	word := "KNOWN EXPLOITED"
	if d := day(k.Added); d != "" {
		word += ", added by CISA on " + d
	}
	if d := day(k.Due); d != "" {
		word += ", to be fixed by " + d
	}
	if k.Ransomware {
		word += ", used in ransomware campaigns"
	}
	return word
}
