package server

import (
	"strings"
	"unicode/utf8"

	"plimsoll"
	"plimsoll/api"
)

// Limits of texts from agents, in bytes. What an image says of itself may be
// long; it is cut, not refused, by whoever reads the image.
const (
	maxName    = 1024
	maxText    = 64 << 10
	maxList    = 10_000
	maxHistory = 2000
)

func refuse(what, why string) error {
	return plimsoll.Errorf(plimsoll.CodeInvalid, "check what the agent sent", "%s %s", what, why)
}

// checkText refuses what no database and no screen should meet.
func checkText(what, text string, most int) error {
	switch {
	case len(text) > most:
		return refuse(what, "is too long")
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return refuse(what, "is no text")
	}
	return nil
}

func checkTexts(what string, most int, texts ...string) error {
	for _, t := range texts {
		if err := checkText(what, t, most); err != nil {
			return err
		}
	}
	return nil
}

func checkDigests(what string, list ...plimsoll.Digest) error {
	for _, d := range list {
		if _, err := plimsoll.ParseDigest(string(d)); err != nil {
			return refuse(what, "is no digest")
		}
	}
	return nil
}

func checkFacts(f *api.HostFacts) error {
	if f.Name == "" {
		return refuse("host.name", "is missing")
	}
	if len(f.Addresses) > 64 {
		return refuse("host.addresses", "are too many")
	}
	for _, err := range []error{
		checkText("host.name", f.Name, 255), checkTexts("host", 200, f.OS, f.Kernel, f.Arch, f.AgentVersion),
		checkTexts("host.addresses", 64, f.Addresses...), checkText("host.analyzers", f.Analyzers, 8192),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func checkProblems(what string, list []api.Problem) error {
	if len(list) > maxList {
		return refuse(what, "are too many")
	}
	for i := range list {
		p := &list[i]
		if err := checkTexts(what, maxText, string(p.Code), p.Path, p.Analyzer, p.Detail); err != nil {
			return err
		}
		if p.Layer != "" {
			if err := checkDigests(what, p.Layer); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkSync accepts what can be true of a host.
func checkSync(s *api.Sync) error {
	if err := checkFacts(&s.Host); err != nil {
		return err
	}
	if len(s.Known) > api.MaxSyncImages || len(s.Images) > api.MaxSyncImages || len(s.Gone) > api.MaxSyncImages || len(s.Pulled) > api.MaxSyncImages {
		return refuse("images", "are too many")
	}
	if len(s.Stores) > maxHistory || len(s.Requests) > maxList {
		return refuse("stores or requests", "are too many")
	}
	for i := range s.Stores {
		if err := checkText("stores", s.Stores[i].Name, maxName); err != nil {
			return err
		}
	}
	for i := range s.Known {
		if err := checkDigests("known", s.Known[i].ID); err != nil {
			return err
		}
		if err := checkText("known", s.Known[i].Hash, 128); err != nil {
			return err
		}
	}
	if err := checkDigests("gone", s.Gone...); err != nil {
		return err
	}
	if err := checkDigests("pulled", s.Pulled...); err != nil {
		return err
	}
	if err := checkProblems("problems", s.Problems); err != nil {
		return err
	}
	containers := 0
	for i := range s.Images {
		if containers += len(s.Images[i].Containers); containers > api.MaxContainers {
			return refuse("containers", "are too many")
		}
		if err := checkImage(&s.Images[i]); err != nil {
			return err
		}
	}
	return nil
}

func checkImage(m *api.HostImage) error {
	if len(m.Layers) > api.MaxImageLayers {
		return refuse("layers", "are too many")
	}
	if len(m.History) > maxHistory || len(m.Manifests) > maxList || len(m.Places) > maxHistory || m.Size < 0 {
		return refuse("an image", "has too much of something")
	}
	if err := checkDigests("images", append(append([]plimsoll.Digest{m.ID}, m.Manifests...), layersOf(m)...)...); err != nil {
		return err
	}
	for _, err := range []error{
		checkText("hash", m.Hash, 128), checkTexts("platform", 100, m.Platform.OS, m.Platform.Architecture, m.Platform.Variant),
		checkTexts("config", maxText, m.Config.User, m.Config.WorkingDir), checkTexts("config", maxText, m.Config.Entrypoint...), checkTexts("config", maxText, m.Config.Cmd...),
	} {
		if err != nil {
			return err
		}
	}
	for key, value := range m.Config.Labels {
		if err := checkTexts("labels", maxText, key, value); err != nil {
			return err
		}
	}
	for i := range m.History {
		if err := checkTexts("history", maxText, m.History[i].CreatedBy, m.History[i].Comment); err != nil {
			return err
		}
	}
	for i := range m.Layers {
		if err := checkText("layers", m.Layers[i].CreatedBy, maxText); err != nil {
			return err
		}
	}
	names := 0
	for i := range m.Places {
		p := &m.Places[i]
		if names += len(p.Names); names > api.MaxNames {
			return refuse("names", "are too many")
		}
		if err := checkTexts("places", maxName, append([]string{string(p.Engine), p.Store}, p.Names...)...); err != nil {
			return err
		}
		if p.Problem != nil {
			if err := checkProblems("places", []api.Problem{*p.Problem}); err != nil {
				return err
			}
		}
	}
	for i := range m.Containers {
		c := &m.Containers[i]
		if c.ID == "" {
			return refuse("a container", "has no ID")
		}
		if err := checkTexts("containers", maxName, c.ID, c.Name, c.State, c.Pod); err != nil {
			return err
		}
	}
	return nil
}

func layersOf(m *api.HostImage) []plimsoll.Digest {
	list := make([]plimsoll.Digest, len(m.Layers))
	for i := range m.Layers {
		list[i] = m.Layers[i].DiffID
	}
	return list
}

// checkResult accepts what can be the result of a scan. Whether it fits the
// image and the lease is the store's to say.
func checkResult(r *api.ScanResult) error {
	for _, err := range []error{
		checkText("report", r.Report, 128), checkText("lease", r.Lease, 128), checkDigests("image", r.Image),
	} {
		if err != nil {
			return err
		}
	}
	if r.Report == "" || r.Lease == "" {
		return refuse("report or lease", "is missing")
	}
	if r.Problem != nil {
		if err := checkProblems("problem", []api.Problem{*r.Problem}); err != nil {
			return err
		}
	}
	switch r.Status {
	case plimsoll.ScanFailed:
		if r.Inventory != nil {
			return refuse("a failed scan", "has no inventory")
		}
		return nil
	case plimsoll.ScanComplete, plimsoll.ScanPartial:
	default:
		return refuse("status", "is none")
	}
	if r.Inventory == nil {
		return refuse("inventory", "is missing")
	}
	if len(r.Inventory.Packages) > api.MaxPackages || len(r.Inventory.Problems) > api.MaxPackages {
		return refuse("packages or problems", "are too many")
	}
	for i := range r.Inventory.Packages {
		p := &r.Inventory.Packages[i]
		if p.Name == "" {
			return refuse("a package", "has no name")
		}
		if err := checkTexts("packages", maxText, string(p.Type), p.Name, p.Version, p.Path, p.Arch, p.Owner); err != nil {
			return err
		}
	}
	return nil
}
