package main

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"plimsoll"
)

// distros say as which systems images are judged, whatever they say they are.
type distros []distro

type distro struct {
	pattern string // of names of images; empty for all
	system  string // "debian:12"
}

func (d *distros) flag(f *pflag.FlagSet) {
	f.Var(d, "distro", "judge the system as `FAMILY:VERSION` instead of what it says it is; with PATTERN=FAMILY:VERSION that of images with such a name only (* is any text); repeatable, the first that fits counts")
	f.Lookup("distro").DefValue = ""
}

// of returns the system that is named for an image; "" for none. A pattern counts
// before what is said of all images.
func (d distros) of(img plimsoll.Image) string {
	all := ""
	for _, one := range d {
		fits := func(name string) bool { return plimsoll.Glob(one.pattern, name) }
		switch {
		case one.pattern == "" && all == "":
			all = one.system
		case one.pattern != "" && slices.ContainsFunc(img.Names, fits):
			return one.system
		}
	}
	return all
}

// idle lists the patterns that no image's name fits.
func (d distros) idle(results []plimsoll.Result) []string {
	var list []string
	for _, one := range d {
		fits := func(name string) bool { return plimsoll.Glob(one.pattern, name) }
		if one.pattern != "" && !slices.ContainsFunc(results, func(r plimsoll.Result) bool { return slices.ContainsFunc(r.Image.Names, fits) }) {
			list = append(list, one.pattern)
		}
	}
	return list
}

func (d *distros) Set(s string) error {
	one := distro{system: s}
	if at := strings.LastIndexByte(s, '='); at >= 0 {
		if one.pattern, one.system = s[:at], s[at+1:]; one.pattern == "" {
			return usagef("%q has no pattern before =", s)
		}
	}
	if _, err := plimsoll.ParseOS(one.system, ""); err != nil {
		return usagef("%q: %w (FAMILY:VERSION, for example debian:12)", one.system, err)
	}
	*d = append(*d, one)
	return nil
}

func (d *distros) String() string {
	var list []string
	for _, one := range *d {
		if one.pattern != "" {
			one.system = one.pattern + "=" + one.system
		}
		list = append(list, one.system)
	}
	return "[" + strings.Join(list, ",") + "]"
}

// Type ends like those of other flags that may be repeated.
func (d *distros) Type() string { return "distroArray" }
