package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// hashLimit is the size in bytes up to which [HashTree] reads a file; of larger
// ones size and modification time have to do.
const hashLimit = 1 << 20

// HashTree describes everything below a directory: for each path type and
// mode, owner, size, modification time, extended attributes and, for small
// files, the hash of the content. Access times do not count. Compare two
// results to see that nothing changed in between.
func HashTree(t testing.TB, dir string) map[string]string {
	t.Helper()
	tree := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		line := fmt.Sprintf("mode=%o owner=%d:%d rdev=%d mtime=%d.%09d",
			st.Mode, st.Uid, st.Gid, st.Rdev, st.Mtim.Sec, st.Mtim.Nsec)
		if !d.IsDir() {
			line += fmt.Sprintf(" size=%d", st.Size)
		}
		line += xattrs(path)
		if d.Type().IsRegular() && st.Size <= hashLimit {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(content)
			line += " sha256=" + hex.EncodeToString(sum[:])
		}
		tree[path] = line
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func xattrs(path string) string {
	names, value := make([]byte, 64<<10), make([]byte, 64<<10) // the kernel's limits
	n, err := unix.Llistxattr(path, names)
	if err != nil || n == 0 {
		return ""
	}
	list := strings.Split(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00")
	slices.Sort(list)
	var line strings.Builder
	for _, name := range list {
		n, err := unix.Lgetxattr(path, name, value)
		fmt.Fprintf(&line, " %s=%x", name, value[:max(0, n)])
		if err != nil {
			fmt.Fprintf(&line, "(%v)", err)
		}
	}
	return line.String()
}

// changing lists the system calls that change a file system by a path or a
// descriptor, apart from writing through a descriptor that was opened before.
const changing = "open,openat,openat2,creat,mkdir,mkdirat,mknod,mknodat," +
	"rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir," +
	"truncate,ftruncate,fallocate,chmod,fchmod,fchmodat,chown,fchown,lchown,fchownat," +
	"utime,utimes,utimensat,futimesat,setxattr,lsetxattr,fsetxattr," +
	"removexattr,lremovexattr,fremovexattr,mount,umount2,open_tree,move_mount,fsmount,pivot_root"

// Strace runs cmd, with its children, under strace and returns the sorted
// paths that it opened for writing, created, removed or changed in any other
// way, and every mount point it touched. Calls that failed changed nothing and
// are left out. Paths are absolute, except those that a program passed as
// relative ones to a call without a directory argument, such as mkdir; Go
// programs do not. The error is cmd's own.
func Strace(t testing.TB, cmd *exec.Cmd) (written []string, err error) {
	t.Helper()
	Need(t, "strace")
	dir := t.TempDir()
	strace, lookErr := exec.LookPath("strace")
	if lookErr != nil {
		t.Fatal(lookErr)
	}
	// -ff gives each thread a file of its own, so no call is split in two.
	cmd.Args = append([]string{strace, "-ff", "--seccomp-bpf", "-qq", "-y", "-z", "-s", "4096",
		"-e", "trace=" + changing, "-e", "signal=none", "-o", filepath.Join(dir, "t"), cmd.Path}, cmd.Args[1:]...)
	cmd.Path = strace
	err = cmd.Run()

	files, globErr := filepath.Glob(filepath.Join(dir, "t.*"))
	if globErr != nil || len(files) == 0 {
		t.Fatalf("strace left no trace: %v, %v", globErr, err)
	}
	for _, file := range files {
		trace, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(trace)) {
			written = append(written, changedPaths(line)...)
		}
	}
	slices.Sort(written)
	return slices.Compact(written), err
}

var (
	// name(arguments) = result</path of result>
	straceCall = regexp.MustCompile(`^(\w+)\((.*)\) += \d+(?:<(.*)>)?`)
	straceOpen = regexp.MustCompile(`O_(WRONLY|RDWR|CREAT|TRUNC|TMPFILE)`)
	// 3</path of descriptor> or the same, "path"
	stracePath = regexp.MustCompile(`(?:(?:AT_FDCWD|\d+)<((?:[^>\\]|\\.)*)>(?:, )?)?("(?:[^"\\]|\\.)*")?`)
)

// changedPaths returns the paths that one line of strace's output shows as
// changed.
func changedPaths(line string) (paths []string) {
	m := straceCall.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	call, args, result := m[1], m[2], m[3]
	if strings.HasPrefix(call, "open") && call != "open_tree" {
		if straceOpen.MatchString(args) {
			return []string{unquote(`"` + result + `"`)}
		}
		return nil
	}
	for _, p := range stracePath.FindAllStringSubmatch(args, -1) {
		at, name := unquote(`"`+p[1]+`"`), unquote(p[2])
		switch {
		case p[0] == "":
		case filepath.IsAbs(name) || at == "":
			paths = append(paths, filepath.Clean(name))
		default:
			paths = append(paths, filepath.Join(at, name))
		}
	}
	if strings.HasPrefix(call, "symlink") && len(paths) > 1 {
		paths = paths[1:] // the first is what the link says
	}
	return paths
}

// unquote undoes C escapes; what it cannot undo it returns as it is.
func unquote(s string) string {
	if u, err := strconv.Unquote(s); err == nil {
		return u
	}
	return strings.Trim(s, `"`)
}
