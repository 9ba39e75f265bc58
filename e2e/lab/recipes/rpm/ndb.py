"""Prints the headers of an ndb database as the header list that rpmdb imports."""
import struct
import sys

HEADER_MAGIC = bytes.fromhex("8eade80100000000")
data = open(sys.argv[1], "rb").read()
slot = 32
while data[slot : slot + 4] == b"Slot":
    package, block, count = struct.unpack_from("<III", data, slot + 4)
    if package:
        blob = block * 16
        magic, owner, _, size = struct.unpack_from("<4sIII", data, blob)
        assert (magic, owner) == (b"BlbS", package)
        sys.stdout.buffer.write(HEADER_MAGIC + data[blob + 16 : blob + 16 + size])
    slot += 16
