package langpkg

import (
	"bytes"
	"context"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// jdk identifies Java runtimes by the release file in their directory.
type jdk struct{}

func (jdk) Name() string { return "jdk" }
func (jdk) Version() int { return 2 }

func (jdk) Wants(p string) inventory.Want {
	// Many files are called so; those of runtimes lie in a directory named for
	// Java or below one of the places that distributors use.
	dir, ok := strings.CutSuffix(p, "/release")
	if !ok {
		return inventory.No
	}
	for _, word := range [...]string{"java", "jdk", "jre", "jvm", "zulu", "graalvm", "corretto", "temurin", "runtime"} {
		if strings.Contains(dir, word) {
			return inventory.Yes
		}
	}
	return inventory.No
}

func (jdk) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	data, err := head(f, 64<<10, "read java release file")
	if err != nil {
		return inventory.Facts{}, err
	}
	field := map[string]string{}
	for line := range bytes.Lines(data) {
		key, value, ok := bytes.Cut(line, []byte("="))
		switch k := string(key); k {
		case "JAVA_VERSION", "JAVA_RUNTIME_VERSION", "FULL_VERSION", "IMPLEMENTOR", "IMPLEMENTOR_VERSION", "OS_ARCH", "BUILD_TYPE", "GRAALVM_VERSION":
			if ok {
				field[k] = strings.Trim(strings.TrimSpace(string(value)), `"`)
			}
		}
	}
	version := javaVersion(field["JAVA_VERSION"])
	if version == "" {
		return inventory.Facts{}, nil // another program's release file
	}
	name := "openjdk"
	switch {
	case strings.HasPrefix(field["IMPLEMENTOR"], "Oracle") && !strings.Contains(f.Path, "openjdk") && field["BUILD_TYPE"] == "commercial":
		name = "oracle-jdk"
	case field["GRAALVM_VERSION"] != "":
		name = "graalvm"
	}
	p := plimsoll.Package{Type: plimsoll.TypeGeneric, Name: name, Version: version, Path: f.Path,
		Arch: text(field["OS_ARCH"], 32), Supplier: text(field["IMPLEMENTOR"], maxName), Evidence: plimsoll.EvidenceMetadata}
	if !identified(&p) {
		return inventory.Facts{}, nil
	}
	return inventory.Facts{Packages: []plimsoll.Package{p}}, nil
}

// javaVersion writes the old forms "1.8.0_131" and "8u131" as the new one,
// "8.0.131", and keeps that of Java 9 and later, "17.0.9".
func javaVersion(v string) string {
	if i := strings.LastIndex(v, "-b"); i > 0 && i+2 < len(v) && digit(v[i+2]) {
		v = v[:i]
	}
	if major, update, ok := strings.Cut(v, "u"); ok && major != "" && update != "" && strings.Trim(major+update, "0123456789") == "" {
		return major + ".0." + update
	}
	rest, old := strings.CutPrefix(v, "1.")
	if !old || !strings.Contains(v, "_") && len(rest) > 0 && rest[0] > '8' {
		return v
	}
	major, update, _ := strings.Cut(rest, "_")
	major, _, _ = strings.Cut(major, ".")
	update = strings.TrimLeft(update, "0")
	if update == "" {
		update = "0"
	}
	return major + ".0." + update
}
