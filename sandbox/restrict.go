package sandbox

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

func (r *Restrictions) held(format string, args ...any) {
	r.Held = append(r.Held, fmt.Sprintf(format, args...))
}

func (r *Restrictions) missing(format string, args ...any) {
	r.Missing = append(r.Missing, fmt.Sprintf(format, args...))
}

// restrict gives up, in all threads of this process and for good, what reading
// images does not take. dirs are the layers' directories. Each restriction is told
// as held or missing: kernels differ, and another sandbox around this process may
// refuse. It says whether system calls are restricted.
func restrict(r *Restrictions, dirs []*os.File) bool {
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
		r.missing("no new privileges: %v", errno)
	} else {
		r.held("no new privileges")
	}
	restrictFiles(r, dirs)
	return restrictCalls(r)
}

// restrictFiles lets the layers' directories be read, and nothing else.
func restrictFiles(r *Restrictions, dirs []*os.File) {
	if cgo { // what reaches all threads then was seen to wait for them forever
		r.missing("Landlock: this program was built with cgo")
		return
	}
	version, err := ll.LandlockGetABIVersion()
	if err != nil || version < 1 {
		r.missing("Landlock: this kernel does not offer it, so file permissions alone keep the host's files away")
		return
	}
	var rules []landlock.Rule
	for _, d := range dirs {
		rules = append(rules, landlock.PathAccess(ll.AccessFSReadFile|ll.AccessFSReadDir, "/proc/self/fd/"+strconv.Itoa(int(d.Fd()))))
	}
	if err := landlock.V11.BestEffort().Restrict(rules...); err != nil {
		r.missing("Landlock: %v", err)
		return
	}
	const tcp = 4 // the ABI version since which TCP is restricted
	if version < tcp {
		r.held("Landlock ABI %d: files of the layers only", version)
		return
	}
	r.held("Landlock ABI %d: files of the layers only, no TCP", version)
}

// calls are the system calls that the Go runtime, package layerfs and the analysers
// make. All others fail with EPERM: to execute, to make processes, sockets, mounts
// or files, to change a file's attributes, to trace, to load programs into the
// kernel. Names that an architecture has not got are left out.
var calls = strings.Fields(`
	read pread64 readv preadv write pwrite64 writev close lseek
	openat openat2 fstat newfstatat fstatat statx readlinkat getdents64 faccessat faccessat2
	flistxattr fgetxattr fcntl dup dup3 ftruncate fadvise64 recvmsg
	futex mmap munmap mprotect madvise mincore mremap brk
	rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall tgkill
	sched_yield sched_getaffinity nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time
	epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd2 pipe2 poll ppoll
	getpid gettid getppid getuid geteuid getgid getegid getrusage getrandom uname sysinfo
	capget capset set_robust_list rseq exit exit_group`)

// restrictCalls allows the calls above only.
func restrictCalls(r *Restrictions) bool {
	if cgo {
		r.missing("a filter of system calls: this program was built with cgo, whose threads take more than it allows")
		return false
	}
	info, err := arch.GetInfo("")
	if err != nil {
		r.missing("seccomp: %v", err)
		return false
	}
	var names []string
	for _, name := range calls {
		if _, ok := info.SyscallNames[name]; ok {
			names = append(names, name)
		}
	}
	filter := seccomp.Filter{
		Flag: seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{
			DefaultAction: seccomp.ActionErrno,
			Syscalls: []seccomp.SyscallGroup{
				{Action: seccomp.ActionAllow, Names: names},
				{Action: seccomp.ActionAllow, NamesWithCondtions: []seccomp.NameWithConditions{{ // threads, not processes
					Name:       "clone",
					Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.BitsSet, Value: unix.CLONE_THREAD}},
				}}},
			},
		},
	}
	if err := seccomp.LoadFilter(filter); err != nil {
		r.missing("seccomp: %v", err)
		return false
	}
	r.held("seccomp: %d system calls only, no exec, processes, sockets or mounts", len(names)+1)
	return true
}

// Capabilities by which files of others are read, the better one first: the second
// would allow to write, too, which the other restrictions refuse.
var toRead = []uint{unix.CAP_DAC_READ_SEARCH, unix.CAP_DAC_OVERRIDE}

// capabilities are sets as capset(2) takes them.
type capabilities [2]unix.CapUserData

func capabilitiesOf(pid int) (capabilities, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3, Pid: int32(pid)}
	var c capabilities
	err := unix.Capget(&header, &c[0])
	return c, err
}

func (c *capabilities) permits(capability uint) bool {
	return c[capability/32].Permitted&(1<<(capability%32)) != 0
}

// wanted returns which of its capabilities a child needs: one to read files of
// others and, while it lists directories, the one to see their marks.
func (c *capabilities) wanted(listing bool) []uint {
	var wanted []uint
	for _, capability := range toRead {
		if c.permits(capability) {
			wanted = append(wanted, capability)
			break
		}
	}
	if listing && c.permits(unix.CAP_SYS_ADMIN) {
		wanted = append(wanted, unix.CAP_SYS_ADMIN)
	}
	return wanted
}

// keep gives up all capabilities but these, in all threads and for good.
func keep(wanted []uint) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data capabilities
	for _, capability := range wanted {
		data[capability/32].Permitted |= 1 << (capability % 32)
		data[capability/32].Effective |= 1 << (capability % 32)
	}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
	return errorOf(errno)
}

func errorOf(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// capabilityNames names capabilities as people do.
func capabilityNames(list []uint) string {
	names := map[uint]string{unix.CAP_DAC_READ_SEARCH: "CAP_DAC_READ_SEARCH", unix.CAP_DAC_OVERRIDE: "CAP_DAC_OVERRIDE", unix.CAP_SYS_ADMIN: "CAP_SYS_ADMIN"}
	if len(list) == 0 {
		return "none"
	}
	var text []string
	for _, capability := range list {
		text = append(text, names[capability])
	}
	return strings.Join(text, ", ")
}
