package feed

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"plimsoll"
)

// An extra is a source that says more about flaws than the advisories do.
type extra struct {
	name string // of the source
	file string // within Compile's directory
	read func(*reader, *plimsoll.DataSource, io.Reader) error
}

var extras = []extra{
	{"kev", "kev.json", (*reader).kev},
	{"epss", "epss.csv", (*reader).epss},
	{"cvss", "cvss.csv", (*reader).cvss},
}

// The limits of these files.
const (
	maxExtra     = 256 << 20  // bytes after decompression
	maxExtraRows = 10_000_000 // entries
	maxAction    = 4 << 10    // bytes kept of a text
)

// extra reads one such file, compressed with gzip or not.
func (r *reader) extra(x extra, f io.Reader) (plimsoll.DataSource, error) {
	source := plimsoll.DataSource{Name: x.name}
	b := bufio.NewReaderSize(f, 64<<10)
	var in io.Reader = b
	if magic, _ := b.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(b)
		if err != nil {
			return source, &plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: "read " + x.name, Err: err}
		}
		defer z.Close()
		in = z
	}
	err := x.read(r, &source, &capped{in, maxExtra})
	var e *plimsoll.Error
	if err != nil && !errors.As(err, &e) {
		err = &plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: "read " + x.name, Err: err}
	}
	if err == nil && source.Records == 0 {
		err = plimsoll.Errorf(plimsoll.CodeCorrupt, "read "+x.name, "the file has no entries")
	}
	return source, err
}

// capped is a reader that fails after n bytes instead of ending.
type capped struct {
	r io.Reader
	n int64
}

func (c *capped) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	if c.n -= int64(n); c.n < 0 {
		return n, errors.New("the file is too large")
	}
	return n, err
}

// kev reads CISA's catalogue, entry by entry.
func (r *reader) kev(source *plimsoll.DataSource, in io.Reader) error {
	d := json.NewDecoder(in)
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("the file is not the catalogue in JSON")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		switch key {
		case "dateReleased":
			var date string
			if err := d.Decode(&date); err != nil {
				return err
			}
			if t, err := parseTime(date); err == nil {
				r.date(source, t)
			}
		case "vulnerabilities":
			if err := r.kevEntries(source, d); err != nil {
				return err
			}
		default:
			var skip json.RawMessage
			if err := d.Decode(&skip); err != nil {
				return err
			}
		}
	}
	_, err := d.Token()
	return err
}

func (r *reader) kevEntries(source *plimsoll.DataSource, d *json.Decoder) error {
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return errors.New("the catalogue has no list of vulnerabilities")
	}
	for d.More() {
		var v struct {
			ID         string `json:"cveID"`
			Added      string `json:"dateAdded"`
			Due        string `json:"dueDate"`
			Action     string `json:"requiredAction"`
			Ransomware string `json:"knownRansomwareCampaignUse"`
		}
		if err := d.Decode(&v); err != nil {
			return err
		}
		added, err := time.Parse(time.DateOnly, v.Added)
		if err != nil || !strings.HasPrefix(v.ID, "CVE-") {
			r.problem(source.Name, v.ID, errors.New("an entry without CVE or date"))
			continue
		}
		due, _ := time.Parse(time.DateOnly, v.Due)
		err = r.w.AddKEV(v.ID, plimsoll.KEV{Added: added, Due: due, Ransomware: v.Ransomware == "Known", Action: clip(v.Action, maxAction)})
		if err := r.row(source, v.ID, err); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// row counts an entry; an entry that cannot be stored is a problem, a failing
// disk an error.
func (r *reader) row(source *plimsoll.DataSource, id string, err error) error {
	if plimsoll.CodeOf(err) == plimsoll.CodeInvalid {
		r.problem(source.Name, id, err)
		return nil
	}
	if source.Records++; err == nil && source.Records > maxExtraRows {
		err = plimsoll.Errorf(plimsoll.CodeLimit, "read "+source.Name, "more than %d entries", maxExtraRows)
	}
	return err
}

// epss reads FIRST's table: "#model_version:…,score_date:…", then cve,epss,percentile.
func (r *reader) epss(source *plimsoll.DataSource, in io.Reader) error {
	b := bufio.NewReader(in)
	var date time.Time
	if c, _ := b.Peek(1); len(c) == 1 && c[0] == '#' {
		line, err := b.ReadString('\n')
		if err != nil {
			return err
		}
		if _, stamp, ok := strings.Cut(strings.TrimSpace(line), "score_date:"); ok {
			for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05-0700"} {
				if t, err := time.Parse(layout, stamp); err == nil {
					date = t.UTC()
					r.date(source, date)
				}
			}
		}
	}
	return table(b, []string{"cve", "epss", "percentile"}, func(row []string) error {
		score, err1 := fraction(row[1])
		percentile, err2 := fraction(row[2])
		if err := cmp.Or(err1, err2); err != nil {
			r.problem(source.Name, row[0], err)
			return nil
		}
		return r.row(source, row[0], r.w.AddEPSS(row[0], plimsoll.EPSS{Score: score, Percentile: percentile, Date: date}))
	})
}

func fraction(s string) (float64, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err == nil && !(f >= 0 && f <= 1) {
		err = fmt.Errorf("%q is not between 0 and 1", s)
	}
	return f, err
}

// cvss reads a table of CVSS vectors: cve,source,version,vector,base_score,base_severity.
// The score is computed from the vector; the columns after it are not read. The
// source is "cna", "nvd", "adp:NAME" or a publisher of advisories.
func (r *reader) cvss(source *plimsoll.DataSource, in io.Reader) error {
	return table(in, []string{"cve", "source", "vector"}, func(row []string) error {
		rating, ok := vectorRating(scoreSource(row[1]), row[2])
		if !ok {
			r.problem(source.Name, row[0], errors.New("the vector cannot be read"))
			return nil
		}
		return r.row(source, row[0], r.w.AddRating(row[0], rating))
	})
}

func scoreSource(s string) string {
	s = clip(s, maxID)
	if name, ok := strings.CutPrefix(s, "adp:"); ok {
		return name
	}
	switch strings.ToLower(s) {
	case "nvd", "nvd@nist.gov":
		return "NVD"
	case "cna", "":
		return "CNA"
	case "bellsoft-osv": // what BellSoft's records say about its own builds
		return "BellSoft"
	}
	return s
}

// table reads the named columns of a CSV file with a header.
func table(in io.Reader, columns []string, visit func(row []string) error) error {
	c := csv.NewReader(in)
	c.ReuseRecord = true
	header, err := c.Read()
	if err != nil {
		return errors.New("the file is not a table in CSV")
	}
	at := make([]int, len(columns))
	for i, name := range columns {
		at[i] = -1
		for j, h := range header {
			if strings.TrimSpace(h) == name {
				at[i] = j
			}
		}
		if at[i] < 0 {
			return fmt.Errorf("the table has no column %q", name)
		}
	}
	row := make([]string, len(columns))
	for {
		record, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for i, j := range at {
			row[i] = record[j]
		}
		if err := visit(row); err != nil {
			return err
		}
	}
}
