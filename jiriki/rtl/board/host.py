"""The host's end of the link: registers and memory of a board over a byte stream.

In: a `ByteStream` (a serial port, a simulated board). Out: what was read. A request whose bytes or
whose reply arrived damaged is repeated, a few times, if it does no harm when done twice; `repeats`
counts them. Every failure is a `BoardError` that says what to do.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from jiriki.extras import how_to_install
from jiriki.rtl.board.frames import (
    CHECKSUM,
    IDENTITY,
    REPLY_HEADER,
    REPLY_START,
    VERSION,
    WINDOW_BYTES,
    Code,
    Reply,
    Status,
    request,
)
from jiriki.rtl.errors import BoardError

TRIES = 4
TIMEOUT_S = 1.0  # far more than the line's pauses and 1 KiB take
RESET_S = 1e-3  # in which a board that resets hears nothing
DAMAGED = (Status.CHECKSUM, Status.CUT_SHORT)  # the board did nothing


class ByteStream(Protocol):
    """A serial port, or what behaves like one."""

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def read(self, n: int, timeout_s: float) -> bytes:
        """Return n bytes, fewer when the time is over."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class SerialPort:
    """A serial port by device or URL of pyserial, as a ByteStream."""

    def __init__(self, name: str, baud: int) -> None:
        """Open it. Raises BoardError when pyserial is missing or the port cannot be opened."""
        try:
            serial = import_module("serial")
        except ModuleNotFoundError:
            raise BoardError(
                f"pyserial is not installed; install with: {how_to_install('board')}"
            ) from None
        self.name, self._failure = name, serial.SerialException
        try:
            self._port = serial.serial_for_url(name, baudrate=baud)
        except (serial.SerialException, ValueError) as error:
            raise BoardError(
                f"port {name} cannot be opened: {error}; name the board's serial port"
            ) from None

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._guarded(lambda: self._port.write(data))

    def read(self, n: int, timeout_s: float) -> bytes:
        """Return n bytes, fewer when the time is over."""
        self._port.timeout = timeout_s
        return self._guarded(lambda: self._port.read(n))

    def _guarded(self, act: Callable[[], bytes]) -> bytes:
        try:
            return act()
        except (self._failure, OSError) as error:
            raise BoardError(f"port {self.name} failed: {error}; is it still attached?") from None

    def close(self) -> None:
        """Close it."""
        self._port.close()


@dataclass(frozen=True)
class Identity:
    """What a board says of itself."""

    version: int
    memory_bytes: int
    clock_hz: int
    chip_hash: str


class HostLink:
    """Requests and replies of one board; `where` names it in messages."""

    def __init__(self, stream: ByteStream, where: str, timeout_s: float = TIMEOUT_S) -> None:
        self.stream, self.where, self.timeout_s = stream, where, timeout_s
        self.tag = self.repeats = 0

    def ping(self) -> Identity:
        """Ask who is there. Raises BoardError when it speaks another version."""
        payload = self._ask(Code.PING, expected=IDENTITY.size)
        version, memory_bytes, clock_hz, chip_hash = IDENTITY.unpack(payload)
        if version != VERSION:
            raise BoardError(
                f"board on {self.where} speaks version {version} of the link, not {VERSION}; build "
                "its bitstream anew"
            )
        return Identity(version, memory_bytes, clock_hz, chip_hash.hex())

    def read_register(self, address: int) -> int:
        """Return a register of the mailbox."""
        return int.from_bytes(self._ask(Code.READ_REGISTER, address, expected=4), "little")

    def write_register(self, address: int, value: int, repeatable: bool = True) -> None:
        """Write one; if that must not happen twice, a lost reply is an error."""
        data = value.to_bytes(4, "little")
        self._ask(Code.WRITE_REGISTER, address, data, repeatable=repeatable)

    def read_memory(self, address: int, size: int) -> bytes:
        """Return bytes of memory; address and size are whole beats."""
        parts = []
        for at in range(0, size, WINDOW_BYTES):
            n = min(WINDOW_BYTES, size - at)
            parts.append(self._ask(Code.READ_MEMORY, address + at, length=n, expected=n))
        return b"".join(parts)

    def write_memory(self, address: int, data: bytes) -> None:
        """Write bytes of memory; address and size are whole beats."""
        for at in range(0, len(data), WINDOW_BYTES):
            self._ask(Code.WRITE_MEMORY, address + at, data[at : at + WINDOW_BYTES])

    def reset(self) -> None:
        """Reset the board; its memory stays."""
        self._ask(Code.RESET)
        self.stream.read(1, RESET_S)

    def _ask(
        self, code: Code, address: int = 0, payload: bytes = b"", *, length: int = 0,
        expected: int = 0, repeatable: bool = True,
    ) -> bytes:  # fmt: skip
        """Return the payload of the reply, `expected` bytes."""
        heard = False
        for _ in range(TRIES):
            self.tag = (self.tag + 1) % 256
            self.stream.write(request(self.tag, code, address, payload, length))
            reply = self._reply()
            heard = heard or reply is not None
            if reply is None and not repeatable:
                break
            if reply is not None and reply.status not in DAMAGED:
                return self._looked_at(reply, code, address, expected)
            self.repeats += 1
        if not heard:
            raise BoardError(
                f"board on {self.where}: no answer within {self.timeout_s:g} s; is it powered, and "
                "loaded with the bitstream of jiriki board?"
            )
        raise BoardError(
            f"board on {self.where}: {TRIES} requests in a row arrived damaged; check the cable"
        )

    def _looked_at(self, reply: Reply, code: Code, address: int, expected: int) -> bytes:
        if reply.status == Status.OK and len(reply.payload) == expected:
            return reply.payload
        known = {Status.OK: f"{len(reply.payload)} bytes, not {expected}"}
        known |= {status: status.name for status in (Status.REFUSED, Status.FAILED)}
        answer = known.get(reply.status, f"status {reply.status}")
        raise BoardError(
            f"board on {self.where}: {code.name} of {address:#x} was answered with {answer}; build "
            "its bitstream anew"
        )

    def _reply(self) -> Reply | None:
        """Return the reply to the last request; None when none came, or it came damaged."""
        while start := self.stream.read(1, self.timeout_s):
            if start[0] != REPLY_START:
                continue
            reply = self._rest(start)
            if reply is None:
                while self.stream.read(WINDOW_BYTES, self.timeout_s / 8):
                    pass  # until the line is quiet
                return None
            if reply.tag == self.tag or reply.status in DAMAGED:  # then the tag may be damaged, too
                return reply
        return None

    def _rest(self, start: bytes) -> Reply | None:
        header = start + self.stream.read(REPLY_HEADER.size - 1, self.timeout_s)
        if len(header) < REPLY_HEADER.size:
            return None
        _, tag, status, length = REPLY_HEADER.unpack(header)
        if length > WINDOW_BYTES:
            return None
        payload = self.stream.read(length, self.timeout_s) if length else b""
        checksum = self.stream.read(CHECKSUM.size, self.timeout_s)
        if checksum != CHECKSUM.pack(zlib.crc32(header[1:] + payload)):
            return None
        return Reply(tag, status, payload)
