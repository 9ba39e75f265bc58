package langpkg

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"

	"plimsoll"
)

// javaProbe recognises a famous library by one of its classes where the metadata
// was lost: in archives that were renamed, repacked or shaded (want 10, acceptance
// JAR-06). A class proves that the library is there, not which version, unless a
// class of it holds the version as a text constant.
type javaProbe struct {
	group, artifact string
	// class is what the path of the class ends in. What tools put before it when
	// they relocate packages does not matter.
	class string
	// version is what the path of the class ends in that holds the version; empty
	// when there is none.
	version string
	// family begins the names of artifacts that come with these classes, too.
	family string
}

var javaProbes = [...]javaProbe{
	{group: "org.apache.logging.log4j", artifact: "log4j-core", class: "log4j/core/LoggerContext.class"},
	{group: "org.springframework", artifact: "spring-core", class: "springframework/core/SpringVersion.class", family: "spring"},
	{group: "org.springframework", artifact: "spring-beans", class: "springframework/beans/CachedIntrospectionResults.class", family: "spring"},
	{group: "org.springframework", artifact: "spring-webmvc", class: "springframework/web/servlet/DispatcherServlet.class", family: "spring"},
	{group: "org.apache.struts", artifact: "struts2-core", class: "struts2/dispatcher/Dispatcher.class", family: "struts"},
	{group: "com.alibaba", artifact: "fastjson", class: "alibaba/fastjson/JSON.class", version: "alibaba/fastjson/JSON.class", family: "fastjson"},
	{group: "com.alibaba.fastjson2", artifact: "fastjson2", class: "alibaba/fastjson2/JSON.class", version: "alibaba/fastjson2/JSON.class", family: "fastjson2"},
	{group: "com.fasterxml.jackson.core", artifact: "jackson-databind", class: "jackson/databind/ObjectMapper.class", version: "jackson/databind/cfg/PackageVersion.class"},
	{group: "org.apache.commons", artifact: "commons-text", class: "commons/text/StringSubstitutor.class"},
	{group: "commons-collections", artifact: "commons-collections", class: "commons/collections/functors/InvokerTransformer.class"},
	{group: "commons-fileupload", artifact: "commons-fileupload", class: "commons/fileupload/FileUploadBase.class", family: "tomcat"},
	{group: "org.yaml", artifact: "snakeyaml", class: "yaml/snakeyaml/constructor/Constructor.class", family: "snakeyaml"},
	{group: "com.thoughtworks.xstream", artifact: "xstream", class: "thoughtworks/xstream/XStream.class", family: "xstream"},
	{group: "org.apache.shiro", artifact: "shiro-core", class: "apache/shiro/mgt/DefaultSecurityManager.class", family: "shiro"},
	{group: "com.h2database", artifact: "h2", class: "h2/engine/Constants.class", version: "h2/engine/Constants.class"},
}

// jndiLookup is the class that CVE-2021-44228 is about.
const jndiLookup = "log4j/core/lookup/JndiLookup.class"

// probed is what the class names of one archive tell.
type probed struct {
	found    [len(javaProbes)]bool
	versions [len(javaProbes)]zipEntry // of the classes that hold versions
	jndi     bool
}

// class looks at the name of one class. It is called for each entry of each
// archive, so the base name decides first; want says that its content matters.
func (p *probed) class(name []byte) (want bool) {
	switch string(name[bytes.LastIndexByte(name, '/')+1:]) {
	case "JndiLookup.class":
		p.jndi = p.jndi || bytes.HasSuffix(name, []byte(jndiLookup))
	case "LoggerContext.class", "SpringVersion.class", "CachedIntrospectionResults.class", "DispatcherServlet.class", "Dispatcher.class",
		"JSON.class", "ObjectMapper.class", "StringSubstitutor.class", "InvokerTransformer.class", "FileUploadBase.class",
		"Constructor.class", "XStream.class", "DefaultSecurityManager.class", "PackageVersion.class", "Constants.class":
		for i := range javaProbes {
			probe := &javaProbes[i]
			p.found[i] = p.found[i] || under(name, probe.class)
			want = want || probe.version != "" && under(name, probe.version)
		}
	}
	return want
}

// under says whether a name ends in a path, at the border of a directory.
func under(name []byte, path string) bool {
	n := len(name) - len(path)
	return n >= 0 && string(name[n:]) == path && (n == 0 || name[n-1] == '/')
}

func (p *probed) add(e zipEntry) {
	for i := range javaProbes {
		if v := javaProbes[i].version; v != "" && p.versions[i].name == "" && under([]byte(e.name), v) {
			p.versions[i] = e
		}
	}
}

// probes adds the libraries whose classes are in the archive at path and that
// none of the packages since first accounts for. Those without a version are a
// Problem, so that nobody takes the archive for clean.
func (t *jarTree) probes(r io.ReaderAt, size int64, path string, first int, own string, p *probed) (added bool) {
	if i := t.known(first, &javaProbes[0]); p.found[0] && i >= 0 && !p.jndi {
		// Removing the class was the way to disarm old versions.
		t.facts.Packages[i].Remark = "JndiLookup.class is not in the archive"
	}
	var nameless []string
	for i := range javaProbes {
		probe := &javaProbes[i]
		if !p.found[i] || t.known(first, probe) >= 0 {
			continue
		}
		version := ""
		if e := p.versions[i]; e.name != "" {
			data, err := t.content(r, size, e, maxText)
			if err != nil {
				t.problem(zipError("read class", err), path+"!/"+text(e.name, maxJarPath))
			}
			version = classVersion(data)
		}
		if version == "" {
			what := probe.artifact
			if i == 0 && !p.jndi {
				what += " (its JndiLookup.class was removed)"
			}
			nameless = append(nameless, what)
			continue
		}
		added = t.add(plimsoll.Package{Name: probe.group + ":" + probe.artifact, Version: version, Path: path, Evidence: plimsoll.EvidenceBinary,
			Bundled: text(own, maxName), Remark: "recognised by its classes"}) || added
	}
	if len(nameless) > 0 {
		t.report(plimsoll.Problem{Code: plimsoll.ProblemUnidentified, Path: path,
			Detail: fmt.Sprintf("it contains classes of %s without their version: find out where they come from", strings.Join(nameless, ", "))})
	}
	return added
}

// known returns the package since first that accounts for the classes of a
// probe, or -1.
func (t *jarTree) known(first int, probe *javaProbe) int {
	i := slices.IndexFunc(t.facts.Packages[first:], func(p plimsoll.Package) bool {
		artifact := p.Name[strings.LastIndexByte(p.Name, ':')+1:]
		return artifact == probe.artifact || probe.family != "" && strings.HasPrefix(artifact, probe.family)
	})
	if i < 0 {
		return -1
	}
	return first + i
}

// The tags of the constant pool (The Java Virtual Machine Specification, 4.4)
// and the bytes that follow them; text has its length before it.
var poolBytes = [...]int{3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 17: 4, 18: 4, 19: 2, 20: 2}

// classVersion returns the only text constant of a class that looks like a
// version of three numbers or more; empty when there is none or more than one.
func classVersion(class []byte) string {
	const head = 10 // magic, minor and major version, count
	if len(class) < head || binary.BigEndian.Uint32(class) != 0xcafebabe {
		return ""
	}
	count := int(binary.BigEndian.Uint16(class[8:]))
	rest, found := class[head:], ""
	for i := 1; i < count; i++ {
		if len(rest) < 3 {
			return ""
		}
		n := 0
		switch tag := rest[0]; {
		case tag == 1:
			n = 2 + int(binary.BigEndian.Uint16(rest[1:]))
			if len(rest) < 1+n {
				return ""
			}
			if v := string(rest[3 : 1+n]); versionText(v) && v != found {
				if found != "" {
					return ""
				}
				found = v
			}
		case int(tag) < len(poolBytes) && poolBytes[tag] > 0:
			n = poolBytes[tag]
			if tag == 5 || tag == 6 { // long and double take two places
				i++
			}
		default:
			return ""
		}
		if len(rest) < 1+n {
			return ""
		}
		rest = rest[1+n:]
	}
	return found
}

// versionText says whether s is "1.2.83", "2.9.10.8" or "2.0.1-rc1".
func versionText(s string) bool {
	if len(s) > 32 || s == "" || !digit(s[0]) {
		return false
	}
	numbers, _, _ := strings.Cut(s, "-")
	dots := strings.Count(numbers, ".")
	return dots >= 2 && dots <= 4 && strings.Trim(numbers, "0123456789.") == "" && !strings.Contains(s, "..") &&
		digit(numbers[len(numbers)-1]) && strings.IndexFunc(s, func(r rune) bool {
		return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '.' || r == '-')
	}) < 0
}
