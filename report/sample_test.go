package report

import (
	"fmt"
	"time"

	"plimsoll"
)

// The report that the golden files show: a Debian image past its end of life
// with npm and Python software, an image without a system, one that could not
// be read, one that was read in part.

func at(day string) time.Time {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

func digest(what string) plimsoll.Digest { return plimsoll.DigestOf([]byte(what)) }

func sampleGeneration() *plimsoll.Generation {
	return &plimsoll.Generation{
		Schema: 1, ID: digest("generation"), Built: at("2026-11-20"), Advisories: 412345,
		Sources: []plimsoll.DataSource{
			{Name: "epss", URL: "https://epss.example/epss.csv.gz", Newest: at("2026-11-20"), Fetched: at("2026-11-21"), Records: 298000},
			{Name: "kev", URL: "https://kev.example/kev.json", Newest: at("2026-11-18"), Fetched: at("2026-11-21"), Records: 1500},
			{Name: "osv/Debian", URL: "https://osv.example/Debian/all.zip", Newest: at("2026-11-19"), Fetched: at("2026-11-21"), Records: 51234},
		},
	}
}

func sampleImage() plimsoll.Image {
	return plimsoll.Image{
		ID: digest("shop"), Engine: plimsoll.Docker, Store: "/var/lib/docker",
		Names:     []string{"registry.example/shop/api:2.4", "registry.example/shop/api:latest"},
		Manifests: []plimsoll.Digest{digest("manifest")},
		Platform:  plimsoll.Platform{OS: "linux", Architecture: "amd64"},
		Created:   at("2026-03-02"), Size: 143_200_000,
		Config: plimsoll.Config{User: "node", WorkingDir: "/srv", Cmd: []string{"node", "server.js"}, Env: []string{"TOKEN=never-shown"},
			Labels: map[string]string{"org.opencontainers.image.source": "https://git.example/shop", "a": "b"}},
		Layers: []plimsoll.Layer{
			{DiffID: digest("base"), ChainID: digest("base"), Size: 80_000_000, CreatedBy: "/bin/sh -c #(nop) ADD file:12ab in / ", Base: true},
			{DiffID: digest("app"), ChainID: digest("app chain"), Size: 63_200_000, CreatedBy: "RUN /bin/sh -c npm ci # buildkit"},
		},
		Containers: []plimsoll.Container{{ID: "c0ffee", Name: "web-1", State: "running"}, {ID: "decaf0", Name: "web-2", State: "exited"}},
	}
}

func sampleReport() plimsoll.Report {
	openssl := plimsoll.SourcePackage{Name: "openssl", Version: "1.1.1n-0+deb11u5"}
	libssl := plimsoll.Package{Type: plimsoll.TypeDeb, Name: "libssl1.1", Version: "1.1.1n-0+deb11u5", Arch: "amd64", Source: openssl,
		Licenses: []string{"OpenSSL"}, Supplier: "Debian OpenSSL Team <team@debian.example>", Path: "var/lib/dpkg/status", Layer: digest("base"),
		PURL: "pkg:deb/debian/libssl1.1@1.1.1n-0%2Bdeb11u5?arch=amd64&distro=debian-11", Evidence: plimsoll.EvidencePackageDB}
	zlib := plimsoll.Package{Type: plimsoll.TypeDeb, Name: "zlib1g", Version: "1:1.2.11.dfsg-2+deb11u2", Arch: "amd64",
		Source: plimsoll.SourcePackage{Name: "zlib", Version: "1:1.2.11.dfsg-2+deb11u2"}, Licenses: []string{"Zlib"}, Path: "var/lib/dpkg/status", Layer: digest("base"),
		PURL: "pkg:deb/debian/zlib1g@1%3A1.2.11.dfsg-2%2Bdeb11u2?arch=amd64&distro=debian-11", Evidence: plimsoll.EvidencePackageDB}
	headers := plimsoll.Package{Type: plimsoll.TypeDeb, Name: "linux-libc-dev", Version: "5.10.179-1", Arch: "amd64",
		Source: plimsoll.SourcePackage{Name: "linux", Version: "5.10.179-1"}, Path: "var/lib/dpkg/status", Layer: digest("base"),
		PURL: "pkg:deb/debian/linux-libc-dev@5.10.179-1?arch=amd64&distro=debian-11", Evidence: plimsoll.EvidencePackageDB}
	lodash := plimsoll.Package{Type: plimsoll.TypeNPM, Name: "lodash", Version: "4.17.20", Licenses: []string{"MIT"}, Supplier: "John-David Dalton",
		Path: "srv/app/node_modules/lodash/package.json", Layer: digest("app"), PURL: "pkg:npm/lodash@4.17.20", Evidence: plimsoll.EvidenceMetadata}
	scoped := plimsoll.Package{Type: plimsoll.TypeNPM, Name: "@babel/traverse", Version: "7.22.0", Licenses: []string{"MIT OR Apache-2.0"},
		Path: "srv/app/node_modules/@babel/traverse/package.json", Layer: digest("app"), PURL: "pkg:npm/%40babel/traverse@7.22.0", Evidence: plimsoll.EvidenceMetadata, Dev: true}
	requests := plimsoll.Package{Type: plimsoll.TypePyPI, Name: "requests", Version: "2.25.1", Licenses: []string{"Apache 2.0"},
		Path: "usr/lib/python3/dist-packages/requests-2.25.1.egg-info/PKG-INFO", Layer: digest("base"), Owner: "python3-requests",
		PURL: "pkg:pypi/requests@2.25.1", Evidence: plimsoll.EvidenceMetadata}
	stdlib := plimsoll.Package{Type: plimsoll.TypeGo, Name: "stdlib", Version: "1.20.1", Path: "usr/local/bin/tool", Locations: []string{"usr/local/bin/tool2"},
		Layer: digest("app"), PURL: "pkg:golang/stdlib@1.20.1", Evidence: plimsoll.EvidenceBuildInfo, Remark: "go1.20.1 X:boringcrypto"}

	reason := func(id, provider, pkg, version, r string) []plimsoll.Reason {
		return []plimsoll.Reason{{Advisory: id, Provider: provider, Modified: at("2026-10-01"), Ecosystem: "Debian:11", Package: pkg, Version: version, Scheme: "deb", Range: r}}
	}
	findings := []plimsoll.Finding{
		{Vulnerability: plimsoll.Vulnerability{ID: "CVE-2022-0778", Aliases: []string{"DSA-5103-1"}, Summary: "Infinite loop in BN_mod_sqrt() reachable when parsing certificates",
			Details: "A long\n\ntext with `markdown` and [a link](https://evil.example).", Severity: plimsoll.SeverityHigh, SeveritySource: "NVD",
			Ratings: []plimsoll.Rating{{Source: "Debian", Severity: plimsoll.SeverityMedium}, {Source: "NVD", Method: "CVSS_V3", Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", Score: 7.5, Severity: plimsoll.SeverityHigh}},
			EPSS:    &plimsoll.EPSS{Score: 0.0731, Percentile: 0.91, Date: at("2026-11-20")}, References: []string{"https://nvd.example/CVE-2022-0778"}, Published: at("2022-03-15")},
			Package: libssl, Class: plimsoll.ClassSystem, Status: plimsoll.StatusAffected, State: plimsoll.FixAvailable, FixedVersion: "1.1.1n-0+deb11u6", FixedVersions: []string{"1.1.1n-0+deb11u6", "1.1.1w-0+deb11u1"},
			Reasons: reason("DEBIAN-CVE-2022-0778", "Debian", "openssl", "1.1.1n-0+deb11u5", "< 1.1.1n-0+deb11u6")},
		{Vulnerability: plimsoll.Vulnerability{ID: "CVE-2023-5678", Summary: "Excessive time spent in DH check", Severity: plimsoll.SeverityMedium, SeveritySource: "NVD", EPSS: &plimsoll.EPSS{Score: 0.0004}},
			Package: libssl, Class: plimsoll.ClassSystem, Status: plimsoll.StatusAffected, State: plimsoll.FixDeferred,
			Reasons: reason("DEBIAN-CVE-2023-5678", "Debian", "openssl", "1.1.1n-0+deb11u5", ">= 0")},
		{Vulnerability: plimsoll.Vulnerability{ID: "CVE-2022-37434", Summary: "Heap-based buffer over-read in inflate via a large gzip header extra field", Severity: plimsoll.SeverityCritical, SeveritySource: "NVD",
			EPSS: &plimsoll.EPSS{Score: 0.924, Percentile: 0.99, Date: at("2026-11-20")}, KEV: &plimsoll.KEV{Added: at("2026-01-10"), Due: at("2026-01-31"), Ransomware: true, Action: "Apply updates per vendor instructions."}},
			Package: zlib, Class: plimsoll.ClassSystem, Status: plimsoll.StatusAffected, State: plimsoll.FixAvailable, FixedVersion: "1:1.2.11.dfsg-2+deb11u3",
			Reasons: reason("DEBIAN-CVE-2022-37434", "Debian", "zlib", "1:1.2.11.dfsg-2+deb11u2", "< 1:1.2.11.dfsg-2+deb11u3")},
		{Vulnerability: plimsoll.Vulnerability{ID: "CVE-2024-26581", Severity: plimsoll.SeverityHigh},
			Package: headers, Class: plimsoll.ClassSystem, Status: plimsoll.StatusNotPresent, State: plimsoll.FixNone,
			Reasons: reason("DEBIAN-CVE-2024-26581", "Debian", "linux", "5.10.179-1", ">= 0")},
		{Vulnerability: plimsoll.Vulnerability{ID: "CVE-2021-23337", Aliases: []string{"GHSA-35jh-r3h4-6jhm"}, Summary: "Command Injection in lodash", Severity: plimsoll.SeverityHigh, SeveritySource: "GitHub",
			Ratings: []plimsoll.Rating{{Source: "GitHub", Method: "CVSS_V3", Vector: "CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H", Score: 7.2, Severity: plimsoll.SeverityHigh}}},
			Package: lodash, Class: plimsoll.ClassApplication, Status: plimsoll.StatusAffected, State: plimsoll.FixAvailable, FixedVersion: "4.17.21",
			Reasons: []plimsoll.Reason{{Advisory: "GHSA-35jh-r3h4-6jhm", Provider: "GitHub", Modified: at("2025-02-03"), Ecosystem: "npm", Package: "lodash", Version: "4.17.20", Scheme: "semver", Range: "< 4.17.21"}}},
		{Vulnerability: plimsoll.Vulnerability{ID: "CVE-2023-45133", Aliases: []string{"GHSA-67hx-6x53-jw92"}, Summary: "Arbitrary code execution when compiling specifically crafted malicious code", Severity: plimsoll.SeverityCritical, SeveritySource: "GitHub"},
			Package: scoped, Class: plimsoll.ClassApplication, Status: plimsoll.StatusAffected, State: plimsoll.FixAvailable, FixedVersion: "7.23.2", FixedVersions: []string{"7.23.2", "8.0.0-alpha.4"},
			Reasons: []plimsoll.Reason{{Advisory: "GHSA-67hx-6x53-jw92", Provider: "GitHub", Modified: at("2025-02-03"), Ecosystem: "npm", Package: "@babel/traverse", Version: "7.22.0", Scheme: "semver", Range: "< 7.23.2", Note: "a development dependency"}}},
		{Vulnerability: plimsoll.Vulnerability{ID: "CVE-2023-24538", Aliases: []string{"GO-2023-1703"}, Summary: "\u30c6\u30f3\u30d7\u30ec\u30fc\u30c8\u306e\u30d0\u30c3\u30af\u30af\u30a9\u30fc\u30c8\u304c\u6b63\u3057\u304f\u51e6\u7406\u3055\u308c\u306a\u3044", Severity: plimsoll.SeverityUnknown},
			Package: stdlib, Class: plimsoll.ClassApplication, Status: plimsoll.StatusAffected, State: plimsoll.FixNone,
			Reasons: []plimsoll.Reason{{Advisory: "GO-2023-1703", Provider: "Go", Modified: at("2025-02-03"), Ecosystem: "Go", Package: "stdlib", Version: "1.20.1", Scheme: "semver", Range: ">= 1.20.0"}}},
		{Vulnerability: plimsoll.Vulnerability{ID: "CVE-2020-28500", Aliases: []string{"GHSA-29mw-wpgm-hmr9"}, Summary: "Regular expression denial of service in lodash", Severity: plimsoll.SeverityMedium, SeveritySource: "GitHub"},
			Package: lodash, Class: plimsoll.ClassApplication, Status: plimsoll.StatusHandled, State: plimsoll.FixAvailable, FixedVersion: "4.17.21",
			Reasons: []plimsoll.Reason{{Advisory: "GHSA-29mw-wpgm-hmr9", Provider: "GitHub", Modified: at("2025-02-03"), Ecosystem: "npm", Package: "lodash", Version: "4.17.20", Scheme: "semver", Range: "< 4.17.21"}},
			VEX: []plimsoll.VEXStatement{{Document: "https://shop.example/vex/1", Number: 2, Author: "Shop Security", Time: at("2026-11-02"), Vulnerabilities: []string{"CVE-2020-28500"},
				Status: plimsoll.VEXNotAffected, Justification: "vulnerable_code_not_in_execute_path", Impact: "trim is not called with foreign text."}}},
	}
	problems := []plimsoll.Problem{
		{Code: plimsoll.ProblemEndOfLife, Detail: "debian 11: out of support since 2026-08-31"},
		{Code: plimsoll.ProblemNoAdvisorySource, Count: 2, Detail: "conda: inventory only, nobody publishes advisories"},
		{Code: plimsoll.ProblemUnidentified, Path: "srv/app/lib/legacy.jar", Layer: digest("app"), Analyzer: "java", Detail: "no manifest and no version in the file name"},
	}
	shop := plimsoll.Result{
		Image: sampleImage(), Status: plimsoll.ScanComplete, Matched: true,
		Inventory: plimsoll.Inventory{
			ImageID: digest("shop"), Analyzers: "apk/1 deb/1 npm/1",
			Systems:  []plimsoll.OS{{ID: "debian", VersionID: "11", Codename: "bullseye", Name: "Debian GNU/Linux 11 (bullseye)", Path: "etc/os-release"}},
			Packages: []plimsoll.Package{headers, libssl, zlib, stdlib, lodash, scoped, requests},
			Problems: problems[2:],
		},
		Coverage: []plimsoll.Coverage{
			{Group: "conda", Class: plimsoll.ClassApplication, Packages: 2},
			{Group: "debian 11", Class: plimsoll.ClassSystem, Ecosystem: "Debian:11", Packages: 3, EndOfLife: at("2026-08-31"), Ended: true},
			{Group: "golang", Class: plimsoll.ClassApplication, Ecosystem: "Go", Packages: 1}, {Group: "npm", Class: plimsoll.ClassApplication, Ecosystem: "npm", Packages: 2},
		},
		Findings: findings, Problems: problems,
		Plan: plimsoll.Plan{
			Base: plimsoll.Part{Clears: 2, Commands: []string{"apt-get update && apt-get install --only-upgrade libssl1.1 zlib1g"}, Steps: []plimsoll.Step{
				{Package: "openssl", Packages: []string{"libssl1.1"}, Type: plimsoll.TypeDeb, From: "1.1.1n-0+deb11u5", To: "1.1.1n-0+deb11u6", Layer: digest("base"), CreatedBy: "/bin/sh -c #(nop) ADD file:12ab in / ", Clears: []string{"CVE-2022-0778"}, Worst: plimsoll.SeverityHigh},
				{Package: "zlib", Packages: []string{"zlib1g"}, Type: plimsoll.TypeDeb, From: "1:1.2.11.dfsg-2+deb11u2", To: "1:1.2.11.dfsg-2+deb11u3", Layer: digest("base"), CreatedBy: "/bin/sh -c #(nop) ADD file:12ab in / ", Clears: []string{"CVE-2022-37434"}, Worst: plimsoll.SeverityCritical},
			}},
			Own: plimsoll.Part{Clears: 2, Commands: []string{"npm install --prefix /srv/app @babel/traverse@7.23.2", "npm install --prefix /srv/app lodash@4.17.21"}, Steps: []plimsoll.Step{
				{Package: "@babel/traverse", Packages: []string{"@babel/traverse"}, Type: plimsoll.TypeNPM, Path: "srv/app", From: "7.22.0", To: "7.23.2", Layer: digest("app"), CreatedBy: "RUN /bin/sh -c npm ci # buildkit", Clears: []string{"CVE-2023-45133"}, Worst: plimsoll.SeverityCritical},
				{Package: "lodash", Packages: []string{"lodash"}, Type: plimsoll.TypeNPM, Path: "srv/app", From: "4.17.20", To: "4.17.21", Layer: digest("app"), CreatedBy: "RUN /bin/sh -c npm ci # buildkit", Clears: []string{"CVE-2021-23337"}, Worst: plimsoll.SeverityHigh, Breaking: true},
			}},
			Remaining: []plimsoll.Remaining{
				{State: plimsoll.FixNone, Count: 1, Worst: plimsoll.SeverityUnknown, Reason: "affected, and no fix was released yet"},
				{State: plimsoll.FixDeferred, Count: 1, Worst: plimsoll.SeverityMedium, Reason: "the vendor postponed the fix"},
			},
		},
	}
	static := plimsoll.Result{
		Image:  plimsoll.Image{ID: digest("static"), Engine: plimsoll.Containerd, Store: "k8s.io", Names: []string{"tool:1"}, Platform: plimsoll.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}},
		Status: plimsoll.ScanPartial, Matched: true,
		Inventory: plimsoll.Inventory{ImageID: digest("static"), Packages: []plimsoll.Package{stdlib}},
		Coverage:  []plimsoll.Coverage{{Group: "golang", Class: plimsoll.ClassApplication, Ecosystem: "Go", Packages: 1}},
		Problems:  []plimsoll.Problem{{Code: plimsoll.ProblemCorruptFile, Path: "app.jar", Analyzer: "java", Detail: "zip: not a valid zip file"}},
	}
	gone := plimsoll.Result{
		Image:  plimsoll.Image{ID: digest("gone"), Engine: plimsoll.Podman, Store: "/var/lib/containers/storage", Platform: plimsoll.Platform{OS: "linux", Architecture: "amd64"}},
		Status: plimsoll.ScanFailed, Problem: &plimsoll.Problem{Code: plimsoll.ProblemLayerMissing, Detail: "layer 3 of 7 was looked for in overlay/l; pull the image again"},
	}
	gone.Image.Problem = gone.Problem
	return plimsoll.Report{
		Tool: "plimsoll 0.1.0", Generation: sampleGeneration(), Results: []plimsoll.Result{shop, static, gone},
		Hidden: []plimsoll.Hidden{{Filter: "severity", Count: 9}, {Filter: "without a fix", Count: 3}},
	}
}

// inventoryReport is what plimsoll sbom makes: nobody was asked.
func inventoryReport() plimsoll.Report {
	r := sampleReport()
	r.Generation, r.Hidden, r.Results = nil, nil, r.Results[:1]
	shop := &r.Results[0]
	shop.Matched, shop.Findings, shop.Coverage, shop.Plan = false, nil, nil, plimsoll.Plan{}
	shop.Problems = shop.Inventory.Problems
	return r
}

func sampleImages() []plimsoll.Image {
	var images []plimsoll.Image
	for _, r := range sampleReport().Results {
		images = append(images, r.Image)
	}
	return images
}

// evilReport has s in every field that an image, an engine or a feed fills.
func evilReport(s string) plimsoll.Report {
	r := sampleReport()
	r.Hidden[0].Filter = s
	for i := range r.Generation.Sources {
		r.Generation.Sources[i].Name, r.Generation.Sources[i].URL = s, s
	}
	problem := func(p *plimsoll.Problem) { p.Path, p.Analyzer, p.Detail = s, s, s }
	pkg := func(p *plimsoll.Package) {
		p.Name, p.Version, p.Arch, p.Module, p.Supplier, p.Origin, p.Path, p.Root, p.Owner, p.PURL, p.Bundled, p.Remark = s, s, s, s, s, s, s, s, s, s, s, s
		p.Source = plimsoll.SourcePackage{Name: s, Version: s}
		p.Licenses, p.Locations = []string{s}, []string{s}
	}
	for i := range r.Results {
		result := &r.Results[i]
		img := &result.Image
		img.Store, img.Names = s, []string{s, s + "2"}
		img.Platform = plimsoll.Platform{OS: s, Architecture: s, Variant: s}
		img.Config = plimsoll.Config{User: s, WorkingDir: s, Cmd: []string{s}, Entrypoint: []string{s}, Labels: map[string]string{s: s}}
		for j := range img.Layers {
			img.Layers[j].CreatedBy = s
		}
		for j := range img.Containers {
			img.Containers[j] = plimsoll.Container{ID: s, Name: s, State: s, Pod: s}
		}
		if result.Problem != nil {
			problem(result.Problem)
		}
		for j := range result.Problems {
			problem(&result.Problems[j])
		}
		inv := &result.Inventory
		inv.Analyzers = s
		for j := range inv.Systems {
			inv.Systems[j] = plimsoll.OS{ID: s, IDLike: []string{s}, VersionID: s, Codename: s, Name: s, Version: s, VariantID: s, CPE: s, Release: s, Root: s, Path: s}
		}
		for j := range inv.Packages {
			pkg(&inv.Packages[j])
		}
		for j := range result.Coverage {
			result.Coverage[j].Group, result.Coverage[j].Ecosystem = s, s
		}
		for j := range result.Findings {
			f := &result.Findings[j]
			pkg(&f.Package)
			f.FixedVersion, f.FixedVersions = s, []string{s}
			v := &f.Vulnerability
			v.ID, v.Aliases, v.Summary, v.Details, v.SeveritySource, v.References = fmt.Sprintf("%s%d", s, j), []string{s}, s, s+"\n\n"+s, s, []string{s, "https://" + s}
			v.Ratings = []plimsoll.Rating{{Source: s, Method: s, Vector: s, Score: 1}}
			if v.KEV != nil {
				v.KEV.Action = s
			}
			for k := range f.VEX {
				vex := &f.VEX[k]
				vex.Document, vex.Author, vex.Vulnerabilities, vex.Justification, vex.Impact, vex.Action = s, s, []string{s}, s, s, s
			}
			for k := range f.Reasons {
				f.Reasons[k] = plimsoll.Reason{Advisory: s, Provider: s, Ecosystem: s, Package: s, Version: s, Scheme: s, Range: s, Note: s}
			}
		}
		for _, part := range []*plimsoll.Part{&result.Plan.Base, &result.Plan.Own} {
			for j := range part.Commands {
				part.Commands[j] = s
			}
			for j := range part.Steps {
				step := &part.Steps[j]
				step.Package, step.Packages, step.Path, step.From, step.To, step.CreatedBy, step.Clears = s, []string{s}, s, s, s, s, []string{s}
			}
		}
		for j := range result.Plan.Remaining {
			result.Plan.Remaining[j].Reason = s
		}
	}
	return r
}
