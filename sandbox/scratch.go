package sandbox

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"

	"plimsoll"
)

// Scratch files are handed to the child over a socket: it may open none.

func scratchPair() (parent, child *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "scratch"), os.NewFile(uintptr(fds[1]), "scratch"), nil
}

// takeFile asks for a file for a layer.
func takeFile(socket *os.File, layer int) (*os.File, error) {
	const op = "ask for a scratch file"
	fd := int(socket.Fd())
	if _, err := unix.Write(fd, binary.BigEndian.AppendUint32(nil, uint32(layer))); err != nil {
		return nil, plimsoll.Errorf(plimsoll.CodeUnavailable, op, "%w", err)
	}
	var text [256]byte
	control := make([]byte, unix.CmsgSpace(4))
	n, c, _, _, err := unix.Recvmsg(fd, text[:], control, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, plimsoll.Errorf(plimsoll.CodeUnavailable, op, "%w", err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:c])
	if err != nil || len(messages) != 1 {
		return nil, plimsoll.Errorf(plimsoll.CodeUnavailable, op, "%s", text[:n])
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, plimsoll.Errorf(plimsoll.CodeUnavailable, op, "no file came")
	}
	return os.NewFile(uintptr(fds[0]), "scratch"), nil
}

// giveFiles answers takeFile until the socket ends. At most limit files are given.
func giveFiles(socket *os.File, limit int, open func(layer int) (*os.File, error)) {
	fd := int(socket.Fd())
	for given := 0; ; given++ {
		var b [8]byte
		n, err := unix.Read(fd, b[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n != 4 || given >= limit {
			return
		}
		f, err := open(int(binary.BigEndian.Uint32(b[:])))
		if err != nil {
			text := err.Error()
			unix.Write(fd, []byte(text[:min(len(text), 250)]))
			continue
		}
		unix.Sendmsg(fd, []byte{0}, unix.UnixRights(int(f.Fd())), nil, 0)
		f.Close()
	}
}
