package langpkg

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
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
