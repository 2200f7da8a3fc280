"""The frames of the serial link: what the host asks, what the board answers.

In and out: bytes. Every request has one reply; a request is acted on only after its checksum was
found right. Numbers are little-endian; `checksum` is CRC-32 (ISO-HDLC, zlib's) of all bytes between
the start byte and itself.

| request | bytes | | reply | bytes |
|---|---|---|---|---|
| start, 0xA5 | 1 | | start, 0x5A | 1 |
| tag, any number | 1 | | tag of the request | 1 |
| code | 1 | | status | 1 |
| length | 2 | | length | 2 |
| address | 4 | | payload | length |
| payload, codes from 0x10 on | length | | checksum | 4 |
| checksum | 4 | | | |

A tag lets the host drop the late reply of a request that it gave up. After a byte that cannot be
right the board waits until the line is quiet, then says what was wrong with the last tag it read.
"""

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

REQUEST_START, REPLY_START = 0xA5, 0x5A
PAYLOAD_FOLLOWS = 0x10  # bit of the codes whose request has a payload
WINDOW_BYTES = 1024  # the largest payload
VERSION = 1  # of this protocol, first word of PING's answer
REQUEST_HEADER = struct.Struct("<BBHI")  # tag, code, length, address
REPLY_HEADER = struct.Struct("<BBBH")  # start, tag, status, length
CHECKSUM = struct.Struct("<I")
IDENTITY = struct.Struct("<III32s")  # version, memory in bytes, clock in Hz, hash of the chip


class Code(IntEnum):
    """What a request asks for."""

    PING = 0x00  # who is there: IDENTITY
    READ_REGISTER = 0x01  # of the tile's mailbox, 4 bytes
    READ_MEMORY = 0x02  # `length` bytes
    RESET = 0x03  # answer, then reset the board but its memory
    WRITE_REGISTER = 0x11
    WRITE_MEMORY = 0x12


class Status(IntEnum):
    """How a request ended; it was acted on if OK or FAILED."""

    OK = 0
    CHECKSUM = 1  # a byte arrived wrong, or a length beyond WINDOW_BYTES
    CUT_SHORT = 2  # the line fell quiet within the request
    REFUSED = 3  # no such code, address or length
    FAILED = 4  # the tile answered with an error


@dataclass(frozen=True)
class Reply:
    """One reply, its checksum right."""

    tag: int
    status: int
    payload: bytes


def request(tag: int, code: Code, address: int, payload: bytes = b"", length: int = 0) -> bytes:
    """Return the bytes of a request; `length` is of what to read, else the payload's."""
    header = REQUEST_HEADER.pack(tag, code, len(payload) or length, address)
    body = header + payload
    return bytes([REQUEST_START]) + body + CHECKSUM.pack(zlib.crc32(body))


def identity(memory_bytes: int, clock_hz: int, chip_hash: str) -> bytes:
    """Return what PING answers."""
    return IDENTITY.pack(VERSION, memory_bytes, clock_hz, bytes.fromhex(chip_hash))
