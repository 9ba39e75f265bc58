package langpkg

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"plimsoll"
)

func pom(group, artifact, version string) (name, content string) {
	return "META-INF/maven/" + group + "/" + artifact + "/pom.properties",
		fmt.Sprintf("#Created by Apache Maven 3.8.7\nversion=%s\ngroupId=%s\nartifactId=%s\n", version, group, artifact)
}

// jar makes a stored archive; pairs as zipOf.
func jar(t testing.TB, pairs ...string) string { return zipOf(t, zip.Store, pairs...) }

func javaPackages(t *testing.T, path, content string) []string {
	t.Helper()
	return brief(analyze(t, java{}, path, content))
}

func TestJAR02PomProperties(t *testing.T) {
	t.Parallel()
	aName, aPom := pom("org.a", "alpha", "1.0")
	bName, bPom := pom("org.b", "beta", "2.0")
	cName, cPom := pom("org.c", "gamma", "3.0")
	for _, c := range []struct {
		name, path string
		pairs      []string
		want       []string
	}{
		{"one is the archive itself", "renamed.jar", []string{aName, aPom}, []string{"org.a:alpha 1.0"}},
		{"several: file name confirms", "beta-2.0.jar", []string{aName, aPom, bName, bPom}, []string{"org.b:beta 2.0", "org.a:alpha 1.0 in org.b:beta"}},
		{"several: classifier", "beta-2.0-all.jar", []string{aName, aPom, bName, bPom}, []string{"org.b:beta 2.0", "org.a:alpha 1.0 in org.b:beta"}},
		{"several: manifest confirms", "app.jar", []string{aName, aPom, bName, bPom, "META-INF/MANIFEST.MF", "Implementation-Title: alpha\n"},
			[]string{"org.a:alpha 1.0", "org.b:beta 2.0 in org.a:alpha"}},
		{"several: none is the archive", "app.jar", []string{aName, aPom, cName, cPom, "A.class", ""}, []string{"org.a:alpha 1.0", "org.c:gamma 3.0"}},
		{"pom.xml is no list", "x-1.0.jar", []string{"META-INF/maven/g/x/pom.xml", "<dependencies/>"}, []string{"x 1.0"}},
		{"placeholder version", "alpha-1.5.jar", []string{aName, strings.Replace(aPom, "1.0", "${project.version}", 1)}, []string{"org.a:alpha 1.5"}},
		{"group and artifact from the path", "alpha.jar", []string{aName, "version=1.0\n"}, []string{"org.a:alpha 1.0"}},
	} {
		t.Run(c.name, func(t *testing.T) { equal(t, javaPackages(t, c.path, jar(t, c.pairs...)), c.want) })
	}
}

func TestJAR03Manifest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, manifest, want string }{
		{"commons-lang3.jar", "Bundle-SymbolicName: org.apache.commons.lang3;singleton:=true\nImplementation-Version: 3.12.0\n", "commons-lang3 3.12.0"},
		{"commons-lang3-3.12.0.jar", "Bundle-SymbolicName: org.apache.commons.lang3\nBundle-Version: 3.12.0\n", "org.apache.commons:commons-lang3 3.12.0"},
		{"catalina.jar", "Bundle-SymbolicName: org.apache.tomcat-catalina\nImplementation-Version: 9.0.50\nImplementation-Vendor: ASF\n", "org.apache.tomcat:tomcat-catalina 9.0.50"},
		{"spring-core-5.3.1.jar", "Implementation-Title: spring-core\nImplementation-Version: 5.3.1\nAutomatic-Module-Name: spring.core\n", "org.springframework:spring-core 5.3.1"},
		{"plugin.hpi", "Group-Id: org.jenkins-ci.plugins\nShort-Name: git\nPlugin-Version: 4.11.3\n", "org.jenkins-ci.plugins:git 4.11.3"},
		{"x.jar", "Implementation-Version: 1.0\n -beta\n\nName: inner/\nImplementation-Version: 9\n", "x 1.0-beta"},
		{"x.jar", "Implementation-Vendor-Id: org.vendor\r\nImplementation-Version: 2.0\r\n", "org.vendor:x 2.0"},
		{"x.jar", "Implementation-Vendor-Id: Not A Group\nImplementation-Version: 2.0\n", "x 2.0"},
		{"x-1.1.jar", "Implementation-Version: 1.0\n", "x 1.1"},
		{"asm-9.7.jar", "Bundle-SymbolicName: org.objectweb.asm\nBundle-Version: 9.7.0\n", "org.ow2.asm:asm 9.7"},
		{"hibernate-core-6.2.0.Final.jar", "Implementation-Version: 6.2.0.Final\n", "org.hibernate.orm:hibernate-core 6.2.0.Final"},
		{"groovy-3.0.9.jar", "Implementation-Version: 3.0.9\n", "org.codehaus.groovy:groovy 3.0.9"},
	} {
		if c.path == "commons-lang3.jar" {
			c.want = "org.apache.commons:" + c.want
		}
		equal(t, javaPackages(t, c.path, jar(t, "META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n"+c.manifest, "A.class", "")), []string{c.want})
	}
}

func TestJAR04FileName(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]coordinates{
		"name-1.2.3.jar":                    {"", "name", "1.2.3"},
		"name-1.2.3-SNAPSHOT.jar":           {"", "name", "1.2.3-SNAPSHOT"},
		"name-1.2.Final.jar":                {"", "name", "1.2.Final"},
		"name_2.13-3.0.jar":                 {"", "name_2.13", "3.0"},
		"name-1.2.3-sources.jar":            {"", "name", "1.2.3"},
		"name-1.2.3-linux-x86_64.jar":       {"", "name", "1.2.3"},
		"guava-31.1-jre.jar":                {"", "guava", "31.1-jre"},
		"log4j-1.2-api-2.17.1.jar":          {"", "log4j-1.2-api", "2.17.1"},
		"commons-lang3-3.12.0.jar":          {"", "commons-lang3", "3.12.0"},
		"lib-2.0-beta-3.jar":                {"", "lib", "2.0-beta-3"},
		"lib-2.0-rc-1.0.jar":                {"", "lib", "2.0-rc-1.0"},
		"mssql-jdbc-12.10.2.jre11.jar":      {"", "mssql-jdbc", "12.10.2.jre11"},
		"org.eclipse.osgi_3.18.0.v2022.jar": {"", "org.eclipse.osgi", "3.18.0.v2022"},
		"tool-v1.2.jar":                     {"", "tool", "v1.2"},
		"app.jar":                           {"", "app", ""},
		"my-app.jar":                        {"", "my-app", ""},
		"-1.jar":                            {"", "-1", ""},
		".jar":                              {"", "", ""},
		"h2-2.1.214.jar":                    {"", "h2", "2.1.214"},
		"geronimo-jta_1.1_spec-1.1.1.jar":   {"", "geronimo-jta_1.1_spec", "1.1.1"},
		"servlet-api-2.5-20081211.jar":      {"", "servlet-api", "2.5-20081211"},
		"x-1.0-20240101.120000-3.jar":       {"", "x", "1.0-20240101.120000-3"},
	} {
		if got := parseJarName("lib/" + base); got != want {
			t.Errorf("%s: %+v, not %+v", base, got, want)
		}
	}
}

func TestJAR04UnidentifiedIsCounted(t *testing.T) {
	t.Parallel()
	facts := analyze(t, java{}, "app.jar", jar(t, "META-INF/MANIFEST.MF", "Implementation-Title: Thing\n", "A.class", ""))
	equal(t, brief(facts), nil)
	equal(t, len(facts.Problems), 1)
	equal(t, facts.Problems[0].Code, plimsoll.ProblemUnidentified)
	equal(t, facts.Problems[0].Path, "app.jar")

	for what, content := range map[string]string{
		"an archive without classes": jar(t, "README", ""),
		"a part of the JDK":          jar(t, "META-INF/MANIFEST.MF", "Specification-Title: Java Platform API Specification\nImplementation-Version: 17.0.9\n", "A.class", ""),
		"an empty archive":           jar(t),
	} {
		if facts := analyze(t, java{}, "rt.jar", content); len(facts.Problems)+len(facts.Packages) > 0 {
			t.Errorf("%s: %+v", what, facts)
		}
	}
}

func TestJAR01And05NestedArchives(t *testing.T) {
	t.Parallel()
	aName, aPom := pom("org.a", "alpha", "1.0")
	bName, bPom := pom("org.b", "beta", "2.0")
	inner := jar(t, aName, aPom)
	middle := zipOf(t, zip.Deflate, bName, bPom, "WEB-INF/lib/alpha-1.0.jar", inner)
	outer := "#!/bin/sh\nexec java -jar \"$0\"\n" + jar(t, "BOOT-INF/lib/x.war", middle, "BOOT-INF/lib/", "", "A.class", "")
	facts := analyze(t, java{}, "srv/app.jar", outer)
	equal(t, brief(facts), []string{"org.b:beta 2.0", "org.a:alpha 1.0"})
	equal(t, facts.Packages[0].Path, "srv/app.jar!/BOOT-INF/lib/x.war")
	equal(t, facts.Packages[1].Path, "srv/app.jar!/BOOT-INF/lib/x.war!/WEB-INF/lib/alpha-1.0.jar")
	equal(t, len(facts.Problems), 0)
}

func TestJAR01Zip64(t *testing.T) {
	t.Parallel()
	name, content := pom("org.a", "alpha", "1.0")
	pairs := make([]string, 0, 140_000)
	for i := range 66_000 { // more than the end record can count
		pairs = append(pairs, fmt.Sprint(i), "")
	}
	archive := jar(t, append(pairs, name, content)...)
	if !strings.Contains(archive, "PK\x06\x06") {
		t.Fatal("the archive has no zip64 record")
	}
	equal(t, javaPackages(t, "a.jar", archive), []string{"org.a:alpha 1.0"})
	equal(t, javaPackages(t, "a.jar", "#!/bin/sh\n"+archive), []string{"org.a:alpha 1.0"})
}

func TestJAR05EmbeddedSBOMIsReconciled(t *testing.T) {
	t.Parallel()
	aName, aPom := pom("org.a", "alpha", "1.0")
	content := jar(t, "BOOT-INF/lib/alpha-1.0.jar", jar(t, aName, aPom), "BOOT-INF/lib/nogroup-3.0.jar", jar(t, "N.class", ""),
		"META-INF/sbom/application.cdx.json", `{"bomFormat":"CycloneDX","components":[
		{"purl":"pkg:maven/org.a/alpha@1.0?type=jar"},{"purl":"pkg:maven/org.n/nogroup@3.0?type=jar"},{"purl":"pkg:maven/org.s/shaded@5.0?type=jar"}]}`)
	facts := analyze(t, java{}, "app.jar", content)
	equal(t, brief(facts), []string{"org.a:alpha 1.0", "nogroup 3.0", "org.s:shaded 5.0"})
	equal(t, facts.Packages[2].Evidence, plimsoll.EvidenceSBOM)
}

func TestJAR06Log4jByClass(t *testing.T) {
	t.Parallel()
	facts := analyze(t, java{}, "x-1.0.jar", jar(t, "com/acme/shaded/log4j/core/LoggerContext.class", ""))
	equal(t, brief(facts), []string{"x 1.0"})
	equal(t, len(facts.Problems), 1)
	name, content := pom("org.apache.logging.log4j", "log4j-core", "2.14.1")
	facts = analyze(t, java{}, "renamed.jar", jar(t, "org/apache/logging/log4j/core/LoggerContext.class", "", name, content))
	equal(t, brief(facts), []string{"org.apache.logging.log4j:log4j-core 2.14.1"})
	equal(t, len(facts.Problems), 0)
	equal(t, facts.Packages[0].Remark, "JndiLookup.class is not in the archive")
	facts = analyze(t, java{}, "renamed.jar", jar(t, "org/apache/logging/log4j/core/LoggerContext.class", "",
		"org/apache/logging/log4j/core/lookup/JndiLookup.class", "", name, content))
	equal(t, facts.Packages[0].Remark, "")
}

// class makes the beginning of a class file whose constant pool holds texts.
func class(texts ...string) string {
	b := []byte("\xca\xfe\xba\xbe\x00\x00\x00\x34")
	b = binary.BigEndian.AppendUint16(b, uint16(len(texts)+3))
	b = append(b, 5, 0, 0, 0, 0, 0, 0, 0, 1) // a long, which takes two places
	for _, s := range texts {
		b = append(b, 1)
		b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
		b = append(b, s...)
	}
	return string(b)
}

// Famous libraries are told by their classes where metadata was lost, with a
// version where a class holds it.
func TestJAR06FamousLibrariesByClass(t *testing.T) {
	t.Parallel()
	const json = "com/alibaba/fastjson/JSON.class"
	for _, c := range []struct {
		name, path string
		pairs      []string
		want       []string
		problem    string
	}{
		{"renamed, with a version constant", "lib.jar", []string{json, class("VERSION", "1.2.24", "()V")}, []string{"com.alibaba:fastjson 1.2.24"}, ""},
		{"relocated into another archive", "app-1.0.jar", []string{"com/acme/shaded/" + json, class("1.2.24")}, []string{"app 1.0", "com.alibaba:fastjson 1.2.24 in app"}, ""},
		{"two constants", "lib.jar", []string{json, class("1.2.24", "1.2.25")}, nil, "classes of fastjson without"},
		{"no class file", "lib.jar", []string{json, "garbage"}, nil, "classes of fastjson without"},
		{"jackson", "x.jar", []string{"com/fasterxml/jackson/databind/ObjectMapper.class", "", "com/fasterxml/jackson/databind/cfg/PackageVersion.class", class("2.9.10.8")},
			[]string{"com.fasterxml.jackson.core:jackson-databind 2.9.10.8"}, ""},
		{"several without version", "x-1.0.jar", []string{"org/springframework/core/SpringVersion.class", "", "org/apache/commons/text/StringSubstitutor.class", ""},
			[]string{"x 1.0"}, "classes of spring-core, commons-text without"},
		{"log4j-core, disarmed", "x-1.0.jar", []string{"shaded/log4j/core/LoggerContext.class", ""}, []string{"x 1.0"}, "log4j-core (its JndiLookup.class was removed)"},
		{"the library itself", "spring-core-5.3.1.jar", []string{"org/springframework/core/SpringVersion.class", ""}, []string{"org.springframework:spring-core 5.3.1"}, ""},
		{"all of Spring in one archive", "spring-2.5.6.jar", []string{"org/springframework/core/SpringVersion.class", "", "org/springframework/beans/CachedIntrospectionResults.class", ""}, []string{"spring 2.5.6"}, ""},
		{"another class by the name", "x-1.0.jar", []string{"org/acme/JSON.class", "", "myalibaba/fastjson/JSON.class", ""}, []string{"x 1.0"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			facts := analyze(t, java{}, c.path, jar(t, c.pairs...))
			equal(t, brief(facts), c.want)
			detail := ""
			for _, p := range facts.Problems {
				if p.Code == plimsoll.ProblemUnidentified && strings.Contains(p.Detail, "contains classes") {
					detail = p.Detail
				}
			}
			if !strings.Contains(detail, c.problem) || c.problem == "" && detail != "" {
				t.Errorf("problem %q", detail)
			}
		})
	}
}

func TestClassVersionIsBounded(t *testing.T) {
	t.Parallel()
	whole := class("1.2.3")
	equal(t, classVersion([]byte(whole)), "1.2.3")
	for n := range len(whole) {
		equal(t, classVersion([]byte(whole[:n])), "")
	}
	equal(t, classVersion([]byte("\xca\xfe\xba\xbe\x00\x00\x00\x34\xff\xff\x63")), "") // a tag that does not exist
}

func TestJAR03SignedManifest(t *testing.T) {
	t.Parallel()
	manifest := "Implementation-Version: 1.0\n\n" + strings.Repeat("Name: org/a/B.class\nSHA-256-Digest: x\n\n", 100_000)
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		facts := analyze(t, java{}, "x.jar", zipOf(t, method, "META-INF/MANIFEST.MF", manifest, "A.class", ""))
		equal(t, brief(facts), []string{"x 1.0"})
		equal(t, len(facts.Problems), 0)
	}
}

func BenchmarkJar(b *testing.B) {
	name, content := pom("org.a", "alpha", "1.0")
	pairs := []string{"META-INF/MANIFEST.MF", "Implementation-Version: 1.0\n", name, content}
	for i := range 2000 {
		pairs = append(pairs, fmt.Sprintf("org/alpha/parts/of/it/Class%d.class", i), "")
	}
	f := file("lib/alpha-1.0.jar", zipOf(b, zip.Deflate, pairs...))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (java{}).Analyze(context.Background(), f); err != nil {
			b.Fatal(err)
		}
	}
}

func TestJAR07ReleaseFiles(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"IMPLEMENTOR=\"Eclipse Adoptium\"\nJAVA_VERSION=\"17.0.9\"\nOS_ARCH=\"x86_64\"\n": "openjdk 17.0.9",
		"JAVA_VERSION=\"1.8.0_131\"\n":     "openjdk 8.0.131",
		"JAVA_VERSION=\"1.8.0_131-b11\"\n": "openjdk 8.0.131",
		"JAVA_VERSION=\"1.8.0\"\n":         "openjdk 8.0.0",
		"JAVA_VERSION=\"11\"\n":            "openjdk 11",
		"IMPLEMENTOR=\"Oracle Corporation\"\nJAVA_VERSION=\"17.0.9\"\nBUILD_TYPE=\"commercial\"\n": "oracle-jdk 17.0.9",
	} {
		equal(t, brief(analyze(t, jdk{}, "usr/lib/jvm/x/release", content)), []string{want})
	}
	equal(t, brief(analyze(t, jdk{}, "opt/java/release", "VERSION=1\n")), nil)
}

func TestJarLicensesAndVendor(t *testing.T) {
	t.Parallel()
	facts := analyze(t, java{}, "x-1.0.jar", jar(t, "META-INF/MANIFEST.MF", "Bundle-License: \"Apache-2.0\";link=\"https://example.org\"\nBundle-Vendor: Acme\n"))
	equal(t, facts.Packages, []plimsoll.Package{{Type: plimsoll.TypeMaven, Name: "x", Version: "1.0", Licenses: []string{"Apache-2.0"},
		Supplier: "Acme", Path: "x-1.0.jar", Evidence: plimsoll.EvidenceFileName}})
}

func TestBrokenArchives(t *testing.T) {
	t.Parallel()
	aName, aPom := pom("org.a", "alpha", "1.0")
	whole := jar(t, aName, aPom)
	for what, content := range map[string]string{
		"empty": "", "text": "not a zip", "truncated": whole[:len(whole)-30], "tail only": whole[len(whole)-22:],
		"end record of lies": "PK\x05\x06" + strings.Repeat("\xff", 18),
	} {
		_, err := java{}.Analyze(context.Background(), file("a.jar", content))
		if plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
			t.Errorf("%s: %v", what, err)
		}
	}
	// A broken archive within a whole one is its own problem; the rest goes on.
	facts := analyze(t, java{}, "app.war", jar(t, "WEB-INF/lib/bad.jar", "garbage", "WEB-INF/lib/alpha.jar", whole))
	equal(t, brief(facts), []string{"org.a:alpha 1.0"})
	equal(t, facts.Problems[0].Code, plimsoll.ProblemCorruptFile)
	equal(t, facts.Problems[0].Path, "app.war!/WEB-INF/lib/bad.jar")
	// The readable part of a damaged directory counts.
	damaged := []byte(jar(t, aName, aPom, "second", "", "third", ""))
	copy(damaged[bytes.LastIndex(damaged, []byte("PK\x01\x02")):], "XXXX")
	facts, err := java{}.Analyze(context.Background(), file("alpha-1.0.jar", string(damaged)))
	equal(t, brief(facts), []string{"org.a:alpha 1.0"})
	equal(t, plimsoll.CodeOf(err), plimsoll.CodeCorrupt)
	// A tail appended to an archive does not hide it.
	equal(t, brief(analyze(t, java{}, "a.jar", whole+strings.Repeat("\x00", 600))), []string{"org.a:alpha 1.0"})
}
