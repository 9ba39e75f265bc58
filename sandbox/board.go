package sandbox

import (
	"encoding/binary"
	"os"
	"slices"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// board is memory that both processes see, in which the child notes what it is
// reading: it tells what the child was at when it died, and whether it is stuck,
// and costs the child no system call. Each slot is a counter, odd while an analyser
// reads a file, then the lengths of two texts and the texts.
type board struct {
	mem  []byte
	free chan int // slots, in the child
}

const (
	slots    = 32
	slotSize = 16 << 10
	slotHead = 16
)

// newBoard makes the memory, as a file to inherit.
func newBoard() (*board, *os.File, error) {
	fd, err := unix.MemfdCreate("plimsoll", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, nil, err
	}
	f := os.NewFile(uintptr(fd), "board")
	if _, err := f.WriteAt(make([]byte, slots*slotSize), 0); err != nil {
		f.Close()
		return nil, nil, err
	}
	// Were it made shorter by the child, the parent would die when it looks.
	_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	var b *board
	if err == nil {
		b, err = openBoard(f)
	}
	if err != nil {
		f.Close()
	}
	return b, f, err
}

func openBoard(f *os.File) (*board, error) {
	mem, err := unix.Mmap(int(f.Fd()), 0, slots*slotSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	b := &board{mem: mem, free: make(chan int, slots)}
	for i := range slots {
		b.free <- i
	}
	return b, nil
}

func (b *board) close() { unix.Munmap(b.mem) }

func (b *board) slot(i int) []byte { return b.mem[i*slotSize : (i+1)*slotSize] }

func (b *board) counter(i int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&b.mem[i*slotSize]))
}

// start notes a file that an analyser begins to read.
func (b *board) start(analyzer, path string) (end func()) {
	i := <-b.free
	s := b.slot(i)
	n := copy(s[slotHead:], analyzer)
	m := copy(s[slotHead+n:], path)
	binary.NativeEndian.PutUint32(s[8:], uint32(n))
	binary.NativeEndian.PutUint32(s[12:], uint32(m))
	b.counter(i).Add(1)
	return func() {
		b.counter(i).Add(1)
		b.free <- i
	}
}

// counters returns the counters of all slots.
func (b *board) counters() (c [slots]uint64) {
	for i := range c {
		c[i] = b.counter(i).Load()
	}
	return c
}

// suspects returns what is being read, of the slots that which accepts. The child
// may have written anything.
func (b *board) suspects(which func(slot int) bool) []suspect {
	var found []suspect
	for i := range slots {
		if b.counter(i).Load()%2 == 0 || !which(i) {
			continue
		}
		s := slices.Clone(b.slot(i))
		n, m := int(binary.NativeEndian.Uint32(s[8:])), int(binary.NativeEndian.Uint32(s[12:]))
		if n < 0 || m < 0 || n > slotSize || m > slotSize || slotHead+n+m > slotSize {
			continue
		}
		found = append(found, suspect{string(s[slotHead : slotHead+n]), string(s[slotHead+n : slotHead+n+m])})
	}
	return found
}
