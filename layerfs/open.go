package layerfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"plimsoll"
)

// hostDir is a layer's root directory on the host, held by a descriptor. The
// host path is used once, to get it; every later name is resolved beneath the
// descriptor without following links or crossing mounts.
type hostDir struct {
	fd        int
	dev       uint64
	noOpenat2 atomic.Bool // an old kernel or a seccomp profile
}

func openHostDir(path string) (*hostDir, error) {
	fd, err := retry(func() (int, error) {
		return unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, openError("open layer", path, err)
	}
	return newHostDir(fd, path)
}

func newHostDir(fd int, path string) (*hostDir, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, openError("open layer", path, err)
	}
	return &hostDir{fd: fd, dev: st.Dev}, nil
}

func (h *hostDir) close() error {
	if h.fd < 0 {
		return nil
	}
	fd := h.fd
	h.fd = -1
	return unix.Close(fd)
}

// open opens the entry at path beneath h. A link as the last component is
// refused or, with O_PATH, opened itself.
func (h *hostDir) open(path string, flags int) (int, error) {
	flags |= unix.O_NOFOLLOW | unix.O_CLOEXEC
	if path == "" {
		path = "."
	}
	if !h.noOpenat2.Load() && len(path) < unix.PathMax {
		how := unix.OpenHow{
			Flags:   uint64(flags),
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
		}
		fd, err := retry(func() (int, error) { return unix.Openat2(h.fd, path, &how) })
		if err == unix.ENOSYS {
			h.noOpenat2.Store(true)
		} else if err != unix.EPERM { // EPERM may be a seccomp profile: try the other way
			return fd, err
		}
	}
	return h.walk(path, flags)
}

// walk is open without openat2: component by component.
func (h *hostDir) walk(path string, flags int) (int, error) {
	dir := h.fd
	for {
		name, rest, more := strings.Cut(path, "/")
		if name == "" || name == ".." {
			return -1, unix.EXDEV
		}
		f := flags
		if more {
			f = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
		}
		fd, err := retry(func() (int, error) { return unix.Openat(dir, name, f, 0) })
		if dir != h.fd {
			unix.Close(dir)
		}
		if err != nil {
			return -1, err
		}
		if f&unix.O_DIRECTORY != 0 {
			var st unix.Stat_t
			if err := unix.Fstat(fd, &st); err != nil || st.Dev != h.dev {
				unix.Close(fd)
				return -1, unix.EXDEV
			}
		}
		if !more {
			return fd, nil
		}
		dir, path = fd, rest
	}
}

// openDir opens a directory for reading. Its access time is left alone where
// the system allows it.
func (h *hostDir) openDir(path string) (int, error) {
	return noatime(func(flag int) (int, error) { return h.open(path, unix.O_RDONLY|unix.O_DIRECTORY|flag) })
}

// noatime opens with O_NOATIME what this process owns; of the files of others that
// takes CAP_FOWNER.
func noatime(open func(flag int) (int, error)) (int, error) {
	fd, err := open(unix.O_NOATIME)
	if err == unix.EPERM {
		return open(0)
	}
	return fd, err
}

// errNotRegular is what opening anything but a regular file gives.
var errNotRegular = errors.New("not a regular file")

// openFile opens the regular file at path. What it is, is decided on a
// descriptor that cannot be read (O_PATH), so that a FIFO cannot block and a
// device cannot act; that very file is then reopened for reading.
func (h *hostDir) openFile(path string) (*os.File, *unix.Stat_t, error) {
	fd, err := h.open(path, unix.O_PATH)
	if err != nil {
		return nil, nil, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, nil, errNotRegular
	}
	self := "/proc/self/fd/" + strconv.Itoa(fd)
	rfd, err := noatime(func(flag int) (int, error) {
		return retry(func() (int, error) { return unix.Open(self, unix.O_RDONLY|unix.O_CLOEXEC|flag, 0) })
	})
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(rfd), "file of a layer"), &st, nil
}

// newFile makes the File that a visitor reads.
func newFile(f *os.File, st *unix.Stat_t) *File {
	return &File{
		ReaderAt: io.NewSectionReader(f, 0, st.Size),
		Size:     st.Size,
		Mode:     fileMode(int64(st.Mode)),
		close:    f.Close,
	}
}

// fileMode turns the permission bits of a Unix mode into Go's.
func fileMode(mode int64) fs.FileMode {
	m := fs.FileMode(mode) & fs.ModePerm
	if mode&unix.S_ISUID != 0 {
		m |= fs.ModeSetuid
	}
	if mode&unix.S_ISGID != 0 {
		m |= fs.ModeSetgid
	}
	if mode&unix.S_ISVTX != 0 {
		m |= fs.ModeSticky
	}
	return m
}

// retry repeats a system call that a signal or a race interrupted.
func retry[T any](call func() (T, error)) (T, error) {
	for i := 0; ; i++ {
		v, err := call()
		if err == unix.EINTR || err == unix.EAGAIN && i < 100 {
			continue
		}
		return v, err
	}
}

// openError gives a system call's error its code.
func openError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	code := plimsoll.CodeUnreadable
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		code = plimsoll.CodeNotFound
	case errors.Is(err, errNotRegular), errors.Is(err, unix.ELOOP), errors.Is(err, unix.EXDEV):
		code = plimsoll.CodeInvalid
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOMEM):
		code = plimsoll.CodeUnavailable
	}
	return plimsoll.Errorf(code, op, "%q: %w", path, err)
}

// xattrs returns the names of a file's extended attributes.
func xattrs(fd int, buf []byte) []byte {
	n, err := retry(func() (int, error) { return unix.Flistxattr(fd, buf) })
	if err == unix.ERANGE { // at most 64 KiB, by the kernel's own limit
		buf = make([]byte, 64<<10)
		n, err = retry(func() (int, error) { return unix.Flistxattr(fd, buf) })
	}
	if err != nil || n <= 0 {
		return nil // file systems without attributes have none
	}
	return buf[:n]
}

// xattr returns the value of one attribute, up to maxTarget bytes.
func xattr(fd int, name string) string {
	buf := make([]byte, maxTarget)
	n, err := retry(func() (int, error) { return unix.Fgetxattr(fd, name, buf) })
	if err != nil {
		return ""
	}
	return string(buf[:n])
}

// seesTrusted says whether this process can see trusted.* attributes. The
// kernel hides them without CAP_SYS_ADMIN in the initial user namespace: they
// then seem not to exist.
func seesTrusted() bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil || data[0].Effective&(1<<unix.CAP_SYS_ADMIN) == 0 {
		return false
	}
	m, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return true // no user namespaces in this kernel
	}
	f := strings.Fields(string(m))
	return len(f) == 3 && f[0] == "0" && f[1] == "0" && f[2] == "4294967295"
}
