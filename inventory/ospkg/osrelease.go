package ospkg

import (
	"context"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// osRelease reads the identity of a distribution from os-release(5) or, in
// systems without it, from the one-line files that came before. Which of
// several files counts is decided by the merge (acceptance OS-01).
type osRelease struct{}

func (osRelease) Name() string { return "os-release" }
func (osRelease) Version() int { return 2 }

func (osRelease) Wants(path string) inventory.Want {
	if _, _, ok := identityFile(path); ok {
		return inventory.Yes
	}
	return inventory.No
}

// identityFile returns the system's root and the kind of file, by its name.
func identityFile(path string) (root, base string, ok bool) {
	switch { // quickly, for the thousands of other files
	case strings.HasSuffix(path, "-release"), strings.HasSuffix(path, "_version"), strings.HasSuffix(path, "-cpe"):
	default:
		return "", "", false
	}
	dir, base := split(path)
	switch base {
	case "os-release":
		if root, ok = cutRoot(dir, "usr/lib"); ok {
			return root, base, true
		}
	case "almalinux-release", "alpine-release", "anolis-release", "bclinux-release", "centos-release", "ctyunos-release",
		"debian_version", "euleros-release", "fedora-release", "hce-release", "kylin-release", "lsb-release", "mariner-release",
		"openEuler-release", "opencloudos-release", "oracle-release", "photon-release", "redhat-release", "rocky-release",
		"system-release", "system-release-cpe", "tencentos-release", "uos-release":
	default:
		return "", "", false
	}
	if root, ok = cutRoot(dir, "etc"); ok && (root == "usr" || strings.HasSuffix(root, "/usr")) {
		root, _ = split(root) // usr/etc holds the pristine copies of an ostree system
	}
	return root, base, ok
}

func (osRelease) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	root, base, _ := identityFile(f.Path)
	in := newLines(f, maxSmall)
	var system plimsoll.OS
	switch base {
	case "os-release", "lsb-release":
		system = readAssignments(in)
	case "debian_version":
		system = debianVersion(firstLine(in))
	case "alpine-release":
		if v := firstLine(in); v != "" {
			system = plimsoll.OS{ID: "alpine", VersionID: v, Name: "Alpine Linux " + v}
		}
	case "system-release-cpe":
		system = cpeRelease(firstLine(in))
	default:
		system = releaseLine(firstLine(in))
	}
	if err := in.done("read " + base); err != nil {
		return inventory.Facts{}, err
	}
	if system.ID == "" {
		return inventory.Facts{}, nil
	}
	system.Root, system.Path = root, f.Path
	return inventory.Facts{System: &system}, nil
}

// firstLine returns the first line with text in it and reads on to the end, so
// that the limit counts.
func firstLine(in *lines) string {
	first := ""
	for {
		line, ok := in.next()
		if !ok {
			return first
		}
		if first == "" {
			first = text(line, maxField)
		}
	}
}

// readAssignments reads the shell-like assignments of os-release(5) and of
// lsb-release, whose names start with DISTRIB_.
func readAssignments(in *lines) plimsoll.OS {
	var system plimsoll.OS
	name, pretty := "", ""
	for {
		line, ok := in.next()
		if !ok {
			break
		}
		key, value, ok := strings.Cut(text(line, maxField), "=")
		if !ok || strings.HasPrefix(key, "#") {
			continue
		}
		value = unquote(strings.TrimSpace(value))
		switch strings.TrimSpace(key) {
		case "ID":
			system.ID = value
		case "DISTRIB_ID":
			system.ID = strings.ToLower(value)
		case "ID_LIKE":
			system.IDLike = strings.Fields(value)
		case "VERSION_ID", "DISTRIB_RELEASE":
			system.VersionID = value
		case "VERSION_CODENAME", "DISTRIB_CODENAME":
			system.Codename = value
		case "NAME":
			name = value
		case "PRETTY_NAME", "DISTRIB_DESCRIPTION":
			pretty = value
		case "VERSION":
			system.Version = value
		case "VARIANT_ID":
			system.VariantID = value
		case "CPE_NAME":
			system.CPE = value
		}
	}
	if system.Name = pretty; pretty == "" {
		system.Name = name
	}
	return system
}

// unquote removes one pair of quotes and the backslashes within, the part of
// shell quoting that os-release(5) allows.
func unquote(s string) string {
	if len(s) < 2 || s[0] != s[len(s)-1] || s[0] != '"' && s[0] != '\'' {
		return s
	}
	s = s[1 : len(s)-1]
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// debianVersion understands "12.5" and "forky/sid". The latter is no version:
// testing and unstable both say so.
func debianVersion(line string) plimsoll.OS {
	switch {
	case line == "":
		return plimsoll.OS{}
	case '0' <= line[0] && line[0] <= '9':
		return plimsoll.OS{ID: "debian", VersionID: line, Name: "Debian GNU/Linux " + line, Release: line}
	}
	return plimsoll.OS{ID: "debian", Name: "Debian GNU/Linux " + line, Release: line}
}

// releaseNames maps how the names in release files begin to the ID of
// os-release; a longer beginning comes before a shorter one.
var releaseNames = [...]struct{ begins, id string }{
	{"Alibaba Cloud Linux", "alinux"},
	{"AlmaLinux", "almalinux"},
	{"Amazon Linux", "amzn"},
	{"Anolis OS", "anolis"},
	{"BigCloud Enterprise Linux", "bclinux"},
	{"CBL-Mariner", "mariner"},
	{"CentOS", "centos"}, // also "CentOS Stream", told apart by the name
	{"CTyunOS", "ctyunos"},
	{"EulerOS", "euleros"},
	{"Fedora", "fedora"},
	{"Huawei Cloud EulerOS", "hce"},
	{"Kylin Linux Advanced Server", "kylin"},
	{"Mageia", "mageia"},
	{"OpenCloudOS", "opencloudos"},
	{"Oracle Linux", "ol"},
	{"Red Hat Enterprise Linux", "rhel"},
	{"Rocky Linux", "rocky"},
	{"Scientific Linux", "scientific"},
	{"TencentOS Server", "tencentos"},
	{"UnionTech OS", "uos"},
	{"VMware Photon", "photon"},
	{"ctyunos", "ctyunos"},
	{"openEuler", "openEuler"},
}

// releaseLine understands "CentOS Linux release 7.9.2009 (Core)" and the like.
func releaseLine(line string) plimsoll.OS {
	for _, n := range releaseNames {
		if !strings.HasPrefix(line, n.begins) {
			continue
		}
		system := plimsoll.OS{ID: n.id, Name: line, Release: line}
		words := strings.Fields(line)
		for i, word := range words {
			if '0' <= word[0] && word[0] <= '9' || i > 0 && words[i-1] == "release" { // "release V10 (Lance)"
				system.VersionID = word
				system.Version = strings.Join(words[i:], " ")
				break
			}
		}
		return system
	}
	return plimsoll.OS{}
}

// cpeRelease understands "cpe:/o:redhat:enterprise_linux:6server:ga:server" and
// its newer form "cpe:2.3:o:…".
func cpeRelease(line string) plimsoll.OS {
	rest, ok := strings.CutPrefix(line, "cpe:/o:")
	if !ok {
		rest, ok = strings.CutPrefix(line, "cpe:2.3:o:")
	}
	part := strings.SplitN(rest, ":", 4)
	if !ok || len(part) < 3 {
		return plimsoll.OS{}
	}
	system := plimsoll.OS{CPE: line, Name: line, Release: line}
	switch part[0] + ":" + part[1] {
	case "redhat:enterprise_linux":
		system.ID = "rhel"
	case "centos:linux", "centos:centos":
		system.ID = "centos"
	case "fedoraproject:fedora":
		system.ID = "fedora"
	case "oracle:linux":
		system.ID = "ol"
	case "amazon:linux", "amazon:amazon_linux":
		system.ID = "amzn"
	case "rocky:rocky":
		system.ID = "rocky"
	case "almalinux:almalinux":
		system.ID = "almalinux"
	}
	end := 0
	for end < len(part[2]) && (part[2][end] == '.' || '0' <= part[2][end] && part[2][end] <= '9') {
		end++
	}
	system.VersionID = part[2][:end]
	return system
}
