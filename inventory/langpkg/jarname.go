package langpkg

import (
	"bytes"
	"strings"

	"plimsoll"
)

// coordinates are those of Maven; any part may be unknown and empty.
type coordinates struct{ group, artifact, version string }

func (c coordinates) name() string {
	if c.group == "" {
		return c.artifact
	}
	return c.group + ":" + c.artifact
}

// parsePomProperties reads what maven-archiver wrote. Group and artifact are in
// the path of the file too: META-INF/maven/GROUP/ARTIFACT/pom.properties.
func parsePomProperties(data []byte, path string) coordinates {
	var c coordinates
	for line := range bytes.Lines(data) {
		key, value, ok := bytes.Cut(line, []byte("="))
		if !ok {
			continue
		}
		v := text(string(value), maxName)
		if strings.Contains(v, "${") {
			continue // a placeholder that nobody replaced
		}
		switch string(bytes.TrimSpace(key)) {
		case "groupId":
			c.group = v
		case "artifactId":
			c.artifact = v
		case "version":
			c.version = v
		}
	}
	if parts := strings.Split(path, "/"); len(parts) == 5 && parts[1] == "maven" {
		if c.group == "" {
			c.group = text(parts[2], maxName)
		}
		if c.artifact == "" {
			c.artifact = text(parts[3], maxName)
		}
	}
	return c
}

// parseJarName reads "artifact-version.jar": the version begins at the first
// separator before a digit. Classifiers that builds append are no part of it.
func parseJarName(path string) coordinates {
	_, base := split(path)
	if i := strings.LastIndexByte(base, '.'); i >= 0 {
		base = base[:i]
	}
	base = text(base, maxName)
	for i := 1; i+1 < len(base); i++ {
		// "name_2.13-3.0": the Scala version belongs to the artifact, so an
		// underscore separates only when no hyphen does.
		if base[i] != '-' || !digit(base[i+1]) && !(base[i+1] == 'v' && i+2 < len(base) && digit(base[i+2])) {
			continue
		}
		version := base[i+1:]
		if !strings.Contains(version, ".") && len(version) < 3 && strings.Contains(version, "-") {
			continue // "log4j-1.2-api-2.17.1" has its version at the end; "foo-2-api" likewise
		}
		if rest := laterVersion(version); rest > 0 {
			i += rest
			version = base[i+1:]
		}
		return coordinates{artifact: base[:i], version: withoutClassifier(version)}
	}
	if i := strings.LastIndexByte(base, '_'); i > 0 && i+1 < len(base) && digit(base[i+1]) && strings.Contains(base[i:], ".") {
		return coordinates{artifact: base[:i], version: base[i+1:]} // Eclipse: org.x.y_3.1.0.v2023
	}
	return coordinates{artifact: base}
}

// laterVersion finds the separator of a second version behind a name in
// "1.2-api-2.17.1" and returns its position, or 0.
func laterVersion(s string) int {
	for i := len(s) - 2; i > 0; i-- {
		if s[i] != '-' || !digit(s[i+1]) || !strings.Contains(s[i:], ".") {
			continue
		}
		word := s[:i]
		word = word[strings.LastIndexByte(word, '-')+1:]
		if word != "" && !digit(word[0]) && !qualifier(word) {
			return i + 1
		}
	}
	return 0
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// qualifier says whether a word is a part that Maven versions have.
func qualifier(word string) bool {
	word = strings.ToLower(strings.TrimRight(word, "0123456789."))
	switch word {
	case "alpha", "a", "beta", "b", "milestone", "m", "rc", "cr", "snapshot", "ga", "final", "release", "sp", "jre", "android", "incubating", "build":
		return true
	}
	return false
}

var classifiers = [...]string{"-sources", "-javadoc", "-tests", "-test", "-shaded", "-all", "-with-dependencies", "-jar-with-dependencies",
	"-exec", "-fat", "-uber", "-native", "-linux-x86_64", "-linux-aarch_64", "-osx-x86_64", "-osx-aarch_64", "-windows-x86_64", "-no_aop", "-bundle", "-standalone", "-runtime", "-boot", "-jakarta", "-jdk15on"}

func withoutClassifier(version string) string {
	for _, c := range classifiers {
		if v, ok := strings.CutSuffix(version, c); ok {
			return v
		}
	}
	return version
}

// manifest is the main section of META-INF/MANIFEST.MF, with keys in lower case.
type manifest struct{ main map[string]string }

// parseManifest reads lines "Key: value", continued by lines that start with a
// space, up to the first empty line (JAR File Specification).
func parseManifest(data []byte) manifest {
	m := manifest{main: map[string]string{}}
	key := ""
	for line := range bytes.Lines(data) {
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			if len(m.main) > 0 {
				break
			}
			continue
		}
		if line[0] == ' ' {
			if old := m.main[key]; key != "" && len(old) < 4096 {
				m.main[key] = old + string(line[1:])
			}
			continue
		}
		k, v, ok := bytes.Cut(line, []byte(":"))
		if key = ""; !ok || len(m.main) >= 500 {
			continue
		}
		switch k := strings.ToLower(string(bytes.TrimSpace(k))); k {
		case "implementation-title", "implementation-version", "implementation-vendor", "implementation-vendor-id",
			"specification-title", "specification-version", "specification-vendor", "manifest-version",
			"bundle-symbolicname", "bundle-version", "bundle-vendor", "bundle-license", "automatic-module-name",
			"plugin-version", "short-name", "group-id", "artifact-id", "maven-version":
			key = k
			m.main[k] = strings.TrimSpace(string(v))
		}
	}
	return m
}

// partOfJDK says whether the archive belongs to a Java runtime, which its
// release file identifies.
func (m manifest) partOfJDK() bool {
	return m.main["implementation-title"] == "Java Runtime Environment" || m.main["specification-title"] == "Java Platform API Specification"
}

func (m manifest) vendor() string {
	for _, k := range [...]string{"implementation-vendor", "bundle-vendor", "specification-vendor"} {
		if v := m.main[k]; v != "" {
			return v
		}
	}
	return ""
}

func (m manifest) license() string {
	l, _, _ := strings.Cut(m.main["bundle-license"], ";")
	l, _, _ = strings.Cut(l, ",")
	return strings.Trim(l, `"`)
}

func (m manifest) symbolicName() string {
	name, _, _ := strings.Cut(m.main["bundle-symbolicname"], ";")
	return strings.TrimSpace(name)
}

// version is what the file name says, then the manifest: builds name files by
// the artifact's version, while Bundle-Version follows OSGi's grammar.
func (m manifest) version(file coordinates) string {
	if file.version != "" {
		return file.version
	}
	for _, k := range [...]string{"implementation-version", "plugin-version", "bundle-version", "specification-version"} {
		if v := m.main[k]; v != "" && digit(v[0]) && !strings.Contains(v, "${") {
			v, _, _ = strings.Cut(v, " ") // "1.8.0 2019-01-01"
			return v
		}
	}
	return ""
}

// confirms says whether the archive itself is p: by its file name, or by the
// title or symbolic name in its manifest.
func (m manifest) confirms(p coordinates, file coordinates) bool {
	if p.artifact == file.artifact || strings.HasPrefix(file.artifact, p.artifact+"-") && p.version != "" && file.version == p.version {
		return true
	}
	return p.artifact != "" && (p.artifact == m.main["implementation-title"] || p.artifact == m.main["artifact-id"] ||
		p.group+"."+p.artifact == m.symbolicName() || p.artifact == m.symbolicName() || p.artifact == m.main["short-name"])
}

// coordinates guesses from manifest and file name. Without a version in the
// manifest the file name is the only evidence.
func (m manifest) coordinates(file coordinates) (coordinates, plimsoll.Evidence) {
	c := coordinates{artifact: file.artifact, version: m.version(file)}
	symbolic := m.symbolicName()
	switch {
	case m.main["artifact-id"] != "":
		c.artifact = m.main["artifact-id"]
	case m.main["short-name"] != "" && m.main["plugin-version"] != "": // Jenkins
		c.artifact = m.main["short-name"]
	case file.version == "" && c.version != "" && symbolic != "" && strings.Contains(symbolic, "-"):
		c.artifact = symbolic[strings.LastIndexByte(symbolic, '.')+1:] // org.apache.tomcat-catalina in catalina.jar
	}
	// org.mortbay.jasper.apache-el-10.0.jar: the file has the symbolic name. On
	// Eclipse's own and javax' the names of bundle and artifact do not agree.
	if i := strings.LastIndexByte(c.artifact, '.'); i > 0 && c.artifact == symbolic && plausibleGroup(symbolic[:i]) &&
		!strings.HasPrefix(symbolic, "org.eclipse.") && !strings.HasPrefix(symbolic, "javax.") {
		c.group, c.artifact = symbolic[:i], symbolic[i+1:]
	}
	c.artifact = text(c.artifact, maxName)
	evidence := plimsoll.EvidenceFileName
	for _, k := range [...]string{"implementation-version", "bundle-version", "plugin-version", "specification-version"} {
		if v := m.main[k]; v != "" && (v == c.version || strings.HasPrefix(v, c.version) || strings.HasPrefix(c.version, v)) {
			evidence = plimsoll.EvidenceMetadata
		}
	}
	if c.group == "" {
		c.group = m.group(c.artifact, c.version)
	}
	return c, evidence
}

// group finds the group of an artifact that has no pom.properties. Nothing in a
// manifest is defined to be the group (Implementation-Vendor-Id often is not),
// so well-known artifacts come first and doubt leaves it empty: a wrong group
// would be another artifact.
func (m manifest) group(artifact, version string) string {
	if g := m.main["group-id"]; plausibleGroup(g) {
		return g
	}
	if g := wellKnownGroup(artifact, version); g != "" {
		return g
	}
	symbolic := m.symbolicName()
	if symbolic == "" {
		symbolic = m.main["automatic-module-name"]
	}
	if g, ok := strings.CutSuffix(symbolic, "."+artifact); ok && plausibleGroup(g) {
		return g
	}
	// org.apache.commons.lang3 in commons-lang3: the last word of both agrees.
	if i := strings.LastIndexByte(symbolic, '.'); i > 0 && strings.HasSuffix(artifact, "-"+symbolic[i+1:]) && plausibleGroup(symbolic[:i]) {
		return symbolic[:i]
	}
	if g := m.main["implementation-vendor-id"]; plausibleGroup(g) {
		return g
	}
	return ""
}

func plausibleGroup(g string) bool {
	return strings.Contains(g, ".") && len(g) <= maxName && !strings.ContainsAny(g, " /:$\\") && g[0] != '.' && !digit(g[0])
}

// groups of artifacts whose builds (Gradle, Ant) leave no pom.properties. The
// first prefix that fits counts.
var groups = [...]struct{ prefix, group string }{
	{"spring-boot", "org.springframework.boot"},
	{"spring-security-", "org.springframework.security"},
	{"spring-session-", "org.springframework.session"},
	{"spring-integration-", "org.springframework.integration"},
	{"spring-batch-", "org.springframework.batch"},
	{"spring-kafka", "org.springframework.kafka"},
	{"spring-rabbit", "org.springframework.amqp"},
	{"spring-amqp", "org.springframework.amqp"},
	{"spring-data-", "org.springframework.data"},
	{"spring-cloud-", "org.springframework.cloud"},
	{"spring-aop", "org.springframework"},
	{"spring-aspects", "org.springframework"},
	{"spring-beans", "org.springframework"},
	{"spring-context", "org.springframework"},
	{"spring-core", "org.springframework"},
	{"spring-expression", "org.springframework"},
	{"spring-jcl", "org.springframework"},
	{"spring-jdbc", "org.springframework"},
	{"spring-jms", "org.springframework"},
	{"spring-messaging", "org.springframework"},
	{"spring-orm", "org.springframework"},
	{"spring-oxm", "org.springframework"},
	{"spring-r2dbc", "org.springframework"},
	{"spring-test", "org.springframework"},
	{"spring-tx", "org.springframework"},
	{"spring-webflux", "org.springframework"},
	{"spring-webmvc", "org.springframework"},
	{"spring-websocket", "org.springframework"},
	{"spring-web", "org.springframework"},
	{"tomcat-embed-", "org.apache.tomcat.embed"},
	{"tomcat-", "org.apache.tomcat"},
	{"asm-", "org.ow2.asm"},
	{"kotlin-stdlib", "org.jetbrains.kotlin"},
	{"kotlin-reflect", "org.jetbrains.kotlin"},
	{"kotlinx-coroutines-", "org.jetbrains.kotlinx"},
	{"micrometer-", "io.micrometer"},
	{"reactor-core", "io.projectreactor"},
	{"reactor-netty", "io.projectreactor.netty"},
	{"reactive-streams", "org.reactivestreams"},
	{"okhttp", "com.squareup.okhttp3"},
	{"okio", "com.squareup.okio"},
	{"kafka-clients", "org.apache.kafka"},
	{"kafka-streams", "org.apache.kafka"},
	{"lucene-", "org.apache.lucene"},
	{"elasticsearch", "org.elasticsearch"},
	{"bcprov-", "org.bouncycastle"},
	{"bcpkix-", "org.bouncycastle"},
	{"bcutil-", "org.bouncycastle"},
	{"aspectj", "org.aspectj"},
	{"mockito-", "org.mockito"},
	{"junit-jupiter", "org.junit.jupiter"},
	{"junit-platform", "org.junit.platform"},
	{"hamcrest", "org.hamcrest"},
	{"log4j-", "org.apache.logging.log4j"},
	{"jackson-core", "com.fasterxml.jackson.core"},
	{"jackson-databind", "com.fasterxml.jackson.core"},
	{"jackson-annotations", "com.fasterxml.jackson.core"},
	{"postgresql", "org.postgresql"},
	{"lombok", "org.projectlombok"},
	{"h2", "com.h2database"},
	{"snakeyaml", "org.yaml"},
}

// namesakes are artifacts from Maven's first years, in groups of the same name.
var namesakes = [...]string{"antlr", "aopalliance", "commons-beanutils", "commons-cli", "commons-codec", "commons-collections",
	"commons-configuration", "commons-dbcp", "commons-digester", "commons-fileupload", "commons-httpclient", "commons-io",
	"commons-lang", "commons-logging", "commons-pool", "commons-validator", "dom4j", "joda-time", "junit", "log4j", "ognl", "velocity", "xalan"}

func wellKnownGroup(artifact, version string) string {
	switch {
	case strings.HasPrefix(artifact, "groovy"):
		if majorAtLeast(version, 4) {
			return "org.apache.groovy"
		}
		return "org.codehaus.groovy"
	case strings.HasPrefix(artifact, "hibernate-"):
		if strings.HasPrefix(artifact, "hibernate-validator") {
			return "org.hibernate.validator"
		}
		if majorAtLeast(version, 6) && !strings.HasPrefix(artifact, "hibernate-commons") {
			return "org.hibernate.orm"
		}
		return "org.hibernate"
	case artifact == "asm":
		return "org.ow2.asm"
	case artifact == "mysql-connector-java":
		return "mysql"
	}
	for _, name := range namesakes {
		if artifact == name {
			return artifact
		}
	}
	for _, g := range groups {
		if artifact == g.prefix || strings.HasPrefix(artifact, g.prefix) && (g.prefix[len(g.prefix)-1] == '-' || artifact[len(g.prefix)] == '-' || g.prefix == "aspectj") {
			return g.group
		}
	}
	return ""
}

func majorAtLeast(version string, major int) bool {
	n := 0
	for i := 0; i < len(version) && digit(version[i]) && n < 1000; i++ {
		n = n*10 + int(version[i]-'0')
	}
	return n >= major
}
