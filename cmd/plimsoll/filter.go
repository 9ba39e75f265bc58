package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"plimsoll"
)

// filter narrows what a scan shows. It never changes the plan, the gate or what
// was found; what it hides is counted.
type filter struct {
	severities     []string
	minSeverity    string
	onlyFixed      bool
	pkgTypes       []string
	showSuppressed bool
}

func (f *filter) flags(flags *pflag.FlagSet) {
	flags.StringSliceVarP(&f.severities, "severity", "s", nil, "show these severities only, for example HIGH,CRITICAL")
	flags.StringVar(&f.minSeverity, "min-severity", "", "show this severity and worse")
	flags.BoolVar(&f.onlyFixed, "only-fixed", false, "show what has a fix (alias --ignore-unfixed)")
	flags.BoolVar(&f.onlyFixed, "ignore-unfixed", false, "")
	flags.StringSliceVar(&f.pkgTypes, "pkg-types", nil, "show these classes only: os, library")
	flags.BoolVar(&f.showSuppressed, "show-suppressed", false, "show findings that do not apply too: kernel headers, packages the distribution speaks for")
	hideFlags(flags, "ignore-unfixed")
}

func hideFlags(flags *pflag.FlagSet, names ...string) {
	for _, name := range names {
		if f := flags.Lookup(name); f != nil {
			f.Hidden = true
		}
	}
}

func (f *filter) check() error {
	words := f.severities
	if f.minSeverity != "" {
		words = append(slices.Clone(words), f.minSeverity)
	}
	for _, word := range words {
		if _, ok := plimsoll.ParseSeverity(word); !ok || word == "" {
			return usagef("unknown severity %q; use none, low, unknown, medium, high or critical", word)
		}
	}
	for _, t := range f.pkgTypes {
		if t != "os" && t != "library" {
			return usagef("--pkg-types: %q is neither os nor library", t)
		}
	}
	return nil
}

// apply removes what the filter hides from results and counts it, by reason,
// for each result and for all.
func (f *filter) apply(results []plimsoll.Result) []plimsoll.Hidden {
	total := make(map[string]int)
	for i := range results {
		r := &results[i]
		counts := make(map[string]int)
		r.Findings = slices.DeleteFunc(r.Findings, func(finding plimsoll.Finding) bool {
			why := f.hides(&finding)
			if why != "" {
				counts[why]++
				total[why]++
			}
			return why != ""
		})
		r.Hidden = hiddenBy(counts)
	}
	return hiddenBy(total)
}

func hiddenBy(counts map[string]int) []plimsoll.Hidden {
	var hidden []plimsoll.Hidden
	for _, why := range slices.Sorted(maps.Keys(counts)) {
		hidden = append(hidden, plimsoll.Hidden{Filter: why, Count: counts[why]})
	}
	return hidden
}

// hides says why a finding is not shown; "" means that it is.
func (f *filter) hides(finding *plimsoll.Finding) string {
	severity := finding.Vulnerability.Severity
	if !f.showSuppressed {
		switch finding.Status {
		case plimsoll.StatusNotPresent:
			return "component not present (kernel headers)"
		case plimsoll.StatusOwned:
			return "owned by a system package"
		}
	}
	if len(f.severities) > 0 && !slices.ContainsFunc(f.severities, func(word string) bool {
		wanted, _ := plimsoll.ParseSeverity(word)
		return wanted == severity
	}) {
		return "severity"
	}
	if f.minSeverity != "" {
		if least, _ := plimsoll.ParseSeverity(f.minSeverity); severity < least {
			return "severity"
		}
	}
	if f.onlyFixed && finding.State != plimsoll.FixAvailable {
		return "without a fix"
	}
	if len(f.pkgTypes) > 0 {
		class := "library"
		if finding.Class == plimsoll.ClassSystem {
			class = "os"
		}
		if !slices.Contains(f.pkgTypes, class) {
			return "package type"
		}
	}
	return ""
}

// gate is a condition of --fail-on: any of its alternatives, each all of its
// terms.
type gate [][]condition

type condition struct {
	word string
	fits func(*plimsoll.Finding) bool
}

func parseGate(expression string) (gate, error) {
	var g gate
	if expression == "" {
		return nil, nil
	}
	for alternative := range strings.SplitSeq(expression, ",") {
		var terms []condition
		for word := range strings.SplitSeq(alternative, "+") {
			word = strings.TrimSpace(word)
			t := condition{word: word}
			switch word {
			case "fixable":
				t.fits = func(f *plimsoll.Finding) bool { return f.State == plimsoll.FixAvailable }
			case "kev":
				t.fits = func(f *plimsoll.Finding) bool { return f.Vulnerability.KEV != nil }
			case "confident":
				t.fits = func(f *plimsoll.Finding) bool { return f.Confidence() != plimsoll.ConfidenceLow }
			case "malicious":
				t.fits = func(f *plimsoll.Finding) bool { return f.Vulnerability.Malicious }
			default:
				least, ok := plimsoll.ParseSeverity(word)
				if !ok || word == "" {
					return nil, usagef("--fail-on: unknown word %q; use none, low, medium, high, critical, fixable, kev, malicious or confident", word)
				}
				t.fits = func(f *plimsoll.Finding) bool { return f.Vulnerability.Severity >= least }
			}
			terms = append(terms, t)
		}
		g = append(g, terms)
	}
	return g, nil
}

// met names the first alternative that a finding fits; "" when none does.
func (g gate) met(results []plimsoll.Result) string {
	for _, terms := range g {
		count := 0
		for _, r := range results {
			for i := range r.Findings {
				finding := &r.Findings[i]
				if finding.Status == plimsoll.StatusAffected && !slices.ContainsFunc(terms, func(t condition) bool { return !t.fits(finding) }) {
					count++
				}
			}
		}
		if count > 0 {
			words := make([]string, len(terms))
			for i, t := range terms {
				words[i] = t.word
			}
			return fmt.Sprintf("findings that are %s: %d", strings.Join(words, " and "), count)
		}
	}
	return ""
}
