package vulndb

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll"
)

// A directory of generations holds
//
//	gen/<number>-<digest>.plimdb  the generations, numbered as they were activated
//	gen/….plimdb.seal             their seals, and in keys/ what they need, see [Seal]
//	current                       a link to the active one
//	lock                          held by whoever changes anything
//
// Readers need no lock: the link is replaced in one step, and an open file
// outlives its removal.
const (
	genDir      = "gen"
	genSuffix   = ".plimdb"
	tmpSuffix   = ".tmp"
	currentLink = "current"
	lockName    = "lock"

	// keepGenerations is how many generations stay for rollback, the active one
	// included.
	keepGenerations = 3

	// maxImport bounds an imported file.
	maxImport = 8 << 30
)

// Installed is one generation of a directory.
type Installed struct {
	plimsoll.Generation
	Path    string
	Size    int64 // bytes
	Current bool
}

// OpenCurrent opens the active generation of dir. The error has CodeNotFound
// when there is none.
func OpenCurrent(dir string) (*DB, error) {
	_, db, err := openCurrent(dir)
	return db, err
}

// openCurrent also returns the path of the file, which others may replace meanwhile.
func openCurrent(dir string) (path string, db *DB, err error) {
	if _, err := os.Readlink(filepath.Join(dir, currentLink)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", nil, fileError("open advisories", err)
	}
	name := currentName(dir)
	path = filepath.Join(dir, genDir, name)
	if name != "" {
		db, err = openFile(path, "fetch the advisories again with plimsoll db update, or go back with plimsoll db rollback")
	}
	if name == "" || plimsoll.CodeOf(err) == plimsoll.CodeNotFound {
		return "", nil, &plimsoll.Error{Code: plimsoll.CodeNotFound, Op: "open advisories",
			Err: errors.New("there are no advisories yet"), Hint: "fetch them with plimsoll db update"}
	}
	return path, db, err
}

// Generations lists the generations of dir that can be opened, the latest
// activated first. A directory that does not exist has none.
func Generations(dir string) ([]Installed, error) {
	names, err := generationNames(dir)
	if err != nil {
		return nil, err
	}
	current := currentName(dir)
	var list []Installed
	for _, name := range slices.Backward(names) {
		path := filepath.Join(dir, genDir, name)
		db, err := Open(path)
		if err != nil {
			continue
		}
		list = append(list, Installed{Generation: db.Generation(), Path: path, Size: db.size, Current: name == current})
		db.Close()
	}
	return list, nil
}

// generationNames lists the files of generations, by number.
func generationNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, genDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fileError("list advisories", err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), genSuffix) && generationNumber(e.Name()) > 0 {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(generationNumber(a), generationNumber(b)), strings.Compare(a, b))
	})
	return names, nil
}

// generationNumber returns the number in a file name, 0 when there is none.
func generationNumber(name string) int {
	number, _, _ := strings.Cut(name, "-")
	n, err := strconv.Atoi(number)
	if err != nil {
		return 0
	}
	return n
}

// currentName returns the file name of the active generation, "" for none.
func currentName(dir string) string {
	target, err := os.Readlink(filepath.Join(dir, currentLink))
	if err != nil {
		return ""
	}
	return filepath.Base(target)
}

// Dir is the exclusive right to change a directory of generations, until
// Release. A crash at any moment leaves the active generation as it was.
type Dir struct {
	path string
	lock *os.File
}

// Acquire makes the directory if need be and takes the right to change it. The
// error has CodeUnavailable when another process holds it, CodeUnreadable when
// the directory cannot be written.
func Acquire(path string) (*Dir, error) {
	const op = "lock advisories"
	if err := os.MkdirAll(filepath.Join(path, genDir), 0o755); err != nil {
		return nil, fileError(op, err)
	}
	f, err := os.OpenFile(filepath.Join(path, lockName), os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, fileError(op, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &plimsoll.Error{Code: plimsoll.CodeUnavailable, Op: op,
				Err: errors.New("another process is changing the advisories"), Hint: "wait until it is done"}
		}
		return nil, fileError(op, err)
	}
	d := &Dir{path: path, lock: f}
	d.sweep()
	return d, nil
}

// Release gives the right back.
func (d *Dir) Release() error { return d.lock.Close() }

// sweep removes what a process that was killed left behind. Whoever holds the
// lock knows that nobody works on it.
func (d *Dir) sweep() {
	leftovers, _ := filepath.Glob(filepath.Join(d.path, genDir, "*"+tmpSuffix))
	keys, _ := filepath.Glob(filepath.Join(d.path, keysDir, "*"+tmpSuffix))
	for _, path := range slices.Concat(leftovers, keys, []string{filepath.Join(d.path, currentLink+tmpSuffix)}) {
		os.Remove(path)
	}
	seals, _ := filepath.Glob(filepath.Join(d.path, genDir, "*"+sealSuffix))
	for _, path := range seals {
		if _, err := os.Stat(strings.TrimSuffix(path, sealSuffix)); errors.Is(err, os.ErrNotExist) {
			os.Remove(path)
		}
	}
}

// NewWriter starts a generation in the directory; Activate makes it the active
// one.
func (d *Dir) NewWriter() *Writer { return NewWriter(d.candidate()) }

func (d *Dir) candidate() string { return filepath.Join(d.path, genDir, "candidate"+tmpSuffix) }

// Terms are what an import may do beyond what is safe.
type Terms struct {
	Force    bool // older advisories or far fewer than those in use
	Unsigned bool // a file without a seal, or with that of somebody unknown: who imports it vouches for it
}

// Import makes a copy of the generation that r holds the active one, on the
// conditions of Activate, when the bundle has the seal of a key that is trusted here.
// What it says is not looked at before its signature has proved right. The error has
// CodeCorrupt when the file is cut off, damaged or no generation, CodeInvalid when
// nobody trusted vouches for it.
func (d *Dir) Import(ctx context.Context, r io.Reader, terms Terms) (plimsoll.Generation, error) {
	const op = "import advisories"
	seal, r, err := cutSeal(r)
	if err != nil {
		return plimsoll.Generation{}, err
	}
	most, own := int64(maxImport), seal == nil
	if seal != nil {
		keys, err := ReadKeys(d.path)
		if err == nil {
			err = seal.check(keys.accepted(), time.Now())
		}
		if err != nil && (!terms.Unsigned || plimsoll.CodeOf(err) != plimsoll.CodeInvalid) {
			return plimsoll.Generation{}, err
		}
		own = err != nil
		most = min(most, seal.Size)
	}
	f, err := os.OpenFile(d.candidate(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return plimsoll.Generation{}, fileError(op, err)
	}
	defer os.Remove(d.candidate())
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, sum), io.LimitReader(r, most+1))
	switch {
	case err != nil:
	case n > maxImport:
		err = plimsoll.Errorf(plimsoll.CodeLimit, op, "the file is larger than %d bytes", int64(maxImport))
	default:
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return plimsoll.Generation{}, readError(op, "", err)
	}
	if seal != nil && (n != seal.Size || digest(sum) != seal.Digest) {
		return plimsoll.Generation{}, &plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: op,
			Err: errors.New("the file is not what its seal is about: cut off, damaged or changed"), Hint: "export it again"}
	}
	if seal == nil && !terms.Unsigned {
		if _, err := verified(ctx, d.candidate()); err != nil {
			return plimsoll.Generation{}, importError(err) // it is no generation at all
		}
		return plimsoll.Generation{}, &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: op, Err: errors.New("the file has no seal: nobody vouches for it"),
			Hint: "export it with a plimsoll of today; or, if you know where it comes from, use --unsigned"}
	}
	if own {
		seal = nil
	}
	g, err := d.activate(ctx, terms.Force, seal)
	return g, importError(err)
}

// importError speaks of the file that was imported, not of our copy of it, and of
// what helps with that.
func importError(err error) error {
	if plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
		return err
	}
	cause := err
	for next := errors.Unwrap(cause); next != nil; next = errors.Unwrap(cause) {
		cause = next
	}
	return &plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: "import advisories", Err: cause,
		Hint: "give a file that plimsoll db export wrote; if this is one, export it again"}
}

// Export writes a bundle that Import takes: the active generation of dir, after the
// seal of the key that vouches for it. The error has CodeNotFound when there is none.
func Export(dir string, w io.Writer) (plimsoll.Generation, error) {
	const op = "export advisories"
	path, db, err := openCurrent(dir)
	if err != nil {
		return plimsoll.Generation{}, err
	}
	defer db.Close()
	seal, err := validSeal(dir, path, db.Generation().Built)
	if err != nil {
		return plimsoll.Generation{}, err
	}
	if err := writeSeal(w, seal); err != nil {
		return plimsoll.Generation{}, &plimsoll.Error{Code: plimsoll.CodeUnavailable, Op: op, Err: err}
	}
	if _, err := io.Copy(w, io.NewSectionReader(db.src, 0, db.size)); err != nil {
		return plimsoll.Generation{}, &plimsoll.Error{Code: plimsoll.CodeUnavailable, Op: op, Err: err}
	}
	return db.Generation(), nil
}

// validSeal returns the seal of the generation at path. Whoever exports one of an
// earlier version, or of a key that has expired, vouches for it anew.
func validSeal(dir, path string, built time.Time) (*Seal, error) {
	seal, err := readSeal(path)
	if err != nil {
		return nil, err
	}
	keys, err := ReadKeys(dir)
	if err != nil || seal != nil && seal.check(keys.accepted(), time.Now()) == nil {
		return seal, err
	}
	d, err := Acquire(dir)
	if err != nil {
		return nil, err
	}
	defer d.Release()
	if seal, err = d.seal(path, built, time.Now()); err != nil {
		return nil, err
	}
	return seal, writeSealBeside(path, seal)
}

// Activate makes the generation that a Writer of this directory has finished
// the active one, after reading all of it. Unless force is given it is refused
// with CodeInvalid when it is older than the active one or lacks more than a
// tenth of the records of one of its sources, which points to a broken feed. It gets
// the seal of this directory. On any error the active generation stays.
func (d *Dir) Activate(ctx context.Context, force bool) (plimsoll.Generation, error) {
	return d.activate(ctx, force, nil)
}

// activate takes the seal of another directory, or makes one.
func (d *Dir) activate(ctx context.Context, force bool, seal *Seal) (plimsoll.Generation, error) {
	const op = "activate advisories"
	defer os.Remove(d.candidate())
	candidate, err := verified(ctx, d.candidate())
	if err != nil {
		return plimsoll.Generation{}, err
	}
	current, err := OpenCurrent(d.path)
	if err == nil {
		before := current.Generation()
		current.Close()
		if before.ID == candidate.ID {
			return before, nil
		}
		if reason := objection(before, candidate); reason != "" && !force {
			return plimsoll.Generation{}, &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: op, Err: errors.New(reason),
				Hint: "check the source; use --force if this is intended"}
		}
	}
	names, err := generationNames(d.path)
	if err != nil {
		return plimsoll.Generation{}, err
	}
	number := 1
	if len(names) > 0 {
		number = generationNumber(names[len(names)-1]) + 1
	}
	name := fmt.Sprintf("%06d-%s%s", number, candidate.ID.Short(), genSuffix)
	if seal == nil {
		if seal, err = d.seal(d.candidate(), candidate.Built, time.Now()); err != nil {
			return plimsoll.Generation{}, err
		}
	}
	if err := writeSealBeside(filepath.Join(d.path, genDir, name), seal); err != nil {
		return plimsoll.Generation{}, err
	}
	if err := d.install(name); err != nil {
		return plimsoll.Generation{}, fileError(op, err)
	}
	d.prune()
	return candidate, nil
}

// verified reads all of a generation and describes it.
func verified(ctx context.Context, path string) (plimsoll.Generation, error) {
	db, err := Open(path)
	if err != nil {
		return plimsoll.Generation{}, err
	}
	defer db.Close()
	return db.Generation(), db.Verify(ctx)
}

// objection says why after should not replace before; "" when it may.
func objection(before, after plimsoll.Generation) string {
	if before.Sample {
		return ""
	}
	if after.Sample {
		return "it is only a sample"
	}
	if after.Built.Before(before.Built) {
		return fmt.Sprintf("it is of %s, older than the advisories in use of %s",
			after.Built.Format("2006-01-02 15:04"), before.Built.Format("2006-01-02 15:04"))
	}
	records := map[string]plimsoll.DataSource{}
	for _, s := range after.Sources {
		records[s.Name] = s
	}
	for _, s := range before.Sources {
		now, kept := records[s.Name]
		switch {
		case !kept && s.Records > 0:
			return fmt.Sprintf("source %s with its %d records is gone", s.Name, s.Records)
		case !kept:
			continue
		}
		if lost := s.Records - now.Records; lost*10 > s.Records {
			return fmt.Sprintf("source %s has shrunk from %d to %d records", s.Name, s.Records, now.Records)
		}
		if now.Newest.Before(s.Newest) {
			return fmt.Sprintf("source %s is of %s, older than the one in use of %s",
				s.Name, now.Newest.Format("2006-01-02 15:04"), s.Newest.Format("2006-01-02 15:04"))
		}
	}
	return ""
}

// install gives the candidate its name and turns the link to it. Each step is
// durable before the next begins.
func (d *Dir) install(name string) error {
	gen := filepath.Join(d.path, genDir)
	if err := os.Rename(d.candidate(), filepath.Join(gen, name)); err != nil {
		return err
	}
	if err := syncDir(gen); err != nil {
		return err
	}
	return d.point(name)
}

// point makes name the active generation.
func (d *Dir) point(name string) error {
	link := filepath.Join(d.path, currentLink)
	if err := os.Remove(link + tmpSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(filepath.Join(genDir, name), link+tmpSuffix); err != nil {
		return err
	}
	if err := os.Rename(link+tmpSuffix, link); err != nil {
		return err
	}
	return syncDir(d.path)
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// prune removes old generations, never the active one. Failing to is no
// failure of what came before.
func (d *Dir) prune() {
	names, _ := generationNames(d.path)
	current := currentName(d.path)
	for len(names) > keepGenerations {
		if names[0] != current {
			os.Remove(filepath.Join(d.path, genDir, names[0]))
			os.Remove(filepath.Join(d.path, genDir, names[0]+sealSuffix))
		}
		names = names[1:]
	}
}

// Rollback makes the generation that was activated before the current one
// active again, after reading all of it. The error has CodeNotFound when there
// is none.
func (d *Dir) Rollback(ctx context.Context) (plimsoll.Generation, error) {
	const op = "roll advisories back"
	names, err := generationNames(d.path)
	if err != nil {
		return plimsoll.Generation{}, err
	}
	i := slices.Index(names, currentName(d.path))
	if i < 0 {
		i = len(names) // the active one is gone: the latest of the others will do
	}
	for i--; i >= 0; i-- {
		g, err := verified(ctx, filepath.Join(d.path, genDir, names[i]))
		if ctx.Err() != nil {
			return plimsoll.Generation{}, ctx.Err()
		}
		if err != nil {
			continue // damaged: try the one before
		}
		if err := d.point(names[i]); err != nil {
			return plimsoll.Generation{}, fileError(op, err)
		}
		return g, nil
	}
	return plimsoll.Generation{}, plimsoll.Errorf(plimsoll.CodeNotFound, op, "there is no earlier generation")
}
