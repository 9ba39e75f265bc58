package loadgen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"plimsoll/api"
)

// BenchmarkPages measures what the pages of a console ask for when Big is behind
// it: each request of its own, its first page and one far down. PLIMSOLL_BIN names
// the binary, PLIMSOLL_BIGFLEET the console's directory, which is filled when it is
// not there. Run it with make bigfleet; it is no test, because times prove nothing
// on a machine that others use.
func BenchmarkPages(b *testing.B) {
	dir, binary := os.Getenv("PLIMSOLL_BIGFLEET"), os.Getenv("PLIMSOLL_BIN")
	if dir == "" || binary == "" {
		b.Skip("PLIMSOLL_BIGFLEET names no directory, or PLIMSOLL_BIN no binary")
	}
	if _, err := os.Stat(filepath.Join(dir, "fleet.sqlite")); errors.Is(err, os.ErrNotExist) {
		start := time.Now()
		if err := bigFleet(b.Context(), dir); err != nil {
			b.Fatal(err)
		}
		fmt.Printf("%s was filled in %s\n", dir, seconds(time.Since(start)))
	}
	fmt.Printf("plimsoll console --data-dir %s; sign in as %s with %q\n", dir, adminName, adminPassword)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	c := &outside{binary: binary, dir: dir, log: b.Log, base: "https://" + address}
	if err := c.start(address); err != nil {
		b.Fatal(err)
	}
	defer c.stop()
	figures, err := measurePages(b.Context(), c.base, c.process.Process.Pid)
	if err != nil {
		b.Fatal(err)
	}
	figures.write()
}

// pageFigures are the answers to each request, the most laborious first.
type pageFigures struct {
	images, findings int64
	answers          []pageAnswers
}

type pageAnswers struct {
	request     string
	first, deep askedFor
}

// askedFor is what asking for one page several times took, and what it took of the
// console's processors each time: other work on the machine makes that no longer.
type askedFor struct {
	series
	processor time.Duration
}

func (p *pageFigures) write() {
	fmt.Printf("%d images, %d open findings in them; %d requests\n\n", p.images, p.findings, len(p.answers))
	slices.SortStableFunc(p.answers, func(a, b pageAnswers) int {
		return cmp.Compare(max(b.first.processor, b.deep.processor), max(a.first.processor, a.deep.processor))
	})
	t := table{tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', tabwriter.Debug)}
	t.head("request", "p50, ms", "p95, ms", "processor, ms", "far down: p50, ms", "p95, ms", "processor, ms")
	for _, a := range p.answers {
		cells := []string{a.request}
		for _, s := range []askedFor{a.first, a.deep} {
			if s.series == nil {
				cells = append(cells, "", "", "")
				continue
			}
			cells = append(cells, fmt.Sprintf("%.1f", millis(s.quantile(.5))), fmt.Sprintf("%.1f", millis(s.quantile(.95))), fmt.Sprintf("%.0f", millis(s.processor)))
		}
		t.cells(cells...)
	}
	t.flush()
}

// asked are the requests of all pages. %image … stand for IDs that are looked up.
func asked() (list []string) {
	for _, l := range []struct {
		path  string
		sorts []string
	}{
		{"/images?", api.ImageSorts}, {"/findings?", api.FindingSorts},
		{"/vulnerabilities?class=system&", api.VulnerabilitySorts}, {"/vulnerabilities?class=application&", api.VulnerabilitySorts}, {"/vulnerabilities?", api.VulnerabilitySorts},
		{"/software?", api.SoftwareSorts}, {"/hosts?", api.HostSorts},
	} {
		for _, sort := range l.sorts {
			list = append(list, l.path+"sort="+sort, l.path+"order=asc&sort="+sort, l.path+"order=desc&sort="+sort)
		}
	}
	filters := func(path string, sorts []string, filters ...string) {
		for _, f := range filters {
			list = append(list, path+"?"+f)
			for _, sort := range sorts {
				list = append(list, path+"?"+f+"&sort="+sort)
			}
		}
	}
	common, rare := debian.nameOf(0), npm.nameOf(npmNames-9)
	filters("/images", []string{"name", "lastSeen"},
		"q=service-1", "q=team-3/", "q=nothing-has-it", "q=sha256:ab", "repository=team-3/service-4", "state=succeeded", "state=failed", "state=never&state=unreadable", "queue=any",
		"risk=critical", "risk=safe&risk=low", "system=%system", "host=%host", "hostName=host-00", "address=10.0.0.7", "label=env=prod", "label=env=dev", "container=service-1", "pod=team-3",
		"software="+common, "software="+rare, "vulnerability=%vulnerability", "vulnerability=%rare", "inUse=yes", "inUse=no", "gone=yes", "gone=any", "minSeverity=critical", "minSeverity=low",
		"fixable=true", "kev=true", "warning=uncovered&warning=unidentified&warning=ended&warning=problems", "warning=stale", "warning=offline", "code=unreadable-dir", "code=layer-missing", "ids=%image",
		"q=service-1&risk=critical&inUse=yes&label=env=prod&fixable=true", "software="+common+"&hostName=host-00&kev=true")
	filters("/findings", []string{"firstSeen"},
		"image=%image&class=system", "image=%image&class=application", "image=%image&class=system&state=open&state=ignored&state=fixed&state=whitelisted", "image=%image&state=ignored", "image=%image&layer=%layer", "image=%image&repository=team-0/service-0",
		"vulnerability=%vulnerability", "vulnerability=%rare", "vulnerability=%vulnerability&state=ignored&state=fixed&state=whitelisted", "vulnerability=%vulnerability&class=application", "software=%software",
		"package="+common, "package="+rare, "package=none", "type=deb", "type=pypi", "path=app/node_modules/*", "path=*ssl*", "class=system", "class=application", "state=ignored", "state=fixed", "state=whitelisted",
		"severity=critical", "severity=low", "severity=unknown", "fix=fixed", "fix=not-fixed", "fixable=true", "kev=true", "host=%host", "label=env=prod", "label=env=dev", "decision=%decision", "base=yes", "base=no", "since=%yesterday",
		"severity=critical&fixable=true&class=application&label=env=prod", "kev=true&host=%host&class=application")
	filters("/vulnerabilities", []string{"name", "firstSeen"},
		"q=CVE-2020", "q=CVE-2020-10", "q=PYSEC", "q=nothing-has-it", "severity=critical", "severity=low", "kev=true", "fixable=true", "package="+common, "package="+rare, "handled=yes", "handled=any",
		"host=%host", "label=env=prod", "label=env=dev", "since=%yesterday", "class=system&severity=critical&fixable=true", "class=application&label=env=dev&severity=low", "host=%host&kev=true", "host=%host&handled=yes", "label=env=prod&handled=yes")
	filters("/software", []string{"images", "risk"},
		"q=ssl", "q=nothing-has-it", "name="+common, "name="+common+"&below=1.4.0-1", "name="+rare+"&atLeast=1.4.0", "type=deb", "type=npm", "version=1.4.0", "license=MIT", "license=none", "path=app/node_modules/*", "path=*ssl*", "path=nowhere/*",
		"purl=pkg:npm", "purl=pkg:deb/debian/lib", "purl=pkg:none", "system=%system", "covered=yes", "covered=no", "affected=true", "image=%image", "host=%host", "label=env=prod", "label=env=dev", "q=ssl&type=npm&license=MIT&affected=true", "path=app/venv/*&host=%host")
	filters("/software/places", nil,
		"name="+common, "name="+common+"&below=1.4.0-1", "name="+rare+"&atLeast=1.2.0", "q=ssl", "q=nothing-has-it", "type=deb", "license=MIT", "license=none", "path=app/node_modules/*", "path=*ssl*", "path=nowhere/*", "purl=pkg:npm", "purl=pkg:none", "affected=true",
		"image=%image", "host=%host", "label=env=dev", "name="+common+"&host=%host", "name="+common+"&label=env=dev")
	filters("/images/%image/software", nil, "", "q=ssl", "affected=true", "type=deb", "license=MIT", "path=*ssl*", "layer=%layer")
	filters("/hosts", nil, "q=host-00", "q=10.0.0", "state=offline", "label=env=prod", "problems=true", "vulnerability=%vulnerability")
	filters("/containers", nil, "", "vulnerability=%vulnerability", "image=%image", "host=%host", "q=service-1", "q=team-3", "running=true", "gone=true")
	filters("/tasks", nil, "kind=scan", "state=succeeded", "state=running")
	filters("/tasks/%task/items", nil, "", "state=failed", "state=succeeded")
	filters("/decisions", nil, "", "q=team", "kind=ignore", "state=active", "idle=true")
	filters("/generations/%generation/changes", nil, "", "kind=new", "kind=gone", "kind=changed")
	filters("/audit", nil, "", "user=loadgen", "action=start-scan")
	return append(list, "/dashboard", "/images/%image", "/images/%image/plan", "/images/%image/diff?from=%other", "/images/%image/changes", "/images/%image/presences", "/images/%image/containers",
		"/vulnerabilities/%vulnerability", "/vulnerabilities/%rare?class=application", "/findings/%finding", "/findings/%finding/history",
		"/hosts/%host", "/tasks", "/tasks/%task", "/decisions/%decision", "/decisions/%decision/events", "/decision-events", "/decision-events?vulnerability=%vulnerability",
		"/me", "/database", "/generations", "/schedules", "/settings", "/users", "/tokens", "/enrolment-tokens", "/exports",
		`/decisions/preview {"kind":"ignore","remark":"why","filter":{"vulnerability":"%vulnerability"}}`,
		`/decisions/preview {"kind":"ignore","remark":"why","filter":{"image":%image}}`,
		`/decisions/preview {"kind":"ignore","remark":"why","findings":["%finding"]}`,
		`/decisions/preview {"kind":"whitelist","remark":"why","filter":{"package":"`+common+`"}}`,
		`/decisions/preview {"kind":"whitelist","remark":"why","filter":{"severity":["low"]}}`,
		`/decisions/preview {"rules":[{"kind":"ignore","remark":"why","package":"`+rare+`"}]}`,
		`/decisions/preview {"rules":[{"kind":"whitelist","remark":"why","path":"app/node_modules/*","repositories":["team-3/*"]}]}`,
	)
}

// measurePages asks each request as a page does.
func measurePages(ctx context.Context, base string, pid int) (*pageFigures, error) {
	a := stranger(base)
	if err := a.awake(ctx); err != nil {
		return nil, err
	}
	if err := a.signIn(ctx, "/login", api.Login{Name: adminName, Password: adminPassword}); err != nil {
		return nil, err
	}
	var d api.Dashboard
	if err := a.Call(ctx, http.MethodGet, "/dashboard", nil, nil, &d); err != nil {
		return nil, err
	}
	names, err := a.lookUp(ctx)
	if err != nil {
		return nil, err
	}
	figures := &pageFigures{images: d.Images, findings: d.System.Total() + d.Application.Total()}
	for _, request := range asked() {
		answers, err := a.page(ctx, request, names, pid)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", request, err)
		}
		figures.answers = append(figures.answers, answers)
	}
	return figures, nil
}

// lookUp finds what the names in requests stand for: what has the most of what it
// can have, and something rare.
func (a *Admin) lookUp(ctx context.Context) (*strings.Replacer, error) {
	names := []string{"%yesterday", strconv.FormatInt(time.Now().AddDate(0, 0, -1).UnixMilli(), 10)}
	for _, l := range []struct{ name, path, field string }{
		{"%image", "/images?sort=packages", "id"}, {"%system", "/images?sort=packages", "system"}, {"%host", "/hosts?sort=images", "id"},
		{"%vulnerability", "/vulnerabilities?sort=findings&class=system", "name"}, {"%rare", "/vulnerabilities?sort=findings&order=asc&class=application", "name"},
		{"%software", "/software?sort=risk", "id"}, {"%finding", "/findings?limit=1", "id"}, {"%decision", "/decisions", "id"},
		{"%task", "/tasks?kind=scan", "id"}, {"%generation", "/generations", "id"},
	} {
		path, query, _ := strings.Cut(l.path, "?")
		values, err := url.ParseQuery(query)
		if err != nil {
			return nil, err
		}
		var page struct{ Items []map[string]any }
		if err := a.Call(ctx, http.MethodGet, path, values, nil, &page); err != nil {
			return nil, err
		}
		if len(page.Items) == 0 {
			return nil, fmt.Errorf("%s is empty", l.path)
		}
		names = append(names, l.name, fmt.Sprint(page.Items[0][l.field]))
		if l.name == "%image" {
			names = append(names, "%other", fmt.Sprint(page.Items[1][l.field]))
		}
	}
	var image api.ImageDetail
	if err := a.Call(ctx, http.MethodGet, strings.NewReplacer(names...).Replace("/images/%image"), nil, nil, &image); err != nil {
		return nil, err
	}
	names = append(names, "%layer", string(image.Stack[len(image.Stack)-1].DiffID))
	return strings.NewReplacer(names...), nil
}

// How often each page is asked for, and how many of the largest pages lie above
// the one that is far down.
const (
	pageAsks = 5
	above    = 4
)

// page asks for the first page of a request and, if it is a list that is long
// enough, for one far down.
func (a *Admin) page(ctx context.Context, request string, names *strings.Replacer, pid int) (pageAnswers, error) {
	answers := pageAnswers{request: request}
	address, body, post := strings.Cut(request, " ")
	path, text, _ := strings.Cut(names.Replace(address), "?")
	query, err := url.ParseQuery(text)
	if err != nil {
		return answers, err
	}
	var next string
	ask := func() (took time.Duration, err error) {
		var page struct {
			Next string `json:"next"`
		}
		err = a.busy.patiently(ctx, func() error {
			start := time.Now()
			if post {
				_, err = a.client.Send(ctx, http.MethodPost, api.PublicPath+path, nil, http.Header{"Content-Type": {"application/json"}}, []byte(names.Replace(body)), nil)
			} else {
				_, err = a.client.Call(ctx, http.MethodGet, api.PublicPath+path, query, nil, &page)
			}
			took = time.Since(start)
			return err
		})
		next = page.Next
		return took, err
	}
	several := func() (f askedFor, err error) {
		before, err := processorTime(pid)
		for range pageAsks {
			if err != nil {
				return f, err
			}
			var took time.Duration
			took, err = ask()
			f.series = append(f.series, took)
		}
		if err != nil {
			return f, err
		}
		after, err := processorTime(pid)
		f.processor = (after - before) / pageAsks
		return f, err
	}
	if answers.first, err = several(); err != nil || next == "" {
		return answers, err
	}
	query.Set("limit", strconv.Itoa(api.MaxLimit))
	for range above {
		if _, err := ask(); err != nil {
			return answers, err
		}
		if next == "" {
			break
		}
		query.Set("cursor", next)
	}
	query.Del("limit")
	answers.deep, err = several()
	return answers, err
}
