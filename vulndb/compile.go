package vulndb

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"plimsoll"
)

// The numbers of the dictionaries within zstd frames.
const (
	dictPackages = 1
	dictFlaws    = 2
)

// maxGroupSize bounds what one flaw may gather from all records: a group is
// merged in memory.
const maxGroupSize = 32 << 20

// compiler turns sorted records into the three tables. It reads the records
// twice: once to learn which IDs are aliases, once to file each record.
type compiler struct {
	ctx      context.Context // of the one call of Finish that it lives in
	groups   groups
	packages *sorter // package key NUL advisory ID → record about the package
	flaws    *sorter // canonical ID NUL kind advisory ID → part of the view
	names    *sorter // other ID → canonical ID

	packageSample, flawSample sample
	advisories                int
	newest                    time.Time
	key, value                []byte
}

func newCompiler(ctx context.Context, dir string) *compiler {
	return &compiler{
		ctx:      ctx,
		packages: &sorter{dir: dir, most: sorterMemory},
		flaws:    &sorter{dir: dir, most: sorterMemory},
		names:    &sorter{dir: dir, most: sorterMemory / 4},
	}
}

func (c *compiler) close() {
	c.packages.close()
	c.flaws.close()
	c.names.close()
}

func (c *compiler) compile(records, extras *sorter) error {
	for r, err := range c.newestRecords(records, false) {
		if err != nil {
			return err
		}
		if len(r.Flaws) > 0 || !r.Advisory.Withdrawn.IsZero() {
			continue
		}
		for _, alias := range r.Advisory.Aliases {
			c.groups.join(r.Advisory.ID, alias)
		}
	}
	for r, err := range c.newestRecords(records, true) {
		if err != nil {
			return err
		}
		if err := c.file(&r); err != nil {
			return err
		}
	}
	records.close()
	for p, err := range extras.all() {
		if err != nil {
			return err
		}
		id, kind := string(p.key[:len(p.key)-2]), p.key[len(p.key)-1]
		if err := c.addFlaw(c.groups.canonical(id), kind, id, p.value); err != nil {
			return err
		}
	}
	extras.close()
	return nil
}

// newestRecords gives each record of each source once, in its newest version, without what it
// says about packages unless that is asked for.
func (c *compiler) newestRecords(records *sorter, affected bool) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		var last []byte
		for p, err := range records.all() {
			if err != nil {
				yield(Record{}, err)
				return
			}
			identity := p.key[:len(p.key)-ageSize]
			if bytes.Equal(identity, last) {
				continue
			}
			last = append(last[:0], identity...)
			r, err := decodeRecord(p.value, affected)
			if err == nil {
				err = c.ctx.Err()
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

func decodeRecord(b []byte, affected bool) (Record, error) {
	d := &decoder{s: string(b)}
	r := Record{Advisory: d.advisory(), Flaws: d.strings()}
	if affected {
		for range d.length() {
			ecosystem, name := d.string(), d.string()
			a, _ := d.affected()
			a.Ecosystem, a.Package = ecosystem, name
			r.Affected = append(r.Affected, a)
		}
	}
	return r, d.err
}

// file puts a record under its flaw and its packages.
func (c *compiler) file(r *Record) error {
	a := &r.Advisory
	if a.Modified.After(c.newest) {
		c.newest = a.Modified
	}
	flaws := c.flawsOf(r)
	home := flaws[0]
	if c.groups.joined(a.ID) {
		home = c.groups.canonical(a.ID)
	} else if len(flaws) > 1 {
		home = a.ID
	}
	if err := c.addName(a.ID, home); err != nil {
		return err
	}
	kind := byte(kindNames)
	switch {
	case !a.Withdrawn.IsZero():
		kind = kindWithdrawn
	case len(r.Flaws) > 0:
		kind = kindAbout
	}
	if err := c.addAdvisory(home, kind, a); err != nil {
		return err
	}
	if kind == kindWithdrawn {
		return nil
	}
	c.advisories++
	if len(r.Flaws) == 0 {
		for _, alias := range a.Aliases {
			if err := c.addName(alias, home); err != nil {
				return err
			}
		}
	}
	if err := c.lend(a, home, flaws); err != nil {
		return err
	}
	return c.addPackages(r, flaws)
}

// lend gives the ratings of a record about several flaws to each of them.
func (c *compiler) lend(a *plimsoll.Advisory, home string, flaws []string) error {
	lent := plimsoll.Advisory{ID: a.ID, Provider: a.Provider, Summary: a.Summary, Ratings: a.Ratings, Malicious: a.Malicious}
	for _, flaw := range flaws {
		if flaw == home {
			continue
		}
		if err := c.addAdvisory(flaw, kindForeign, &lent); err != nil {
			return err
		}
	}
	return nil
}

// flawsOf returns the canonical IDs of the flaws that a record is about, at
// least one, the best name first.
func (c *compiler) flawsOf(r *Record) []string {
	if len(r.Flaws) == 0 {
		return []string{c.groups.canonical(r.Advisory.ID)}
	}
	flaws := make([]string, 0, len(r.Flaws))
	for _, id := range r.Flaws {
		flaws = append(flaws, c.groups.canonical(id))
	}
	slices.SortFunc(flaws, compareIDs)
	return slices.Compact(flaws)
}

func (c *compiler) addPackages(r *Record, flaws []string) error {
	for i := range r.Affected {
		f := &r.Affected[i]
		f.AdvisoryID, f.Provider, f.Modified = r.Advisory.ID, r.Advisory.Provider, r.Advisory.Modified
		f.Malicious = r.Advisory.Malicious
		c.key = append(append(append(append(append(c.key[:0], f.Ecosystem...), 0), f.Package...), 0), r.Advisory.ID...)
		c.value = appendAffected(c.value[:0], f, flaws)
		c.packageSample.add(c.value)
		if err := c.packages.add(c.key, c.value); err != nil {
			return err
		}
	}
	return nil
}

func (c *compiler) addAdvisory(flaw string, kind byte, a *plimsoll.Advisory) error {
	c.value = appendAdvisory(c.value[:0], a)
	if kind != kindForeign {
		c.flawSample.add(c.value)
	}
	return c.addFlaw(flaw, kind, a.ID, c.value)
}

func (c *compiler) addFlaw(flaw string, kind byte, id string, value []byte) error {
	c.key = append(append(append(c.key[:0], flaw...), 0, kind), id...)
	return c.flaws.add(c.key, value)
}

func (c *compiler) addName(id, canonical string) error {
	if id == canonical {
		return nil
	}
	return c.names.add([]byte(id), []byte(canonical))
}

// write writes the file.
func (c *compiler) write(out *output, g *plimsoll.Generation) error {
	head := binary.LittleEndian.AppendUint32([]byte(headMagic), Schema)
	if _, err := out.Write(append(head, 0, 0, 0, 0)); err != nil {
		return err
	}
	var sections [sectionCount]section
	var err error
	dicts := [...][]byte{c.packageSample.dictionary(), c.flawSample.dictionary()}
	for i, d := range dicts {
		if sections[sectionPackageDict+i], err = out.section(d); err != nil {
			return err
		}
	}
	index, err := newEncoder(0, nil)
	if err != nil {
		return err
	}
	var roots [tableCount][]byte
	var f filter
	var ecosystems []string
	steps := [tableCount]func(*tableWriter) error{
		tablePackages: func(t *tableWriter) error { f, ecosystems, err = c.writePackages(t); return err },
		tableFlaws:    c.writeFlaws,
		tableNames:    c.writeNames,
	}
	for i, step := range steps {
		t := &tableWriter{ctx: c.ctx, out: out, enc: index, indexEnc: index, blockSize: packageBlockSize}
		if i < len(dicts) {
			if t.enc, err = newEncoder(uint32(dictPackages+i), dicts[i]); err != nil {
				return err
			}
		}
		if i == tableFlaws {
			t.blockSize = flawBlockSize
		}
		if err := step(t); err != nil {
			return err
		}
		if roots[i], err = t.finish(); err != nil {
			return err
		}
	}
	rest := [...][]byte{roots[0], roots[1], roots[2], f, appendStrings(appendGeneration(nil, g), ecosystems)}
	for i, b := range rest {
		if sections[sectionPackageRoot+i], err = out.section(b); err != nil {
			return err
		}
	}
	return out.directory(sections)
}

// newEncoder returns an encoder for blocks. One goroutine and no checksum: the
// places of the blocks carry one.
func newEncoder(id uint32, dict []byte) (*zstd.Encoder, error) {
	options := []zstd.EOption{zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithEncoderLevel(zstd.SpeedBetterCompression)}
	if len(dict) > 0 {
		options = append(options, zstd.WithEncoderDictRaw(id, dict))
	}
	return zstd.NewWriter(nil, options...)
}

// writePackages joins the records of each package.
func (c *compiler) writePackages(t *tableWriter) (filter, []string, error) {
	var hashes []uint64
	var ecosystems []string
	var key, value, body, last []byte
	var sum counts
	flush := func() error {
		if key == nil {
			return nil
		}
		ecosystem, name := cutPackageKey(string(key))
		hashes = append(hashes, hashParts(ecosystem, name))
		if n := len(ecosystems); n == 0 || ecosystems[n-1] != ecosystem {
			ecosystems = append(ecosystems, ecosystem)
		}
		if max(sum.rows, sum.ranges, sum.events, sum.strings) > maxRows {
			return fmt.Errorf("package %q has more than %d advisories or versions", name, maxRows)
		}
		value = append(sum.append(value[:0]), body...)
		return t.add(key, value)
	}
	for p, err := range c.packages.all() {
		if err != nil {
			return nil, nil, err
		}
		k := p.key[:bytes.LastIndexByte(p.key, 0)]
		if key == nil || !bytes.Equal(k, key) {
			if err := flush(); err != nil {
				return nil, nil, err
			}
			key, body, last, sum = append(key[:0:0], k...), body[:0], last[:0], counts{}
		}
		if bytes.Equal(p.value, last) {
			continue // said twice
		}
		d := &decoder{s: string(p.value)}
		a, flaws := d.affected()
		if d.err != nil {
			return nil, nil, d.err
		}
		sum.add(&a, flaws)
		body = append(body, p.value...)
		last = append(last[:0], p.value...)
	}
	if err := flush(); err != nil {
		return nil, nil, err
	}
	c.packages.close()
	f := newFilter(len(hashes))
	for _, h := range hashes {
		f.add(h)
	}
	return f, ecosystems, nil
}

// writeFlaws merges the parts of each flaw and writes its view before its
// advisories.
func (c *compiler) writeFlaws(t *tableWriter) error {
	var flaw string
	var parts []part
	size := 0
	for p, err := range c.flaws.all() {
		if err != nil {
			return err
		}
		id, _, _ := bytes.Cut(p.key, []byte{0})
		if string(id) != flaw {
			if err := writeFlaw(t, flaw, parts); err != nil {
				return err
			}
			flaw, parts, size = string(id), parts[:0], 0
		}
		if size += len(p.value); size > maxGroupSize {
			return fmt.Errorf("the records about %q together are too large", flaw)
		}
		parts = append(parts, part{kind: p.key[len(id)+1], id: string(p.key[len(id)+2:]), value: bytes.Clone(p.value)})
	}
	c.flaws.close()
	return writeFlaw(t, flaw, parts)
}

// part is something that is known about a flaw.
type part struct {
	kind  byte
	id    string // of the advisory
	value []byte
}

func writeFlaw(t *tableWriter, flaw string, parts []part) error {
	w := newView(flaw)
	var advisories []part
	for _, p := range parts {
		d := &decoder{s: string(p.value)}
		switch p.kind {
		case kindEPSS:
			if e := d.epss(); w.v.EPSS == nil || p.id == flaw { // the canonical ID's own goes first
				w.v.EPSS = &e
			}
		case kindKEV:
			if k := d.kev(); w.v.KEV == nil || p.id == flaw {
				w.v.KEV = &k
			}
		case kindRating:
			w.ratings[d.rating()] = true
		case kindWithdrawn:
			advisories = append(advisories, p)
		default:
			a := d.advisory()
			w.addAdvisory(&a, p.kind == kindNames, p.kind == kindForeign)
			if p.kind != kindForeign {
				advisories = append(advisories, p)
			}
		}
		if d.err != nil {
			return d.err
		}
	}
	if w.live {
		if err := t.add([]byte(flaw+"\x00"), appendVulnerability(nil, w.finish())); err != nil {
			return err
		}
	}
	// Of the records that several sources have under one ID, one is shown; live
	// ones stand first.
	slices.SortStableFunc(advisories, func(a, b part) int { return strings.Compare(a.id, b.id) })
	advisories = slices.CompactFunc(advisories, func(a, b part) bool { return a.id == b.id })
	for _, a := range advisories {
		if err := t.add([]byte(flaw+"\x00"+a.id), a.value); err != nil {
			return err
		}
	}
	return nil
}

func (c *compiler) writeNames(t *tableWriter) error {
	var last []byte
	for p, err := range c.names.all() {
		if err != nil {
			return err
		}
		if last != nil && bytes.Equal(p.key, last) {
			continue
		}
		if err := t.add(p.key, p.value); err != nil {
			return err
		}
		last = append(last[:0], p.key...)
	}
	return nil
}
