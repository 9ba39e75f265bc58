package plimsoll

import "context"

// Verdict is what the advisories say about one package by itself: it depends on
// nothing but the package, its system and the advisories.
type Verdict struct {
	// Group and Ecosystem say who was asked, as in Coverage; without Ecosystem
	// nobody was: inventory only, for the reason Why.
	Group     string
	Ecosystem string
	Why       string
	Ended     bool // the system's end of life lies before the advisories' date
	Assumed   bool
	Findings  []Finding
	Problems  []Problem
}

// Judge answers for packages by one generation of advisories.
type Judge interface {
	// Generation describes the advisories.
	Generation() Generation
	// Judge returns one verdict for each package. system is the operating system
	// that they belong to, the zero OS for none. A package with an Owner is left
	// to the distribution's advisories.
	Judge(ctx context.Context, system OS, packages []Package) ([]Verdict, error)
	// Why says in a sentence why a reason that once matched p no longer does.
	Why(ctx context.Context, system OS, p Package, was []Reason) string
}
