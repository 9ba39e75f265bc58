// Package sample makes a first run possible anywhere: three small images, built
// in code as an OCI layout, and a dated handful of advisory facts.
//
// It owns nothing that a real scan relies on. Its images hold package metadata
// and no program; everything in it is ours or named in README.md.
package sample

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/opencontainers/go-digest"
)

//go:embed records
var records embed.FS

// Advisories returns the sample records as package feed compiles them: OSV
// records by ecosystem, kev.json, epss.csv and cvss.csv.
func Advisories() fs.FS {
	sub, err := fs.Sub(records, "records")
	if err != nil {
		panic(err) // the name above is valid
	}
	return sub
}

// when is the date of everything in the sample images, so that they have the
// same image IDs everywhere.
var when = time.Date(2026, 8, 16, 0, 0, 0, 0, time.UTC)

// file is a regular file of a layer.
type file struct{ path, text string }

// layer is one change set and the build step that its history names.
type layer struct {
	step  string
	files []file
}

// image is one sample image, bottom layer first.
type image struct {
	name   string
	layers []layer
}

func images() []image {
	debian := layer{"ADD rootfs.tar / # sample of Debian 12", []file{
		{"etc/os-release", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n"},
		{"etc/debian_version", "12.1\n"},
		{"var/lib/dpkg/status", dpkgStatus(
			"base-files", "12.4", "",
			"apt", "2.6.1", "",
			"libc6", "2.36-9+deb12u1", "glibc",
			"libc-bin", "2.36-9+deb12u1", "glibc",
			"libssl3", "3.0.9-1", "openssl",
			"openssl", "3.0.9-1", "",
			"libcurl4", "7.88.1-10", "curl",
			"curl", "7.88.1-10", "",
			"zlib1g", "1:1.2.13.dfsg-1", "zlib",
			"liblzma5", "5.4.1-0.2", "xz-utils",
			"libexpat1", "2.5.0-1", "expat",
			"libgnutls30", "3.7.9-2", "gnutls28",
			"libsystemd0", "252.12-1~deb12u1", "systemd",
			"tar", "1.34+dfsg-1.2", "",
		)},
	}}
	alpine := layer{"ADD rootfs.tar / # sample of Alpine 3.17", []file{
		{"etc/os-release", "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.17.0\nPRETTY_NAME=\"Alpine Linux v3.17\"\n"},
		{"lib/apk/db/installed", apkInstalled(
			"musl", "1.2.3-r4", "musl",
			"busybox", "1.35.0-r29", "busybox",
			"libssl3", "3.0.7-r0", "openssl",
			"libcrypto3", "3.0.7-r0", "openssl",
			"zlib", "1.2.13-r0", "zlib",
			"apk-tools", "2.12.10-r1", "apk-tools",
		)},
	}}
	return []image{
		{"sample/debian:12", []layer{debian}},
		{"sample/shop:1.0", []layer{debian,
			{"COPY node_modules /app/node_modules", []file{
				nodePackage("lodash", "4.17.19"), nodePackage("minimist", "1.2.5"), nodePackage("ws", "7.4.5"),
				nodePackage("qs", "6.5.2"), nodePackage("json5", "2.2.1"), nodePackage("node-fetch", "2.6.6"), nodePackage("ms", "2.1.3"),
			}},
			{"COPY shop.jar /app/shop.jar", []file{
				{"app/shop.jar", jar("com.example", "shop", "1.0",
					"org.yaml", "snakeyaml", "1.30", "commons-io", "commons-io", "2.6", "org.apache.logging.log4j", "log4j-core", "2.8.1", "org.apache.tomcat.embed", "tomcat-embed-core", "9.0.40")},
			}},
		}},
		{"sample/api:2.3", []layer{alpine,
			{"RUN pip install -r requirements.txt", []file{
				pythonPackage("Flask", "2.2.2"), pythonPackage("Jinja2", "2.11.2"), pythonPackage("requests", "2.27.1"),
				pythonPackage("urllib3", "1.26.4"), pythonPackage("Werkzeug", "2.2.2"),
			}},
		}},
	}
}

// Write makes the OCI layout (OCI image layout specification 1.1) with the
// sample images in dir, which is created. The bytes are the same every time.
func Write(dir string) error {
	blobs := filepath.Join(dir, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return fmt.Errorf("write sample images: %w", err)
	}
	put := func(mediaType string, content []byte) (ocispec.Descriptor, error) {
		sum := sha256.Sum256(content)
		name := hex.EncodeToString(sum[:])
		d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.NewDigestFromEncoded(digest.SHA256, name), Size: int64(len(content))}
		return d, os.WriteFile(filepath.Join(blobs, name), content, 0o644)
	}
	putJSON := func(mediaType string, v any) (ocispec.Descriptor, error) {
		content, err := json.Marshal(v)
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		return put(mediaType, content)
	}
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for _, img := range images() {
		manifest := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
		config := ocispec.Image{Created: &when, Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}, RootFS: ocispec.RootFS{Type: "layers"}}
		for _, l := range img.layers {
			content, err := l.tar()
			if err != nil {
				return fmt.Errorf("write sample images: %w", err)
			}
			d, err := put(ocispec.MediaTypeImageLayer, content)
			if err != nil {
				return fmt.Errorf("write sample images: %w", err)
			}
			manifest.Layers = append(manifest.Layers, d)
			config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, d.Digest)
			config.History = append(config.History, ocispec.History{Created: &when, CreatedBy: l.step})
		}
		var err error
		if manifest.Config, err = putJSON(ocispec.MediaTypeImageConfig, config); err != nil {
			return fmt.Errorf("write sample images: %w", err)
		}
		d, err := putJSON(ocispec.MediaTypeImageManifest, manifest)
		if err != nil {
			return fmt.Errorf("write sample images: %w", err)
		}
		d.Annotations = map[string]string{ocispec.AnnotationRefName: img.name, "io.containerd.image.name": img.name}
		index.Manifests = append(index.Manifests, d)
	}
	for name, v := range map[string]any{
		ocispec.ImageLayoutFile: ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion},
		ocispec.ImageIndexFile:  index,
	} {
		content, err := json.Marshal(v)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), content, 0o644)
		}
		if err != nil {
			return fmt.Errorf("write sample images: %w", err)
		}
	}
	return nil
}

// tar returns the layer's change set, parents before children.
func (l layer) tar() ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	var dirs []string
	for _, f := range l.files {
		for dir := filepath.Dir(f.path); dir != "."; dir = filepath.Dir(dir) {
			dirs = append(dirs, dir+"/")
		}
	}
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755, ModTime: when}); err != nil {
			return nil, err
		}
	}
	for _, f := range l.files {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.path, Mode: 0o644, Size: int64(len(f.text)), ModTime: when}); err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(f.text)); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), w.Close()
}

// dpkgStatus lists packages given as name, version, source.
func dpkgStatus(packages ...string) string {
	var b strings.Builder
	for p := range slices.Chunk(packages, 3) {
		fmt.Fprintf(&b, "Package: %s\nStatus: install ok installed\nArchitecture: amd64\nVersion: %s\n", p[0], p[1])
		if p[2] != "" {
			fmt.Fprintf(&b, "Source: %s\n", p[2])
		}
		b.WriteString("Maintainer: Debian maintainers <debian-devel@lists.debian.org>\n\n")
	}
	return b.String()
}

// apkInstalled lists packages given as name, version, origin.
func apkInstalled(packages ...string) string {
	var b strings.Builder
	for p := range slices.Chunk(packages, 3) {
		fmt.Fprintf(&b, "P:%s\nV:%s\nA:x86_64\no:%s\n\n", p[0], p[1], p[2])
	}
	return b.String()
}

func nodePackage(name, version string) file {
	return file{"app/node_modules/" + name + "/package.json", fmt.Sprintf("{\"name\":%q,\"version\":%q,\"license\":\"MIT\"}\n", name, version)}
}

func pythonPackage(name, version string) file {
	dir := fmt.Sprintf("usr/lib/python3.10/site-packages/%s-%s.dist-info", name, version)
	return file{dir + "/METADATA", fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n\n", name, version)}
}

// jar returns a Spring-Boot-like archive of group, artifact, version with nested
// archives, given likewise.
func jar(group, artifact, version string, nested ...string) string {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	add := func(name, text string) {
		// Writing to memory cannot fail.
		f, _ := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store, Modified: when})
		f.Write([]byte(text))
	}
	add("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\n\r\n")
	add(fmt.Sprintf("META-INF/maven/%s/%s/pom.properties", group, artifact), fmt.Sprintf("groupId=%s\nartifactId=%s\nversion=%s\n", group, artifact, version))
	for n := range slices.Chunk(nested, 3) {
		add(fmt.Sprintf("BOOT-INF/lib/%s-%s.jar", n[1], n[2]), jar(n[0], n[1], n[2]))
	}
	w.Close()
	return b.String()
}
