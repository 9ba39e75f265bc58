package plimsoll

import "time"

// VEXStatus is what a VEX statement says about a product, in the words of CISA's
// "Minimum Requirements for Vulnerability Exploitability eXchange (VEX)".
type VEXStatus string

// The statuses of a VEX statement.
const (
	VEXNotAffected        VEXStatus = "not_affected"
	VEXAffected           VEXStatus = "affected"
	VEXFixed              VEXStatus = "fixed"
	VEXUnderInvestigation VEXStatus = "under_investigation"
)

// Handles says whether a finding with this status needs nothing done. The other
// statuses only add to what is known.
func (s VEXStatus) Handles() bool { return s == VEXNotAffected || s == VEXFixed }

// VEXStatement is one statement of a VEX document, whatever its format: a status
// of some products with regard to one vulnerability. The JSON form is our own,
// for storage.
type VEXStatement struct {
	Document string    `json:"document,omitempty"` // the ID that the document gives itself
	Number   int       `json:"number,omitempty"`   // of the statement in the document, from 1
	Author   string    `json:"author,omitempty"`   // who says so
	Time     time.Time `json:"time,omitzero"`      // when it was said; zero when unknown
	// Vulnerabilities are the IDs that it gives the flaw, the first is its main one.
	Vulnerabilities []string  `json:"vulnerabilities"`
	Status          VEXStatus `json:"status"`
	// Justification is the machine-readable label in the words of the document's
	// format; Impact and Action are its prose: why not, and what to do.
	Justification string       `json:"justification,omitempty"`
	Impact        string       `json:"impact,omitempty"`
	Action        string       `json:"action,omitempty"`
	Products      []VEXProduct `json:"products,omitempty"`
}

// VEXProduct is what a statement is about: an image, or a package.
type VEXProduct struct {
	// IDs name it: purls, image references, "sha256:…" digests, CPEs. One that
	// fits is enough.
	IDs []string `json:"ids,omitempty"`
	// Versions narrow it when its IDs have none.
	Versions []string `json:"versions,omitempty"`
	// Within is where it has to be, all of it: the image that holds a package,
	// the program that a module is built into, the platform.
	Within []VEXProduct `json:"within,omitempty"`
}

// VEXExplanation says what became of one statement in one image.
type VEXExplanation struct {
	Statement VEXStatement
	// Applied are the findings that it is about, by their index in the result;
	// Decided says for how many of them it is the statement that decides.
	Applied []int
	Decided int
	// Nearest is the index of the finding that came nearest, -1 for none. Why says
	// what kept the statement from applying or, if it applies, what it changes.
	Nearest int
	Why     string
}
