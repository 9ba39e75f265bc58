package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/klauspost/compress/zstd"

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

// fit cuts what no console would take, and tells that it did. Analysers stay far
// below; one fault of theirs must not cost the whole result.
func fit(inv *plimsoll.Inventory) {
	changed := 0
	short := func(limit int, texts ...*string) {
		for _, text := range texts {
			if now := cut(*text, limit); now != *text {
				*text = now
				changed++
			}
		}
	}
	list := func(texts *[]string, most, limit int) {
		if len(*texts) > most {
			*texts = (*texts)[:most]
			changed++
		}
		for i := range *texts {
			short(limit, &(*texts)[i])
		}
	}
	for i := range inv.Systems {
		os := &inv.Systems[i]
		short(api.MaxName, &os.ID, &os.VersionID, &os.Codename, &os.Name, &os.Version, &os.VariantID, &os.CPE)
		short(api.MaxPath, &os.Release, &os.Root, &os.Path)
		list(&os.IDLike, api.MaxLicenses, api.MaxName)
	}
	for i := range inv.Packages {
		p := &inv.Packages[i]
		short(api.MaxArch, &p.Arch)
		short(api.MaxName, &p.Name, &p.Version, &p.Source.Name, &p.Source.Version, &p.Module, &p.Origin, &p.Supplier, &p.Owner, &p.Bundled)
		short(api.MaxPath, &p.Path, &p.Root, &p.Remark)
		list(&p.Licenses, api.MaxLicenses, api.MaxPath)
		list(&p.Locations, api.MaxLocations, api.MaxPath)
		if cut(p.PURL, api.MaxPURL) != p.PURL { // a part of one would name something else
			p.PURL = ""
			changed++
		}
	}
	for i := range inv.Problems {
		p := &inv.Problems[i]
		p.Path, p.Detail = cut(p.Path, api.MaxPath), cut(p.Detail, maxText)
	}
	if changed > 0 {
		inv.Problems = append(inv.Problems, plimsoll.Problem{Code: plimsoll.ProblemLimit, Count: changed,
			Detail: fmt.Sprintf("%d texts of packages are longer than a report may hold, or no text, and were cut.", changed)})
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
			if body := failedFor(body, err); body != nil { // or the image would be read again and again
				if err := a.put(ctx, f.report, body); err != nil {
					a.Log.Warn("nor does it take that the scan failed", "report", f.report, "error", err)
				}
			}
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

// failedFor makes of a result that the console refused one that says so; nil if it
// cannot be read or says already that the scan failed.
func failedFor(body []byte, why error) []byte {
	unpack, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(api.MaxResult))
	if err != nil {
		return nil
	}
	defer unpack.Close()
	var r api.ScanResult
	plain, err := unpack.DecodeAll(body, nil)
	if err != nil || json.Unmarshal(plain, &r) != nil || r.Status == plimsoll.ScanFailed {
		return nil
	}
	r.Status, r.Inventory = plimsoll.ScanFailed, nil
	r.Problem = &api.Problem{Code: plimsoll.ProblemLimit, Detail: cut("The console refused the report: "+why.Error(), maxText)}
	body, _ = pack(&r)
	return body
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
