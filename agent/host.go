package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"plimsoll/api"
)

// maxFact bounds what is read of a file about the host, in bytes.
const maxFact = 64 << 10

// Facts returns what is told of this host.
func Facts(version, analyzers string) HostFacts {
	f := HostFacts{HostFacts: api.HostFacts{Arch: runtime.GOARCH, AgentVersion: version, Analyzers: analyzers}}
	f.Name, _ = os.Hostname()
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		f.Kernel = unix.ByteSliceToString(uts.Release[:])
	}
	for _, path := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		if b, err := readFile(path, maxFact); err == nil {
			f.OS = prettyName(string(b))
			break
		}
	}
	f.Addresses = addresses()
	// A clone of a machine has its own ID, or the console cannot tell the two
	// apart; the ID itself is confidential (machine-id(5)).
	id, err := readFile("/etc/machine-id", maxFact)
	if err != nil || len(id) == 0 {
		id = []byte(f.Name)
	}
	sum := sha256.Sum256(append([]byte("plimsoll machine "), id...))
	f.MachineID = hex.EncodeToString(sum[:])
	f.Name, f.Kernel, f.OS = cut(f.Name, 255), cut(f.Kernel, 200), cut(f.OS, 200)
	return f
}

func prettyName(release string) string {
	for line := range strings.Lines(release) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			return strings.Trim(value, `"'`)
		}
	}
	return ""
}

// addresses returns the host's addresses, sorted, without those that every host
// has.
func addresses() []string {
	const most = 64
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var list []string
	for _, a := range all {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() {
			list = append(list, ip.IP.String())
		}
	}
	slices.Sort(list)
	return list[:min(len(list), most)]
}

// cut shortens text to at most limit bytes, at the border of a rune. What is no
// text (NUL is none for a database) is replaced.
func cut(text string, limit int) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	if len(text) <= limit {
		return text
	}
	for limit > 0 && text[limit]&0xc0 == 0x80 {
		limit--
	}
	return text[:limit]
}
