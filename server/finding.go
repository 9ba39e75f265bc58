package server

import (
	"context"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/store"
)

func (s *Server) findingRoutes() {
	route(s, viewer, op("GET", "/vulnerabilities", "list-vulnerabilities", "Findings", "List vulnerabilities of the fleet"), func(ctx context.Context, c *caller, in *vulnerabilitiesInput) (api.Page[api.Vulnerability], error) {
		return s.Store.Vulnerabilities(ctx, c.scope, in.VulnerabilityFilter, in.list(in.Sort))
	})
	route(s, viewer, op("GET", "/vulnerabilities/{name}", "get-vulnerability", "Findings", "One vulnerability, by any of its IDs"), func(ctx context.Context, c *caller, in *vulnerabilityInput) (api.VulnerabilityDetail, error) {
		return s.Store.Vulnerability(ctx, c.scope, in.Name, plimsoll.Class(in.Class))
	})
	route(s, viewer, op("GET", "/findings", "list-findings", "Findings", "List findings"), func(ctx context.Context, c *caller, in *findingsInput) (api.Page[api.Finding], error) {
		return s.Store.Findings(ctx, c.scope, in.FindingFilter, in.list(in.Sort))
	})
	route(s, viewer, op("GET", "/findings/{finding}", "get-finding", "Findings", "One finding, with its reasons"), func(ctx context.Context, c *caller, in *findingInput) (api.Finding, error) {
		return s.Store.Finding(ctx, c.scope, in.ID)
	})
	route(s, viewer, op("GET", "/findings/{finding}/history", "get-finding-history", "Findings", "Decisions about a finding"), func(ctx context.Context, c *caller, in *findingInput) (items[api.DecisionEvent], error) {
		return itemsOf(s.Store.FindingHistory(ctx, c.scope, in.ID))
	})

	route(s, operator, op("POST", "/decisions", "decide", "Decisions", "Ignore, mark as fixed or whitelist"), func(ctx context.Context, c *caller, in *struct{ Body api.DecisionRequest }) (items[api.Decision], error) {
		return itemsOf(s.Store.Decide(ctx, c.scope, c.name, in.Body))
	})
	preview := op("POST", "/decisions/preview", "preview-decisions", "Decisions", "What a decision would change")
	preview.Metadata = map[string]any{"quiet": true} // changes nothing
	route(s, operator, preview, func(ctx context.Context, c *caller, in *struct{ Body api.DecisionRequest }) (api.Preview, error) {
		return s.Store.Preview(ctx, c.scope, in.Body)
	})
	route(s, viewer, op("GET", "/decisions", "list-decisions", "Decisions", "List decisions"), func(ctx context.Context, c *caller, in *decisionsInput) (api.Page[api.Decision], error) {
		f := store.DecisionFilter{Query: in.Query, Kind: in.Kind, State: in.State, Idle: in.Idle, Document: in.Document}
		return s.Store.Decisions(ctx, c.scope, f, in.list(""))
	})
	route(s, viewer, op("GET", "/decisions/{id}", "get-decision", "Decisions", "One decision"), func(ctx context.Context, c *caller, in *ByID) (api.Decision, error) {
		return s.Store.Decision(ctx, c.scope, in.ID)
	})
	route(s, operator, op("PUT", "/decisions/{id}", "change-decision", "Decisions", "Change a decision"), func(ctx context.Context, c *caller, in *changeDecisionInput) (api.Decision, error) {
		return s.Store.ChangeDecision(ctx, c.scope, c.name, in.ID, in.Body)
	})
	command(s, operator, op("DELETE", "/decisions/{id}", "revoke-decision", "Decisions", "End a decision"), func(ctx context.Context, c *caller, in *revokeDecisionInput) error {
		return s.Store.RevokeDecision(ctx, c.scope, c.name, in.ID, in.Remark)
	})
	route(s, viewer, op("GET", "/decisions/{id}/events", "list-decision-events", "Decisions", "History of a decision"), func(ctx context.Context, c *caller, in *pageOfOne) (api.Page[api.DecisionEvent], error) {
		if _, err := s.Store.Decision(ctx, c.scope, in.ID); err != nil {
			return api.Page[api.DecisionEvent]{}, err
		}
		return s.Store.DecisionEvents(ctx, c.scope, store.DecisionEventFilter{Decision: in.ID}, in.list(""))
	})
	route(s, viewer, op("GET", "/decision-events", "list-all-decision-events", "Decisions", "History of all decisions"), func(ctx context.Context, c *caller, in *decisionEventsInput) (api.Page[api.DecisionEvent], error) {
		f := store.DecisionEventFilter{Vuln: in.Vuln, User: in.User, Action: in.Action}
		return s.Store.DecisionEvents(ctx, c.scope, f, in.list(""))
	})
}

type vulnerabilitiesInput struct {
	api.VulnerabilityFilter
	Sort string `query:"sort" enum:"priority,name,score,epss,images,findings,firstSeen,published" doc:"sort key; the first is the default"`
	Paging
}

type vulnerabilityInput struct {
	Name  string `path:"name" maxLength:"100" doc:"any ID of the vulnerability"`
	Class string `query:"class" enum:"system,application" doc:"packages of the system, or of applications; default: where it is, the system first"`
}

type findingsInput struct {
	api.FindingFilter
	Sort string `query:"sort" enum:"priority,firstSeen" doc:"sort key; the first is the default"`
	Paging
}

type findingInput struct {
	ID string `path:"finding" maxLength:"50" pattern:"^[0-9]+-[0-9]+$" doc:"its ID"`
}

type decisionsInput struct {
	Query string `query:"q" maxLength:"300" doc:"part of vulnerability, package, repository, remark or author"`
	Kind  string `query:"kind" enum:"ignore,fixed,whitelist" doc:"of the decision"`
	State string `query:"state" enum:"active,expired,revoked" doc:"in force, over or revoked"`
	Idle  bool   `query:"idle" doc:"active ones that match nothing"`
	// Document is the ID of a VEX document.
	Document int64 `query:"document" doc:"that follow statements of this VEX document"`
	Paging
}

type decisionEventsInput struct {
	Vuln   string `query:"vulnerability" maxLength:"100" doc:"that the decision names, by any of its IDs"`
	User   string `query:"user" maxLength:"100" doc:"who did it"`
	Action string `query:"action" enum:"created,changed,revoked,expired" doc:"what was done"`
	Paging
}

type changeDecisionInput struct {
	ByID
	Body api.Decision
}

type revokeDecisionInput struct {
	ByID
	Remark string `query:"remark" maxLength:"2000" doc:"why"`
}
