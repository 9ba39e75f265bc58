package api

import "plimsoll"

// Plan is what to do about one image: one set of upgrades, not one line a flaw.
type Plan struct {
	Base      PlanPart        `json:"base" doc:"for the owner of the base image"`
	Own       PlanPart        `json:"own" doc:"for whoever builds this image"`
	Remaining []PlanRemaining `json:"remaining" doc:"findings that no upgrade clears"`
}

// PlanPart is the share of one party.
type PlanPart struct {
	Steps    []PlanStep `json:"steps"`
	Clears   int        `json:"clears" doc:"findings"`
	Commands []string   `json:"commands"`
}

// PlanStep upgrades one package.
type PlanStep struct {
	Package   string               `json:"package"`
	Packages  []string             `json:"packages" doc:"the installed packages it stands for"`
	Type      plimsoll.PackageType `json:"type"`
	Path      string               `json:"path,omitempty"`
	From      string               `json:"from"`
	To        string               `json:"to"`
	Layer     plimsoll.Digest      `json:"layer,omitempty"`
	CreatedBy string               `json:"createdBy,omitempty"`
	Clears    []string             `json:"clears" doc:"vulnerability IDs"`
	Worst     string               `json:"worst" enum:"none,low,unknown,medium,high,critical"`
	Breaking  bool                 `json:"breaking,omitempty" doc:"crosses a major version"`
}

// PlanRemaining counts findings that stay.
type PlanRemaining struct {
	State  plimsoll.FixState `json:"state"`
	Count  int               `json:"count"`
	Worst  string            `json:"worst" enum:"none,low,unknown,medium,high,critical"`
	Reason string            `json:"reason,omitempty"`
}

// PlanOf puts a plan on the wire.
func PlanOf(p plimsoll.Plan) Plan {
	plan := Plan{Base: planPart(p.Base), Own: planPart(p.Own), Remaining: []PlanRemaining{}}
	for _, r := range p.Remaining {
		plan.Remaining = append(plan.Remaining, PlanRemaining{r.State, r.Count, r.Worst.String(), r.Reason})
	}
	return plan
}

func planPart(p plimsoll.Part) PlanPart {
	part := PlanPart{Steps: []PlanStep{}, Clears: p.Clears, Commands: append([]string{}, p.Commands...)}
	for _, s := range p.Steps {
		part.Steps = append(part.Steps, PlanStep{
			Package: s.Package, Packages: s.Packages, Type: s.Type, Path: s.Path, From: s.From, To: s.To,
			Layer: s.Layer, CreatedBy: s.CreatedBy, Clears: s.Clears, Worst: s.Worst.String(), Breaking: s.Breaking,
		})
	}
	return part
}
