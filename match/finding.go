package match

import (
	"cmp"
	"slices"
	"strings"

	"plimsoll"
	"plimsoll/version"
)

// finding puts the opinions about one vulnerability together.
func (s *trial) finding(flaw plimsoll.Vulnerability, about []opinion, authority int) plimsoll.Finding {
	slices.SortStableFunc(about, func(a, b opinion) int {
		return cmp.Or(cmp.Compare(b.authority, a.authority), strings.Compare(a.AdvisoryID, b.AdvisoryID),
			strings.Compare(a.Ecosystem, b.Ecosystem), strings.Compare(a.asked.key, b.asked.key))
	})
	f := plimsoll.Finding{
		Vulnerability: flaw,
		Package:       *s.pkg,
		Class:         plimsoll.ClassApplication,
		Status:        plimsoll.StatusAffected,
		Reasons:       s.reasons(about),
	}
	if s.scope.system {
		f.Class = plimsoll.ClassSystem
	}
	switch {
	case s.owned:
		f.Status = plimsoll.StatusOwned
	case s.scope.system && kernelWithoutKernel(s.pkg):
		f.Status = plimsoll.StatusNotPresent
	}
	s.fix(&f, about, authority)
	rate(&f.Vulnerability, about)
	return f
}

// reasons lists the records that affirm, strongest first, and notes on the
// first one who denies.
func (s *trial) reasons(about []opinion) []plimsoll.Reason {
	var reasons []plimsoll.Reason
	var denied, words []string
	for i := range about {
		o := &about[i]
		if !o.affected {
			if !slices.Contains(denied, o.AdvisoryID) {
				denied = append(denied, o.AdvisoryID)
				words = append(words, o.Note)
			}
			continue
		}
		note := o.note
		if o.Note != "" {
			if note != "" {
				note += "; "
			}
			note += o.Provider + ": " + o.Note
		}
		reasons = append(reasons, plimsoll.Reason{
			Advisory: o.AdvisoryID, Provider: o.Provider, Modified: o.Modified,
			Ecosystem: o.Ecosystem, Package: o.asked.key, Version: o.asked.version,
			Scheme: string(s.scope.scheme), Range: o.text, Note: note,
		})
	}
	reasons = slices.Compact(reasons)
	for i, id := range denied {
		switch {
		case slices.ContainsFunc(reasons, func(r plimsoll.Reason) bool { return r.Advisory == id }):
			denied[i] = "" // one of its ranges affirms
		case words[i] != "":
			denied[i] = id + " (" + words[i] + ")"
		}
	}
	denied = slices.DeleteFunc(denied, func(id string) bool { return id == "" })
	if len(denied) > 0 {
		note := "not affected according to " + strings.Join(denied, ", ")
		if reasons[0].Note != "" {
			note = reasons[0].Note + "; " + note
		}
		reasons[0].Note = note
	}
	return reasons
}

// fix finds the lowest version above the installed one that no deciding record
// calls affected: that is the fix on the installed branch, when there is one
// (acceptance ADV-10). Fixes of every record about the flaw are candidates. A
// record that knows no end of the flaw refutes a candidate only when no other
// candidate is left, so that the fix which one alias names is not lost because
// another never learned of it.
func (s *trial) fix(f *plimsoll.Finding, about []opinion, authority int) {
	var free, paid []version.Version
	seen := make(map[string]bool)
	var all []version.Version
	for i := range about {
		o := &about[i]
		installed := s.installed(o)
		for _, v := range o.fixes {
			if slices.ContainsFunc(o.spans, func(sp span) bool { return sp.scheme == v.Scheme() && sp.contains(v) }) {
				continue // the end of a branch that the flaw outlived
			}
			if !seen[v.String()] {
				seen[v.String()] = true
				all = append(all, v)
			}
			switch {
			case v.Compare(installed) <= 0:
			case o.pro && !s.pro:
				paid = append(paid, v)
			default:
				free = append(free, v)
			}
		}
	}
	slices.SortStableFunc(all, version.Version.Compare)
	for _, v := range all {
		f.FixedVersions = append(f.FixedVersions, v.String())
	}
	if v, ok := lowestSafe(free, about, authority); ok {
		f.State, f.FixedVersion = plimsoll.FixAvailable, v.String()
		return
	}
	if _, ok := lowestSafe(paid, about, authority); ok {
		f.State = plimsoll.FixExtended
		return
	}
	f.State = s.unfixed(about, authority)
}

// installed is the version that the record is compared with.
func (s *trial) installed(o *opinion) version.Version {
	text := o.asked.version
	if o.rpm.epochless {
		text = withoutEpoch(text)
	}
	if text == s.parsed {
		return s.v
	}
	v, _ := version.Parse(s.scope.scheme, text) // it was read before
	return v
}

func lowestSafe(candidates []version.Version, about []opinion, authority int) (version.Version, bool) {
	slices.SortStableFunc(candidates, version.Version.Compare)
	for _, trustOpen := range [...]bool{true, false} {
		for _, v := range candidates {
			if !refuted(v, about, authority, trustOpen) {
				return v, true
			}
		}
	}
	return version.Version{}, false
}

// refuted says whether a deciding record calls v affected.
func refuted(v version.Version, about []opinion, authority int, trustOpen bool) bool {
	for i := range about {
		o := &about[i]
		if o.authority != authority {
			continue
		}
		for j := range o.spans {
			sp := &o.spans[j]
			if sp.open() && !trustOpen {
				continue
			}
			w := v
			if sp.scheme != v.Scheme() {
				var err error
				if w, err = version.Parse(sp.scheme, v.String()); err != nil {
					continue
				}
			}
			if sp.contains(w) {
				return true
			}
		}
		if slices.Contains(o.Versions, v.String()) {
			return true
		}
	}
	return false
}

// unfixed is the state of a finding without a fix: the vendor's word, else what
// the ranges tell.
func (s *trial) unfixed(about []opinion, authority int) plimsoll.FixState {
	state := plimsoll.FixUnknown
	for i := range about {
		o := &about[i]
		if !o.affected || o.authority != authority {
			continue
		}
		switch o.State {
		case plimsoll.FixUnknown, plimsoll.FixAvailable:
		default:
			return o.State
		}
		if o.open { // all later versions are affected too
			state = plimsoll.FixNone
		}
	}
	if s.scope.ended {
		return plimsoll.FixEndOfLife
	}
	return state
}

// kernelWithoutKernel recognises packages that are built from the kernel's
// source and hold no kernel: headers, build tools, documentation. Kernel flaws
// are not in them (want 15, acceptance DEB-11).
func kernelWithoutKernel(p *plimsoll.Package) bool {
	switch p.Type {
	case plimsoll.TypeDeb:
		if p.Source.Name != "linux" && !strings.HasPrefix(p.Source.Name, "linux-") {
			return false
		}
		for _, prefix := range [...]string{"linux-libc-dev", "linux-headers-", "linux-kbuild-", "linux-compiler-", "linux-doc", "linux-source", "linux-support-"} {
			if strings.HasPrefix(p.Name, prefix) {
				return true
			}
		}
		// Ubuntu names the headers of its variants after them: linux-hwe-6.5-headers-6.5.0-14.
		return strings.Contains(p.Name, "-headers-")
	case plimsoll.TypeRPM:
		if !strings.HasPrefix(p.Name, "kernel") {
			return false
		}
		for _, part := range [...]string{"-headers", "-devel", "-doc", "-macros", "-source", "-abi-stablelists", "-abi-whitelists"} {
			if strings.HasSuffix(p.Name, part) || strings.HasSuffix(p.Name, part+"-matched") {
				return true
			}
		}
	case plimsoll.TypeAPK:
		return p.Name == "linux-headers"
	case plimsoll.TypeALPM:
		return p.Name == "linux-api-headers" || p.Name == "linux-headers"
	}
	return false
}

// sortFindings puts first what to act on first: attacks, known exploitation,
// severity, likelihood, what can be fixed; then by package and ID. Findings are
// large: their places are sorted, then each is moved once.
func sortFindings(findings []plimsoll.Finding) []plimsoll.Finding {
	order := make([]int, len(findings))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := &findings[i], &findings[j]
		return cmp.Or(urgency(a, b), place(a, b), cmp.Compare(i, j))
	})
	sorted := make([]plimsoll.Finding, len(findings))
	for i, j := range order {
		sorted[i] = findings[j]
	}
	return sorted
}

func urgency(a, b *plimsoll.Finding) int {
	return cmp.Or(
		-cmp.Compare(btoi(a.Vulnerability.Malicious), btoi(b.Vulnerability.Malicious)),
		-cmp.Compare(btoi(a.Vulnerability.KEV != nil), btoi(b.Vulnerability.KEV != nil)),
		-cmp.Compare(a.Vulnerability.Severity, b.Vulnerability.Severity),
		-cmp.Compare(likelihood(a), likelihood(b)),
		-cmp.Compare(btoi(a.State == plimsoll.FixAvailable), btoi(b.State == plimsoll.FixAvailable)),
	)
}

func place(a, b *plimsoll.Finding) int {
	return cmp.Or(
		strings.Compare(a.Package.Name, b.Package.Name),
		strings.Compare(a.Package.Version, b.Package.Version),
		strings.Compare(a.Package.Root, b.Package.Root),
		strings.Compare(a.Package.Path, b.Package.Path),
		strings.Compare(a.Vulnerability.ID, b.Vulnerability.ID),
		strings.Compare(string(a.Package.Type), string(b.Package.Type)),
		strings.Compare(a.Package.Arch, b.Package.Arch),
	)
}

func likelihood(f *plimsoll.Finding) float64 {
	if f.Vulnerability.EPSS == nil {
		return 0
	}
	return f.Vulnerability.EPSS.Score
}
