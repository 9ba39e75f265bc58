package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"plimsoll"
	"plimsoll/vulndb"
)

// NVD's list of affected versions speaks about software as its authors release
// it, under names of its own (CPE). It is read for the programs that images hold
// without a package, and for nothing else: for packages their ecosystem and
// distribution speak, and CPE names of libraries are guesses (want 22).

// nvdProducts maps the CPE names "vendor:product" of those programs to the names
// under which they are found.
var nvdProducts = map[string]string{
	"apache:http_server":     "httpd",
	"busybox:busybox":        "busybox",
	"envoyproxy:envoy":       "envoy",
	"erlang:erlang/otp":      "erlang",
	"f5:nginx":               "nginx",
	"f5:nginx_open_source":   "nginx",
	"gnu:bash":               "bash",
	"haproxy:haproxy":        "haproxy",
	"haxx:curl":              "curl",
	"haxx:libcurl":           "curl",
	"lfprojects:valkey":      "valkey",
	"lighttpd:lighttpd":      "lighttpd",
	"mariadb:mariadb":        "mariadb",
	"memcached:memcached":    "memcached",
	"mysql:mysql":            "mysql",
	"nginx:nginx":            "nginx",
	"nodejs:node.js":         "node",
	"openresty:openresty":    "openresty",
	"openssl:openssl":        "openssl",
	"oracle:graalvm":         "graalvm",
	"oracle:graalvm_for_jdk": "graalvm",
	"oracle:jdk":             "oracle-jdk",
	"oracle:jre":             "oracle-jdk",
	"oracle:mysql":           "mysql",
	"oracle:mysql_server":    "mysql",
	"oracle:openjdk":         "openjdk",
	"perl:perl":              "perl",
	"php:php":                "php",
	"postgresql:postgresql":  "postgresql",
	"python:python":          "python",
	"redis:redis":            "redis",
	"redislabs:redis":        "redis",
	"ruby-lang:ruby":         "ruby",
	"valkey-io:valkey":       "valkey",
}

// The limits of one record of NVD.
const (
	maxConfigurations = 10_000 // of a record, with their nodes and matches
	maxCPE            = 512    // bytes of a name
)

// nvdItem is what Plimsoll reads of a CVE in NVD's JSON 2.0, of the API's pages
// and the yearly files alike (nvd.nist.gov, CVE API, schema cve_api_json_2.0).
type nvdItem struct {
	CVE struct {
		ID           string `json:"id"`
		Published    string `json:"published"`
		Modified     string `json:"lastModified"`
		Status       string `json:"vulnStatus"`
		Descriptions []struct {
			Lang  string `json:"lang"`
			Value string `json:"value"`
		} `json:"descriptions"`
		Metrics map[string][]struct {
			Source string `json:"source"`
			Data   struct {
				Vector string `json:"vectorString"`
			} `json:"cvssData"`
		} `json:"metrics"`
		Configurations []nvdConfiguration `json:"configurations"`
		References     []osvReference     `json:"references"`
	} `json:"cve"`
}

type nvdConfiguration struct {
	Operator string    `json:"operator"`
	Negate   bool      `json:"negate"`
	Nodes    []nvdNode `json:"nodes"`
}

type nvdNode struct {
	Operator string     `json:"operator"`
	Negate   bool       `json:"negate"`
	Matches  []nvdMatch `json:"cpeMatch"`
}

type nvdMatch struct {
	Vulnerable     bool   `json:"vulnerable"`
	Criteria       string `json:"criteria"`
	StartIncluding string `json:"versionStartIncluding"`
	StartExcluding string `json:"versionStartExcluding"`
	EndIncluding   string `json:"versionEndIncluding"`
	EndExcluding   string `json:"versionEndExcluding"`
}

// firstNVDYear is the year of NVD's first file, which holds all CVEs before, too.
const firstNVDYear = 2002

// fetchNVD brings one file, or those of every year from a directory that ends in a
// slash, as NVD and its mirrors have it: nvdcve-2.0-2024.json.gz.
func fetchNVD(ctx context.Context, f *fetcher, s Source, address *url.URL, dir string) ([]string, error) {
	if !strings.HasSuffix(address.Path, "/") {
		return fetchFile(ctx, f, s, address, dir)
	}
	var names []string
	for year := firstNVDYear; year <= f.now().Year(); year++ {
		file := fmt.Sprintf("nvdcve-2.0-%d.json.gz", year)
		_, err := f.fetch(ctx, s.name(), address.JoinPath(file), dir+"/"+file, maxSourceFile, nil)
		switch {
		case err == nil:
			names = append(names, dir+"/"+file)
		case plimsoll.CodeOf(err) == plimsoll.CodeNotFound && year == f.now().Year():
			// January, and nothing published yet.
		default:
			return nil, err
		}
	}
	return names, nil
}

// listNVD returns the files of a directory that are called like NVD's, or like
// pages of its API.
func listNVD(dir string) ([]string, error) {
	return filesIn(dir, func(name string) bool {
		for _, ext := range [...]string{".json", ".json.gz", ".json.zst", ".json.xz", ".json.bz2"} {
			if strings.HasSuffix(name, ext) {
				return true
			}
		}
		return false
	})
}

// readNVD reads the files of one source.
func readNVD(ctx context.Context, in *intake) error {
	return in.each(ctx, func(_ string, r io.Reader) error { return readNVDFile(r, in.add) })
}

// readNVDFile hands each record of a file to add: those about none of
// nvdProducts with errNotAdvisory, those that cannot be read with why.
func readNVDFile(r io.Reader, add func(name string, record vulndb.Record, err error) error) error {
	limit := &perRecord{r: r, left: maxRecord}
	d := json.NewDecoder(limit)
	if err := enterList(d, "vulnerabilities"); err != nil {
		return err
	}
	for d.More() {
		limit.left = maxRecord
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		record, err := parseNVD(raw)
		name := record.Advisory.ID
		if name == "" {
			name = "a record without ID"
		}
		if err := add(name, record, err); err != nil {
			return err
		}
	}
	// The rest is read, so that a file that was cut off is not taken for whole.
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		limit.left = maxRecord
		if _, err := d.Token(); err != nil {
			return err
		}
		var skipped json.RawMessage
		if err := d.Decode(&skipped); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("it was cut off: %w", err)
	}
	return nil
}

// enterList goes to the beginning of the list under key of the outermost object.
func enterList(d *json.Decoder, key string) error {
	t, err := d.Token()
	switch {
	case err != nil:
		return fmt.Errorf("no JSON in NVD's form: %w", err)
	case t != json.Delim('{'):
		return errors.New("no object in NVD's form")
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		if t == key {
			t, err := d.Token()
			if err == nil && t != json.Delim('[') {
				err = fmt.Errorf("%q is no list", key)
			}
			return err
		}
		var skipped json.RawMessage
		if err := d.Decode(&skipped); err != nil {
			return err
		}
	}
	return fmt.Errorf("it has no %q", key)
}

// perRecord fails when more than left bytes are read before it is refilled, so
// that one value cannot take all memory.
type perRecord struct {
	r    io.Reader
	left int
}

func (p *perRecord) Read(b []byte) (int, error) {
	if p.left <= 0 {
		return 0, fmt.Errorf("a record is larger than %d bytes", maxRecord)
	}
	n, err := p.r.Read(b[:min(len(b), p.left)])
	p.left -= n
	return n, err
}

// parseNVD reads one record. It is a CVE's own record, but not the CNA's: the ID
// says so.
func parseNVD(b []byte) (vulndb.Record, error) {
	var item nvdItem
	if err := json.Unmarshal(b, &item); err != nil {
		return vulndb.Record{}, err
	}
	c := &item.CVE
	if !strings.HasPrefix(c.ID, "CVE-") || len(c.ID) > maxID || strings.IndexByte(c.ID, 0) >= 0 {
		return vulndb.Record{}, errors.New("the record has no usable id")
	}
	r := vulndb.Record{Advisory: plimsoll.Advisory{ID: "NVD-" + c.ID, Provider: plimsoll.EcosystemNVD, Aliases: []string{c.ID}}}
	a := &r.Advisory
	a.Published, a.Modified = nvdTime(c.Published), nvdTime(c.Modified)
	if c.Status == "Rejected" { // acceptance ADV-01
		return r, errNotAdvisory
	}
	var err error
	if r.Affected, err = nvdAffected(c.Configurations); err != nil {
		return r, err
	}
	if len(r.Affected) == 0 {
		return r, errNotAdvisory // about other products, or not analysed yet
	}
	for _, d := range c.Descriptions {
		if d.Lang == "en" {
			a.Details = clip(d.Value, maxDetails)
			break
		}
	}
	for _, ref := range c.References[:min(len(c.References), maxReferences)] {
		if ref.URL != "" && len(ref.URL) <= maxReference {
			a.References = append(a.References, ref.URL)
		}
	}
	for _, method := range [...]string{"cvssMetricV40", "cvssMetricV31", "cvssMetricV30", "cvssMetricV2"} {
		for _, m := range c.Metrics[method] {
			source := "CNA"
			if m.Source == "nvd@nist.gov" {
				source = "NVD"
			}
			if len(m.Data.Vector) > maxVersion {
				continue
			}
			if rating, ok := vectorRating(source, m.Data.Vector); ok && len(a.Ratings) < 16 {
				a.Ratings = append(a.Ratings, rating)
			}
		}
	}
	return r, nil
}

// nvdTime reads a time of NVD, which is UTC without saying so.
func nvdTime(s string) time.Time {
	t, err := time.Parse("2006-01-02T15:04:05.999", strings.TrimSuffix(s, "Z"))
	if err != nil || t.Year() < 1970 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

// nvdAffected gathers what the configurations say about the products that are
// read. A configuration that also needs something else counts when that can be a
// Linux system: programs on other platforms are another matter (acceptance ADV-13).
func nvdAffected(configurations []nvdConfiguration) ([]plimsoll.Affected, error) {
	products := map[string]*plimsoll.Affected{}
	work := 0
	for i := range configurations {
		c := &configurations[i]
		if c.Negate || !onLinux(c) {
			continue
		}
		for _, n := range c.Nodes {
			if n.Negate {
				continue
			}
			for _, m := range n.Matches {
				if work++; work > maxConfigurations {
					return nil, fmt.Errorf("the record has more than %d configurations", maxConfigurations)
				}
				if m.Vulnerable {
					if err := addMatch(products, &m); err != nil {
						return nil, err
					}
				}
			}
		}
	}
	var list []plimsoll.Affected
	for _, a := range products {
		if len(a.Ranges)+len(a.Versions) == 0 {
			continue
		}
		slices.Sort(a.Versions)
		a.Versions = slices.Compact(a.Versions)
		list = append(list, *a)
	}
	slices.SortFunc(list, func(a, b plimsoll.Affected) int { return strings.Compare(a.Package, b.Package) })
	return list, nil
}

func addMatch(products map[string]*plimsoll.Affected, m *nvdMatch) error {
	if len(m.Criteria) > maxCPE || max(len(m.StartIncluding), len(m.StartExcluding), len(m.EndIncluding), len(m.EndExcluding)) > maxVersion {
		return errors.New("a name or version is too long")
	}
	cpe, ok := parseCPE(m.Criteria)
	name := nvdProducts[cpe.vendor+":"+cpe.product]
	if !ok || name == "" || cpe.part != "a" || cpe.targetSoftware != "*" && cpe.targetSoftware != "-" && cpe.targetSoftware != "linux" {
		return nil // another product, or one for a platform of its own
	}
	a := products[name]
	if a == nil {
		a = &plimsoll.Affected{Ecosystem: plimsoll.EcosystemNVD, Package: name}
		products[name] = a
	}
	switch cpe.version {
	case "-":
		return nil // a product without versions
	case "*":
		from, to := m.StartIncluding, plimsoll.Event{Fixed: m.EndExcluding, LastAffected: m.EndIncluding}
		switch {
		case from != "":
		case m.StartExcluding != "":
			from = m.StartExcluding + "-sp" // the least that is greater, in the order that is used
		default:
			from = "0"
		}
		events := []plimsoll.Event{{Introduced: from}}
		if to != (plimsoll.Event{}) {
			events = append(events, to)
		}
		if len(events) == 1 && m.StartIncluding == "" && m.StartExcluding == "" {
			return nil // "all versions" is how a record begins whose versions nobody looked up
		}
		a.Ranges = append(a.Ranges, plimsoll.Range{Type: plimsoll.RangeEcosystem, Events: events})
	default:
		if v := exactVersion(name, cpe); v != "" {
			a.Versions = append(a.Versions, v)
		}
	}
	return nil
}

// exactVersion writes the version and update of a CPE name as the program states
// it: "3.0.0" and "alpha1" is 3.0.0-alpha1, Java's "1.8.0" and "update_131" is
// 8.0.131. Updates that no program states (patch levels, editions) name no
// version here.
func exactVersion(name string, c cpe) string {
	update := c.update
	switch {
	case name == "openjdk" || name == "oracle-jdk":
		major := strings.TrimPrefix(c.version, "1.")
		major, _, _ = strings.Cut(major, ".")
		number := strings.TrimLeft(strings.TrimPrefix(update, "update"), "_")
		switch {
		case strings.HasPrefix(update, "update") && number != "" && strings.Trim(number, "0123456789") == "":
			return major + ".0." + number
		case len(major) == 1 && (update == "-" || update == "*"):
			return major + ".0.0"
		}
	case strings.HasPrefix(update, "alpha"), strings.HasPrefix(update, "beta"), strings.HasPrefix(update, "rc"),
		strings.HasPrefix(update, "milestone"), strings.HasPrefix(update, "pre"):
		return c.version + "-" + update
	}
	if update != "-" && update != "*" {
		return ""
	}
	return c.version
}

// onLinux says whether all that a configuration needs beside one of its products
// can be there. Nodes of a configuration with AND must all hold; one without
// anything vulnerable names the platform.
func onLinux(c *nvdConfiguration) bool {
	if c.Operator != "AND" {
		return true
	}
	for _, n := range c.Nodes {
		ours, possible := false, len(n.Matches) == 0
		for _, m := range n.Matches {
			cpe, _ := parseCPE(m.Criteria)
			ours = ours || m.Vulnerable && nvdProducts[cpe.vendor+":"+cpe.product] != ""
			possible = possible || cpe.part == "o" && linuxVendor(cpe)
		}
		if !ours && !possible {
			return false
		}
	}
	return true
}

func linuxVendor(c cpe) bool {
	switch c.vendor {
	case "linux", "debian", "redhat", "canonical", "fedoraproject", "opensuse", "suse", "alpinelinux", "centos", "rockylinux", "almalinux", "openeuler":
		return true
	}
	return c.vendor == "oracle" && c.product == "linux"
}

// cpe is a name in the form of NISTIR 7695, section 6.2, "cpe:2.3:a:openssl:openssl:3.0.0:alpha1:*:*:*:*:*:*".
type cpe struct{ part, vendor, product, version, update, targetSoftware string }

func parseCPE(s string) (c cpe, ok bool) {
	rest, ok := strings.CutPrefix(s, "cpe:2.3:")
	if !ok {
		return c, false
	}
	var fields [11]string
	var field strings.Builder
	n := 0
	for i := 0; i < len(rest); i++ {
		switch b := rest[i]; {
		case b == '\\' && i+1 < len(rest): // a letter that would mean something
			i++
			field.WriteByte(rest[i])
		case b == ':':
			if n == len(fields)-1 {
				return c, false
			}
			fields[n] = field.String()
			field.Reset()
			n++
		default:
			field.WriteByte(b)
		}
	}
	fields[n] = field.String()
	return cpe{part: fields[0], vendor: fields[1], product: fields[2], version: fields[3], update: fields[4], targetSoftware: fields[8]}, n == len(fields)-1
}
