package feed

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"plimsoll"
)

// maxRepomd bounds a repomd.xml, in bytes; real ones have some ten thousand.
const maxRepomd = 4 << 20

// repoMD is what is read of a yum or dnf repository's repomd.xml.
type repoMD struct {
	XMLName xml.Name   `xml:"repomd"`
	Data    []repoData `xml:"data"`
}

type repoData struct {
	Type     string `xml:"type,attr"`
	Checksum struct {
		Type string `xml:"type,attr"`
		Sum  string `xml:",chardata"`
	} `xml:"checksum"`
	Location struct {
		Href string `xml:"href,attr"`
	} `xml:"location"`
}

// parseRepoMD returns the entry of the errata.
func parseRepoMD(b []byte) (repoData, error) {
	var md repoMD
	if err := xml.Unmarshal(b, &md); err != nil {
		return repoData{}, fmt.Errorf("no repomd.xml: %w", err)
	}
	for _, d := range md.Data {
		if d.Type != "updateinfo" {
			continue
		}
		// What the operator named is what is asked: no other host, nothing above
		// the repository.
		u, err := url.Parse(d.Location.Href)
		if err != nil || u.Scheme != "" || u.Host != "" || u.Path == "" || path.IsAbs(u.Path) || !filepath.IsLocal(u.Path) {
			return repoData{}, fmt.Errorf("repomd.xml places the errata at %.80q, outside the repository", d.Location.Href)
		}
		return d, nil
	}
	return repoData{}, errNoErrata
}

var errNoErrata = errors.New("the repository publishes no errata (updateinfo)")

// check says whether f has the checksum that repomd.xml states.
func (d *repoData) check(f io.ReadSeeker) error {
	var sum hash.Hash
	switch strings.ToLower(d.Checksum.Type) {
	case "sha256":
		sum = sha256.New()
	case "sha512":
		sum = sha512.New()
	case "sha384":
		sum = sha512.New384()
	case "sha224":
		sum = sha256.New224()
	case "sha", "sha1": // of old repositories: it still tells a damaged file
		sum = sha1.New()
	case "md5":
		sum = md5.New()
	default:
		return fmt.Errorf("repomd.xml has a checksum of the unknown type %.20q", d.Checksum.Type)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	want, err := hex.DecodeString(strings.TrimSpace(d.Checksum.Sum))
	if err != nil || !bytes.Equal(sum.Sum(nil), want) {
		return errors.New("the errata are not those that repomd.xml describes: damaged, or the repository is just being changed")
	}
	return nil
}

// fetchRepository fetches the errata of a yum or dnf repository: of its root, of
// its repomd.xml, or the file of errata itself.
func fetchRepository(ctx context.Context, f *fetcher, s Source, address *url.URL, dir string) ([]string, error) {
	root := address
	switch base := path.Base(address.Path); {
	case base == "repomd.xml":
		root = address.JoinPath("../..")
	case strings.Contains(base, ".xml"):
		return fetchFile(ctx, f, s, address, dir)
	}
	md, errata := dir+"/repomd.xml", dir+"/file"
	var d repoData
	check := func(file *os.File) error {
		b, err := readStart(file, maxRepomd)
		if err == nil {
			d, err = parseRepoMD(b)
		}
		return err
	}
	if _, err := f.fetch(ctx, s.name(), root.JoinPath("repodata", "repomd.xml"), md, maxRepomd, check); err != nil {
		return nil, err
	}
	// An unchanged copy was not checked now.
	if err := inspect(f.path(md), check); err != nil {
		return nil, err
	}
	if inspect(f.path(errata), func(file *os.File) error { return d.check(file) }) == nil && f.info(errata).URL != "" {
		return []string{errata}, f.touch(errata, f.info(md).Fetched)
	}
	_, err := f.fetch(ctx, s.name(), root.JoinPath(d.Location.Href), errata, maxSourceFile, func(file *os.File) error { return d.check(file) })
	return []string{errata}, err
}

func readStart(f *os.File, limit int) ([]byte, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return readLimited(f, nil, limit)
}

// inspect opens a copy and hands it to check.
func inspect(path string, check func(*os.File) error) error {
	file, err := os.Open(path)
	if err != nil {
		return diskError(err)
	}
	defer file.Close()
	return check(file)
}

// listRepository returns the errata of a directory: those that its
// repodata/repomd.xml names, else every file that is named like one.
func listRepository(dir string) ([]string, error) {
	var d repoData
	err := inspect(filepath.Join(dir, "repodata", "repomd.xml"), func(file *os.File) error {
		b, err := readStart(file, maxRepomd)
		if err == nil {
			d, err = parseRepoMD(b)
		}
		return err
	})
	if err == nil {
		file := filepath.Join(dir, filepath.FromSlash(d.Location.Href))
		return []string{file}, inspect(file, func(f *os.File) error { return d.check(f) })
	}
	if plimsoll.CodeOf(err) == "" { // there is one, and it is of no use
		return nil, err
	}
	files, err := filesIn(dir, func(name string) bool {
		return strings.Contains(name, "updateinfo") && strings.Contains(name, ".xml")
	})
	return slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, ".zck") || strings.HasSuffix(name, ".asc") }), err
}
