package api

import (
	"time"

	"plimsoll"
)

// VEXDocument is a document of VEX statements that somebody handed over.
type VEXDocument struct {
	ID         int64      `json:"id"`
	File       string     `json:"file" doc:"as whoever added it called it"`
	Format     string     `json:"format" enum:"openvex,csaf,cyclonedx"`
	Document   string     `json:"document,omitempty" doc:"the ID that it gives itself; a newer one of the same ID and author replaces it"`
	Version    string     `json:"version,omitempty"`
	Author     string     `json:"author,omitempty" doc:"who made it"`
	Time       *time.Time `json:"time,omitempty" doc:"of its last change"`
	Labels     []string   `json:"labels,omitempty" doc:"of the hosts that it was added for; none: all"`
	Statements int64      `json:"statements"`
	Decisions  int64      `json:"decisions" doc:"statements that handle findings"`
	Hits       int64      `json:"hits" doc:"findings that they handle now"`
	AddedBy    string     `json:"addedBy"`
	Added      time.Time  `json:"added"`
}

// VEXStatement is what a VEX document says about something.
type VEXStatement struct {
	Document      string             `json:"document,omitempty" doc:"the ID that the document gives itself"`
	Author        string             `json:"author,omitempty"`
	Time          *time.Time         `json:"time,omitempty"`
	Status        plimsoll.VEXStatus `json:"status" enum:"not_affected,affected,fixed,under_investigation"`
	Justification string             `json:"justification,omitempty" doc:"in the words of the document's format"`
	Impact        string             `json:"impact,omitempty"`
	Action        string             `json:"action,omitempty"`
	Products      []string           `json:"products,omitempty" doc:"what it names, with decisions; at most 20"`
	DecisionID    int64              `json:"decisionID,omitempty" doc:"that follows it"`
}
