package match

import (
	"context"
	"slices"
	"strings"

	"plimsoll"
)

// Result judges what was read of an image: findings, coverage, problems and plan.
// r.Image and r.Inventory are given. Errors are those of Evaluate; r then stays
// as it was.
func Result(ctx context.Context, adv Advisories, r *plimsoll.Result, o Options) error {
	e, err := Evaluate(ctx, adv, r.Inventory, o)
	if err != nil {
		return err
	}
	r.Matched = true
	if o.Distro != "" {
		os, err := plimsoll.ParseOS(o.Distro, "")
		if err != nil {
			return err
		}
		d, _ := os.Distribution()
		r.JudgedAs = strings.TrimSpace(d.Name + " " + d.Release)
	}
	r.Findings, r.Coverage = e.Findings, e.Coverage
	r.Problems = slices.Concat(r.Inventory.Problems, e.Problems)
	r.Plan = Plan(r.Image, r.Inventory, e.Findings)
	return nil
}
