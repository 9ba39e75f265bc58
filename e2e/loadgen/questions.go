package loadgen

import (
	"net/url"
	"strings"

	"plimsoll/api"
)

// question is one list with a sort key, or what somebody looks for.
type question struct {
	path  string
	query url.Values
}

// search says whether it names what is looked for, and not just an order.
func (q question) search() bool { return q.query != nil && !q.query.Has("sort") }

// below says whether it asks where a package below a version is.
func (q question) below() bool { return q.query.Has("below") }

func (q question) String() string {
	text, _ := url.QueryUnescape(q.query.Encode())
	return strings.TrimSuffix(q.path+"?"+text, "?")
}

// questions are each list by each of its sort keys, and what people look for.
func questions() []question {
	var list []question
	for _, l := range []struct {
		path  string
		sorts []string
	}{
		{"/images", api.ImageSorts}, {"/findings", api.FindingSorts}, {"/vulnerabilities", api.VulnerabilitySorts},
		{"/software", api.SoftwareSorts}, {"/hosts", api.HostSorts},
	} {
		for _, sort := range l.sorts {
			list = append(list, question{l.path, url.Values{"sort": {sort}}})
		}
	}
	name := npm.nameOf(7)
	return append(list, []question{
		{"/dashboard", nil},
		{"/images", url.Values{"q": {"service-1"}}},
		{"/images", url.Values{"risk": {"critical"}, "fixable": {"true"}}},
		{"/images", url.Values{"vulnerability": {npm.flaws(0, First)[0].id}}},
		{"/images", url.Values{"software": {name}}},
		{"/images", url.Values{"hostName": {"host-0001"}}},
		{"/findings", url.Values{"severity": {"critical"}, "fixable": {"true"}}},
		{"/findings", url.Values{"kev": {"true"}}},
		{"/findings", url.Values{"package": {name}}},
		{"/vulnerabilities", url.Values{"q": {"CVE-2020"}}},
		{"/vulnerabilities", url.Values{"kev": {"true"}}},
		{"/vulnerabilities", url.Values{"label": {"env=load"}}},
		{"/software", url.Values{"q": {"ssl"}}},
		{"/software", url.Values{"name": {name}, "below": {"1.7.0"}}},
		{"/software/places", url.Values{"name": {name}, "below": {"1.7.0"}}},
		{"/hosts", url.Values{"q": {"host-00"}}},
	}...)
}
