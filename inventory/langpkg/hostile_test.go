package langpkg

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/inventory"
)

func limitReached(t *testing.T, facts []plimsoll.Problem, err error) bool {
	t.Helper()
	for _, p := range facts {
		if p.Code == plimsoll.ProblemLimit {
			return true
		}
	}
	return plimsoll.CodeOf(err) == plimsoll.CodeLimit
}

func TestArchiveNestingAtAndBeyondLimit(t *testing.T) {
	t.Parallel()
	for _, depth := range []int{maxJarDepth - 1, maxJarDepth} {
		name, content := pom("org.a", "core", "1.0")
		archive := jar(t, name, content)
		for range depth {
			archive = zipOf(t, zip.Deflate, "inner.jar", archive)
		}
		facts, err := java{}.Analyze(context.Background(), file("a.jar", archive))
		if err != nil {
			t.Fatal(err)
		}
		beyond := depth >= maxJarDepth
		if limitReached(t, facts.Problems, nil) != beyond || (len(facts.Packages) == 1) == beyond {
			t.Errorf("%d archives around it: %v, %v", depth, brief(facts), facts.Problems)
		}
	}
}

func TestZipBombEndsTheTree(t *testing.T) {
	t.Parallel()
	// 40 archives that inflate to 2 MiB each, with the ratio of a real bomb.
	zeros := strings.Repeat("\x00", 2<<20)
	var pairs []string
	for i := range 40 {
		pairs = append(pairs, "lib/"+string(rune('a'+i%26))+strings.Repeat("x", i)+".jar", zeros)
	}
	bomb := file("bomb.jar", zipOf(t, zip.Deflate, pairs...))
	start := time.Now()
	facts, err := java{}.Analyze(context.Background(), bomb)
	if !limitReached(t, facts.Problems, err) {
		t.Errorf("error %v, problems %v", err, facts.Problems)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestNestedArchiveLargerThanLimit(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("inflates 64 MiB")
	}
	archive := zipOf(t, zip.Deflate, "big.jar", strings.Repeat("\x00", maxJarNested+1))
	facts, err := java{}.Analyze(context.Background(), file("a.jar", archive))
	if !limitReached(t, facts.Problems, err) {
		t.Errorf("error %v, problems %v", err, facts.Problems)
	}
}

// directoryOf makes a central directory of n entries without the entries.
func directoryOf(n int) string {
	var b bytes.Buffer
	header := make([]byte, zipDirHeader+2)
	copy(header, "PK\x01\x02")
	binary.LittleEndian.PutUint16(header[28:], 2)
	copy(header[zipDirHeader:], "xy")
	for range n {
		b.Write(header)
	}
	end := make([]byte, zipEndHeader)
	copy(end, "PK\x05\x06")
	binary.LittleEndian.PutUint16(end[10:], uint16(n))
	binary.LittleEndian.PutUint32(end[12:], uint32(b.Len()))
	b.Write(end)
	return b.String()
}

func TestZipEntriesAtAndBeyondLimit(t *testing.T) {
	t.Parallel()
	for _, n := range []int{maxZipEntries, maxZipEntries + 1} {
		_, err := java{}.Analyze(context.Background(), file("a.jar", directoryOf(n)))
		if got := plimsoll.CodeOf(err) == plimsoll.CodeLimit; got != (n > maxZipEntries) {
			t.Errorf("%d entries: %v", n, err)
		}
	}
}

// TestOverlappingEntriesAreBounded: entries that all point at one nested archive, five
// levels deep, would be read 100^5 times.
func TestOverlappingEntriesAreBounded(t *testing.T) {
	t.Parallel()
	archive := directoryOf(2000)
	for range maxJarDepth - 1 {
		archive = overlapping(archive, 100)
	}
	start := time.Now()
	_, err := java{}.Analyze(context.Background(), file("a.jar", archive))
	if plimsoll.CodeOf(err) != plimsoll.CodeLimit {
		t.Errorf("%v", err)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %v", d)
	}
}

// overlapping makes an archive whose n stored entries share one content.
func overlapping(content string, n int) string {
	var b bytes.Buffer
	local := make([]byte, 30+5)
	copy(local, "PK\x03\x04")
	binary.LittleEndian.PutUint16(local[26:], 5)
	copy(local[30:], "x.jar")
	b.Write(local)
	b.WriteString(content)
	start := b.Len()
	header := make([]byte, zipDirHeader+5)
	copy(header, "PK\x01\x02")
	binary.LittleEndian.PutUint32(header[20:], uint32(len(content)))
	binary.LittleEndian.PutUint32(header[24:], uint32(len(content)))
	binary.LittleEndian.PutUint16(header[28:], 5)
	copy(header[zipDirHeader:], "x.jar")
	for range n {
		b.Write(header)
	}
	end := make([]byte, zipEndHeader)
	copy(end, "PK\x05\x06")
	binary.LittleEndian.PutUint16(end[10:], uint16(n))
	binary.LittleEndian.PutUint32(end[12:], uint32(b.Len()-start))
	binary.LittleEndian.PutUint32(end[16:], uint32(start))
	b.Write(end)
	return b.String()
}

func TestProblemsOfOneArchiveAreCounted(t *testing.T) {
	t.Parallel()
	facts := analyze(t, java{}, "a.jar", overlapping("garbage", 3*maxJarProblems))
	last := facts.Problems[len(facts.Problems)-1]
	if len(facts.Problems) != maxJarProblems+1 || last.Count != 2*maxJarProblems || last.Code != plimsoll.ProblemCorruptFile {
		t.Errorf("%d problems, the last %+v", len(facts.Problems), last)
	}
}

func TestEncryptedEntryIsAProblem(t *testing.T) {
	t.Parallel()
	name, content := pom("org.a", "alpha", "1.0")
	archive := []byte(jar(t, name, content))
	dir := bytes.Index(archive, []byte("PK\x01\x02"))
	archive[dir+8] |= 1
	facts, err := java{}.Analyze(context.Background(), file("alpha-1.0.jar", string(archive)))
	if err != nil || len(facts.Problems) != 1 || facts.Problems[0].Code != plimsoll.ProblemCorruptFile {
		t.Errorf("%v, %v", facts.Problems, err)
	}
}

func TestNamesThatAreNotTextStayData(t *testing.T) {
	t.Parallel()
	name, content := pom("org.a", "al\xffpha", "1.0")
	facts := analyze(t, java{}, "a.war", jar(t, "WEB-INF/lib/\x1b[2Jx.jar", jar(t, name, content)))
	equal(t, brief(facts), []string{"org.a:al\uFFFDpha 1.0"})
	equal(t, facts.Packages[0].Path, "a.war!/WEB-INF/lib/ [2Jx.jar")
}

func TestCancelledContextEndsTheTree(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := (java{}).Analyze(ctx, file("a.jar", jar(t))); err == nil {
		t.Error("no error")
	}
}

// failsAt is a disk that fails from its nth read on.
type failsAt struct {
	r     *strings.Reader
	reads int
	fired bool
}

func (f *failsAt) ReadAt(p []byte, off int64) (int, error) {
	if f.reads--; f.reads < 0 {
		f.fired = true
		return 0, errors.New("input/output error")
	}
	return f.r.ReadAt(p, off)
}

func TestFailingDiskIsNeverSilent(t *testing.T) {
	t.Parallel()
	name, content := pom("org.a", "alpha", "1.0")
	inner := jar(t, name, content)
	manifest := "Implementation-Version: 1.0\n"
	for _, c := range []struct {
		a             inventory.Analyzer
		path, content string
	}{
		{java{}, "x.jar", "#!/bin/sh\n" + jar(t, name, content, "META-INF/MANIFEST.MF", manifest, "lib/a.jar", inner)},
		{java{}, "x.jar", zipOf(t, zip.Deflate, name, content, "META-INF/MANIFEST.MF", manifest, "lib/a.jar", inner)},
		{java{}, "x.jar", directoryOf(2000)},
		{python{}, "x.egg", zipOf(t, zip.Deflate, "EGG-INFO/PKG-INFO", metadata)},
		{python{}, "a-1.dist-info/METADATA", metadata},
		{npm{}, "node_modules/a/package.json", usualPackageJSON},
		{executable{}, "usr/sbin/nginx", elfOf(".rodata", strings.Repeat("x", 1<<20)+"nginx/1.2.3", ".data", "y")},
		{executable{}, "usr/bin/x", elfOf(".dep-v0", compressed(`{"packages":[]}`))},
		{executable{}, "usr/bin/x", elfOf(".go.buildinfo", "\xff Go buildinf:\x08\x02", ".text", "x")},
		{gem{}, "specifications/a-1.gemspec", gemspec},
	} {
		for n := 0; ; n++ {
			disk := &failsAt{r: strings.NewReader(c.content), reads: n}
			facts, err := c.a.Analyze(context.Background(), inventory.File{Path: c.path, Size: int64(len(c.content)), ReaderAt: disk})
			if !disk.fired {
				break
			}
			told := plimsoll.CodeOf(err) == plimsoll.CodeUnreadable
			for _, p := range facts.Problems {
				told = told || p.Code == plimsoll.ProblemUnreadableFile
			}
			if !told {
				t.Errorf("%s of %s: read %d failed, and the answer was %v, %v, %v", c.a.Name(), c.path, n, brief(facts), facts.Problems, err)
			}
		}
	}
}

// endless is a file of any size that is not there: after its head come zeros.
type endless string

func (e endless) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(e)) {
		copy(p, e[off:])
	}
	return len(p), nil
}

// Each file attacks what reads it: by a size that it claims, by what it expands
// to, by its depth. It costs little memory, and no package comes of it but the one
// that its path names.
func TestHostileFilesOfApplications(t *testing.T) {
	const most = 192 << 20 // bytes allocated in all; a list of crates may expand to a third of it
	le := binary.LittleEndian
	claim := func(b string, at int, n uint64) string {
		c := []byte(b)
		le.PutUint64(c[at:], n)
		return string(c)
	}
	elf := elfOf(".rodata", "x", ".go.buildinfo", "\xff Go buildinf:\x08\x02"+strings.Repeat("\x00", 16)+"\xff\xff\xff\xff\xff\xff\xff\xff\x7f")
	uncounted := []byte(elfOf(".rodata", "x"))
	le.PutUint16(uncounted[60:], 0) // the first section header has the number
	shoff := int(le.Uint64(uncounted[40:]))
	wide := []byte(elfOf(".rodata", "x"))
	le.PutUint16(wide[58:], 1<<16-1)
	le.PutUint16(wide[60:], maxElfSections)
	lying := []byte(zipOf(t, zip.Deflate, "META-INF/maven/g/a/pom.properties", "groupId=g"))
	directory := bytes.Index(lying, []byte("PK\x01\x02"))
	le.PutUint32(lying[directory+24:], 1<<32-2)
	deep := strings.Repeat("[", 1<<20)
	for name, test := range map[string]struct {
		a       inventory.Analyzer
		path    string
		content string
		size    int64 // as claimed; 0: what it is
	}{
		"ELF of 2^32 sections":                    {executable{}, "usr/bin/a", claim(string(uncounted), shoff+32, 1<<32), 0},
		"ELF whose section headers take 256 MiB":  {executable{}, "usr/bin/a", string(wide), 1 << 30},
		"ELF section of 2^63 bytes":               {executable{}, "usr/bin/a", claim(elf, int(le.Uint64([]byte(elf)[40:]))+64+32, 1<<63-1), 0},
		"ELF section headers at the end of space": {executable{}, "usr/bin/a", claim(elf, 40, 1<<63-1), 1 << 40},
		"Go build information of 2^63 bytes":      {executable{}, "usr/bin/a", elf, 0},
		"Go build information of 1 TiB":           {executable{}, "usr/bin/a", claim(elf, int(le.Uint64([]byte(elf)[40:]))+2*64+32, 1<<39), 1 << 40},
		"list of crates that inflates to 256 MiB": {executable{}, "usr/bin/a", elfOf(".dep-v0", compressed(strings.Repeat("[", 256<<20))), 0},
		"zip that claims 4 GiB of an entry":       {java{}, "a.jar", string(lying), 0},
		"zip of 1 TiB without an end":             {java{}, "a.jar", "PK\x03\x04", 1 << 40},
		"zip directory beyond the end":            {java{}, "a.jar", claim(string(lying), len(lying)-10, 1<<48-1), 0},
		"XML whose entities expand to 10^30":      {java{}, "a.jar", zipOf(t, zip.Deflate, "META-INF/maven/g/a/pom.xml", entities(30)), 0},
		"JSON nested a million deep, npm":         {npm{}, "node_modules/a/package.json", deep, 0},
		"JSON nested a million deep, PHP":         {composer{}, "vendor/composer/installed.json", deep, 0},
		"JSON nested a million deep, .NET":        {dotnet{}, "a.deps.json", deep, 0},
		"JSON nested a million deep, SBOM":        {sbom{}, "usr/share/sbom/a.cdx.json", `{"components":` + deep, 0},
		"YAML whose aliases expand to 10^30":      {dart{}, "hosted/pub.dev/a-1/pubspec.yaml", aliases(30) + "name: *a29\nversion: *a29\n", 0},
		"Erlang terms nested a million deep":      {erlang{}, "ebin/a.app", "{application, a, " + deep, 0},
		"package.json of 1 TiB":                   {npm{}, "node_modules/a/package.json", "{", 1 << 40},
		"METADATA of 1 TiB":                       {python{}, "a-1.dist-info/METADATA", "Name: a\n", 1 << 40},
		"gemspec of one endless line":             {gem{}, "specifications/a-1.gemspec", "s.name = " + strings.Repeat("a", 1<<20), 1 << 40},
	} {
		t.Run(name, func(t *testing.T) {
			f := file(test.path, test.content)
			if test.size > 0 {
				f.Size, f.ReaderAt = test.size, endless(test.content)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			facts, err := test.a.Analyze(context.Background(), f)
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > most {
				t.Errorf("allocated %d MiB", took>>20)
			}
			if err != nil && plimsoll.CodeOf(err) == plimsoll.CodeInternal {
				t.Errorf("an error without a code: %v", err)
			}
			if len(facts.Packages) > 0 && strings.Join(brief(facts), "") != "a 1" {
				t.Errorf("it found %v", brief(facts))
			}
		})
	}
}

// entities is a pom.xml whose artifact is n entities, each of ten of the one before.
func entities(n int) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0"?><!DOCTYPE project [<!ENTITY a0 "x">`)
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, `<!ENTITY a%d "%s">`, i, strings.Repeat(fmt.Sprintf("&a%d;", i-1), 10))
	}
	fmt.Fprintf(&b, "]><project><groupId>g</groupId><artifactId>&a%d;</artifactId><version>1</version></project>", n-1)
	return b.String()
}

// aliases is YAML of n lists, each of ten aliases of the one before.
func aliases(n int) string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return b.String()
}
