package ospkg

import "encoding/binary"

// rpmSigners are keys with which third parties sign the packages that they build
// for distributions, by the ID that rpm shows (rpm -qi). A wrong row hides
// findings, so a key belongs here only when no distribution signs with it.
var rpmSigners = map[uint64]string{
	0xC52FEB6B621E9F35: "Docker",
	0x3B49DF2A0608B895: "EPEL", // for 6
	0x6A2FAEA2352C64E5: "EPEL", // for 7
	0x21EA45AB2F86D6A1: "EPEL", // for 8
	0x8A3872BF3228467C: "EPEL", // for 9
	0x33D98517E37ED158: "EPEL", // for 10
	0xEB3E94ADBE1229CF: "Microsoft",
	0x8C718D3B5072E1F5: "MySQL",
	0x467B942D3A79BD29: "MySQL",
	0xB7B3B788A8D3785C: "MySQL",
	0x5DDBE8D434FA74DD: "NodeSource",
	0x2F59B5F99B1BE0B4: "NodeSource",
	0x9CD0A493D42D0685: "NVIDIA",
	0x1C4CBDCDCD2EFD2A: "Percona",
	0x9334A25F8507EFA5: "Percona",
	0x1F16D2E1442DF0F8: "PGDG",
	0x40BCA2B408B40D20: "PGDG",
	0x004E6F4700F97F56: "Remi",
}

// signer returns the ID of the key that signed the package, as far as its header
// says; 0 when it does not. It names who made the package and proves nothing:
// nothing is verified here.
func (h *rpmHeader) signer() uint64 {
	for _, tag := range [...]int{tagRSAHeader, tagDSAHeader, tagSigPGP, tagSigGPG} {
		if id := signatureIssuer(h.array(tag, typeBin, 1)); id != 0 {
			return id
		}
	}
	return 0
}

// signatureIssuer returns the key ID of an OpenPGP signature packet of version 3
// or 4 (RFC 4880, sections 4.2 and 5.2), 0 for anything else.
func signatureIssuer(b []byte) uint64 {
	body, ok := packetBody(b)
	if !ok || len(body) == 0 {
		return 0
	}
	switch body[0] {
	case 3: // version, 5, type, time (4), key ID
		if len(body) >= 15 {
			return binary.BigEndian.Uint64(body[7:])
		}
	case 4: // version, type, two algorithms, then two lists of subpackets
		rest := body[min(len(body), 4):]
		for range 2 {
			if len(rest) < 2 {
				return 0
			}
			n := int(binary.BigEndian.Uint16(rest))
			if rest = rest[2:]; n > len(rest) {
				return 0
			}
			if id := issuerIn(rest[:n]); id != 0 {
				return id
			}
			rest = rest[n:]
		}
	}
	return 0
}

// packetBody takes the header off a signature packet in the old or new format.
func packetBody(b []byte) ([]byte, bool) {
	if len(b) < 2 || b[0]&0x80 == 0 {
		return nil, false
	}
	if b[0]&0x40 == 0 { // old: four bits of tag, two that tell the size of the length
		if b[0]>>2&0xf != 2 {
			return nil, false
		}
		head := 1 + 1<<(b[0]&3)
		if b[0]&3 == 3 { // a length without an end: the rest
			head = 1
		}
		return b[min(head, len(b)):], true
	}
	if b[0]&0x3f != 2 {
		return nil, false
	}
	_, rest, ok := packetLength(b[1:])
	return rest, ok
}

// packetLength reads a length in the new format, as subpackets have it too.
func packetLength(b []byte) (n int, rest []byte, ok bool) {
	switch {
	case len(b) == 0:
	case b[0] < 192:
		return int(b[0]), b[1:], true
	case b[0] < 255 && len(b) >= 2:
		return int(b[0]-192)<<8 + int(b[1]) + 192, b[2:], true
	case b[0] == 255 && len(b) >= 5:
		return int(binary.BigEndian.Uint32(b[1:]) & 0x7fffffff), b[5:], true
	}
	return 0, nil, false
}

// issuerIn finds the key ID among subpackets: type 16, or the end of the
// fingerprint in type 33.
func issuerIn(b []byte) uint64 {
	for len(b) > 0 {
		n, rest, ok := packetLength(b)
		if !ok || n == 0 || n > len(rest) {
			return 0
		}
		switch sub := rest[:n]; {
		case sub[0]&0x7f == 16 && n == 9, sub[0]&0x7f == 33 && n == 22:
			return binary.BigEndian.Uint64(sub[n-8:])
		}
		b = rest[n:]
	}
	return 0
}
