package agent

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"plimsoll"
	"plimsoll/api"
)

// report spools a result for delivery. A result that cannot be spooled is
// delivered at once or, when that fails too, counted and its lease given back:
// the image is read again.
func (a *Agent) report(ctx context.Context, r api.ScanResult) {
	body, err := a.encodeResult(&r)
	if err == nil {
		var dropped int
		dropped, err = a.spool.put(r, body, a.Now())
		a.dropped.Add(int64(dropped))
		if dropped > 0 {
			a.Log.Warn("reports dropped from the full spool", "reports", dropped)
		}
	}
	if err == nil {
		signal(a.deliver)
		return
	}
	a.Log.Error("report not spooled", "error", err)
	if body != nil && a.put(context.WithoutCancel(ctx), r.Report, body) == nil {
		return
	}
	a.dropped.Add(1)
	a.giveBack(api.Lease{ID: r.Lease})
}

// encodeResult encodes a result. One that is larger than a console accepts
// becomes a failure that says so.
func (a *Agent) encodeResult(r *api.ScanResult) (body []byte, err error) {
	if r.Inventory != nil {
		fit(r.Inventory)
		size := 0
		if len(r.Inventory.Packages) <= api.MaxPackages {
			if body, size, err = packSized(r); err != nil || size <= api.MaxResult {
				return body, err
			}
		}
		r.Status, r.Inventory = plimsoll.ScanFailed, nil
		r.Problem = &api.Problem{Code: plimsoll.ProblemLimit, Detail: "The image lists more software than a report may hold."}
	}
	return pack(r)
}

// maxField bounds a text of an inventory in a report, in bytes; analysers keep
// theirs well below.
const maxField = 32 << 10

// fit cuts what no console would take.
func fit(inv *plimsoll.Inventory) {
	for i := range inv.Packages {
		p := &inv.Packages[i]
		for _, text := range []*string{&p.Name, &p.Version, &p.Arch, &p.Path, &p.Owner, &p.Root, &p.PURL, &p.Module, &p.Origin, &p.Source.Name, &p.Source.Version, &p.Supplier, &p.Remark} {
			if len(*text) > maxField || strings.ContainsRune(*text, 0) {
				*text = cut(*text, maxField)
			}
		}
	}
	for i := range inv.Problems {
		p := &inv.Problems[i]
		p.Path, p.Detail = cut(p.Path, maxField), cut(p.Detail, maxText)
	}
}

// deliveries brings the spool to the console, one report after the other.
func (a *Agent) deliveries(ctx context.Context) error {
	for failures := 0; ; {
		f, body, damaged, ok := a.spool.next()
		if damaged > 0 {
			a.dropped.Add(int64(damaged))
			a.Log.Error("damaged reports dropped", "reports", damaged)
		}
		if !ok {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-a.deliver:
			}
			continue
		}
		err := a.put(ctx, f.report, body)
		var e *api.Error
		switch fatal := a.refused(ctx, err); {
		case fatal != nil:
			return fatal
		case err == nil:
			failures = 0
			a.Log.Info("report delivered", "report", f.report)
			a.spool.remove(f)
		case errors.As(err, &e) && !e.Temporary():
			failures = 0
			a.dropped.Add(1)
			a.Log.Error("the console refused a report for good", "report", f.report, "error", err)
			a.spool.remove(f)
		default:
			failures++
			if ctx.Err() == nil {
				a.Log.Warn("report not delivered", "report", f.report, "error", err)
			}
			if err := wait(ctx, a.backoff(failures, err)); err != nil {
				return err
			}
		}
	}
}

// put delivers one report. The console answers after it has stored it, and
// applies a report once however often it comes.
func (a *Agent) put(ctx context.Context, report string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, bodyTimeout)
	defer cancel()
	header := packed()
	header.Set(api.HeaderReport, report)
	var answer api.ResultAnswer
	_, err := a.client.Send(ctx, http.MethodPut, api.AgentPath+"/results/"+url.PathEscape(report), nil, header, body, &answer)
	return err
}
