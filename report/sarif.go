package report

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"plimsoll"
)

// The part of SARIF 2.1.0 (OASIS) that a scan needs. The types are our own
// because those of the known library write every empty list of every result.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool              sarifTool         `json:"tool"`
		AutomationDetails sarifID           `json:"automationDetails"`
		Invocations       []sarifInvocation `json:"invocations"`
		Results           []sarifResult     `json:"results"`
		Properties        map[string]any    `json:"properties"`
	}
	sarifID struct {
		ID string `json:"id"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string         `json:"id"`
		ShortDescription sarifText      `json:"shortDescription"`
		FullDescription  *sarifText     `json:"fullDescription,omitempty"`
		HelpURI          string         `json:"helpUri,omitempty"`
		Help             sarifText      `json:"help"`
		Properties       map[string]any `json:"properties"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifInvocation struct {
		ExecutionSuccessful bool                `json:"executionSuccessful"`
		Notifications       []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level      string         `json:"level"`
		Message    sarifText      `json:"message"`
		Descriptor sarifID        `json:"descriptor"`
		Properties map[string]any `json:"properties,omitempty"`
	}
	sarifResult struct {
		RuleID              string            `json:"ruleId"`
		RuleIndex           int               `json:"ruleIndex"`
		Kind                string            `json:"kind"`
		Level               string            `json:"level"`
		Message             sarifText         `json:"message"`
		Locations           []sarifLocation   `json:"locations"`
		PartialFingerprints map[string]string `json:"partialFingerprints"`
		Suppressions        []sarifSuppressed `json:"suppressions,omitempty"`
		Properties          map[string]any    `json:"properties"`
	}
	sarifSuppressed struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification"`
	}
	sarifLocation struct {
		PhysicalLocation sarifPhysical  `json:"physicalLocation"`
		LogicalLocations []sarifLogical `json:"logicalLocations"`
	}
	sarifPhysical struct {
		ArtifactLocation struct {
			URI string `json:"uri"`
		} `json:"artifactLocation"`
		Region struct {
			StartLine int `json:"startLine"`
		} `json:"region"`
	}
	sarifLogical struct {
		Name               string `json:"name"`
		FullyQualifiedName string `json:"fullyQualifiedName"`
		Kind               string `json:"kind"`
	}
)

// writeSARIF writes one run for each image: viewers keep runs apart by their
// automation id.
func writeSARIF(w io.Writer, r plimsoll.Report) error {
	tool, version, _ := strings.Cut(raw(r.Tool, maxName), " ")
	log := sarifLog{Schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{}}
	for i := range r.Results {
		result := &r.Results[i]
		run := sarifRun{
			Tool:              sarifTool{sarifDriver{Name: tool, Version: version, Rules: []sarifRule{}}},
			AutomationDetails: sarifID{"plimsoll/" + raw(cmp.Or(result.Image.Name(), result.Image.Store), maxPath)},
			Invocations:       []sarifInvocation{sarifInvoked(result)},
			Results:           []sarifResult{},
			Properties:        map[string]any{"imageId": string(result.Image.ID), "scan": string(result.Status), "matched": result.Matched},
		}
		if g := r.Generation; g != nil {
			run.Properties["advisoriesDate"] = date(g.Built)
			run.Properties["advisoriesSample"] = g.Sample
		}
		rules := make(map[string]int)
		for j := range result.Findings {
			f := &result.Findings[j]
			index, ok := rules[f.Vulnerability.ID]
			if !ok {
				index = len(run.Tool.Driver.Rules)
				rules[f.Vulnerability.ID] = index
				run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, newSarifRule(&f.Vulnerability))
			}
			run.Results = append(run.Results, newSarifResult(&result.Image, f, index))
		}
		log.Runs = append(log.Runs, run)
	}
	return writeJSON(w, log)
}

func sarifInvoked(r *plimsoll.Result) sarifInvocation {
	inv := sarifInvocation{ExecutionSuccessful: r.Status != plimsoll.ScanFailed}
	note := func(p plimsoll.Problem, level string) {
		text := sentence(p.Code)
		if e := example(p); e != "" {
			text += " " + e
		}
		inv.Notifications = append(inv.Notifications, sarifNotification{Level: level, Message: sarifText{text}, Descriptor: sarifID{raw(string(p.Code), maxName)},
			Properties: map[string]any{"count": times(p)}})
	}
	if r.Problem != nil {
		note(*r.Problem, "error")
	}
	for _, p := range r.Problems {
		note(p, map[bool]string{true: "warning", false: "note"}[p.Incomplete()])
	}
	return inv
}

func newSarifRule(v *plimsoll.Vulnerability) sarifRule {
	rule := sarifRule{
		ID:               raw(v.ID, maxName),
		ShortDescription: sarifText{cmp.Or(title(cmp.Or(v.Summary, v.Details)), raw(v.ID, maxName), "vulnerability")},
		Properties: map[string]any{
			"tags":              []string{"security", "vulnerability", v.Severity.String()},
			"security-severity": securitySeverity(v),
			"severity":          v.Severity.String(),
			"aliases":           rawAll(v.Aliases, maxName),
		},
	}
	if v.Details != "" {
		rule.FullDescription = &sarifText{raw(v.Details, maxProse)}
	}
	help := []string{"Severity: " + v.Severity.String() + "."}
	if v.KEV != nil {
		help = append(help, exploitedWord(v.KEV)+".")
	}
	if v.EPSS != nil {
		help = append(help, "EPSS: "+epssWord(v.EPSS)+".")
	}
	for _, ref := range v.References {
		if link := webLink(ref); link != "" {
			rule.HelpURI = cmp.Or(rule.HelpURI, link)
			help = append(help, link)
		}
	}
	rule.Help = sarifText{strings.Join(help, "\n")}
	return rule
}

func newSarifResult(img *plimsoll.Image, f *plimsoll.Finding, index int) sarifResult {
	v, p := &f.Vulnerability, &f.Package
	message := fmt.Sprintf("%s in %s %s: %s.", name(v.ID), name(p.Name), name(p.Version), fixSentence(f))
	r := sarifResult{RuleID: raw(v.ID, maxName), RuleIndex: index, Kind: "fail", Level: sarifLevel(v.Severity), Message: sarifText{message}}
	if f.Status == plimsoll.StatusHandled && len(f.VEX) > 0 {
		r.Suppressions = []sarifSuppressed{{"external", "accepted", vexWord(&f.VEX[0])}}
	}
	if f.Status != plimsoll.StatusAffected {
		r.Kind, r.Level = "informational", "none"
	}
	location := sarifLocation{LogicalLocations: []sarifLogical{{
		Name: raw(p.Name, maxName), FullyQualifiedName: raw(imageName(img)+": "+p.Name+"@"+p.Version, maxPath), Kind: "package",
	}}}
	location.PhysicalLocation.ArtifactLocation.URI = sarifURI(cmp.Or(p.Path, p.Name))
	location.PhysicalLocation.Region.StartLine = 1 // viewers want a line; the finding is about the whole file
	r.Locations = []sarifLocation{location}
	// Neither versions nor tags: the finding is the same until it is gone.
	h := sha256.Sum256([]byte(strings.Join([]string{repository(img), string(f.Class), string(p.Type), p.Root, p.Name, p.Path, v.ID}, "\x00")))
	r.PartialFingerprints = map[string]string{"plimsoll/v1": hex.EncodeToString(h[:])}
	r.Properties = map[string]any{
		"severity": v.Severity.String(), "status": string(f.Status), "state": state(f.State), "purl": raw(p.PURL, maxPath), "layer": string(p.Layer), "kev": v.KEV != nil,
	}
	if f.FixedVersion != "" {
		r.Properties["fixedVersion"] = raw(f.FixedVersion, maxName)
	}
	if v.EPSS != nil {
		r.Properties["epss"] = number(v.EPSS.Score)
	}
	return r
}

// sarifURI returns a path within the image as a relative reference.
func sarifURI(p string) string {
	segments := strings.Split(strings.TrimLeft(cut(p, maxPath), "/"), "/")
	for i := range segments {
		segments[i] = url.PathEscape(segments[i])
	}
	return strings.ReplaceAll(strings.Join(segments, "/"), ":", "%3A") // no scheme
}

// repository is the name of an image without tag and digest.
func repository(img *plimsoll.Image) string {
	if len(img.Names) == 0 {
		return ""
	}
	n, _, _ := strings.Cut(img.Names[0], "@")
	if i := strings.LastIndexByte(n, ':'); i > strings.LastIndexByte(n, '/') {
		n = n[:i]
	}
	return n
}

func sarifLevel(s plimsoll.Severity) string {
	switch s {
	case plimsoll.SeverityCritical, plimsoll.SeverityHigh:
		return "error"
	case plimsoll.SeverityLow, plimsoll.SeverityNone:
		return "note"
	}
	return "warning"
}

// securitySeverity is the score that viewers rank by. A score of another band
// than the severity would contradict it, so the middle of the band stands in.
func securitySeverity(v *plimsoll.Vulnerability) string {
	if score := bestScore(v); score > 0 && plimsoll.SeverityOfScore(score) == v.Severity {
		return strconv.FormatFloat(score, 'f', 1, 64)
	}
	switch v.Severity {
	case plimsoll.SeverityCritical:
		return "9.5"
	case plimsoll.SeverityHigh:
		return "8.0"
	case plimsoll.SeverityLow:
		return "2.0"
	case plimsoll.SeverityNone:
		return "0.0"
	}
	return "5.5"
}
