"""The NVMe/TCP PDUs in a capture, put together from TCP segments without a dissector."""

import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.capture import PORTS
from lab.errors import CannotRun
from lab.shell import tool

IC_REQ, IC_RESP = 0x00, 0x01
HEADER_BYTES = 8


@dataclass(frozen=True)
class CapturedPdu:
    """One PDU as it lay on the wire, digests and padding included."""
    stream: int
    from_host: bool
    first: bool  # of its direction: ICReq or ICResp
    data: bytes

    @property
    def type(self) -> int:
        return self.data[0]

    @property
    def entry(self) -> bytes:
        """The submission or completion queue entry of a capsule."""
        return self.data[8:72]


def read(capture: Path) -> Iterator[CapturedPdu]:
    """In the order in which each became complete. A direction with a gap ends at the gap."""
    buffers: dict[tuple[int, bool], bytearray] = {}
    expected: dict[tuple[int, bool], int] = {}
    started: set[tuple[int, bool]] = set()
    for stream, from_host, sequence, payload in _segments(capture):
        key = (stream, from_host)
        following = expected.setdefault(key, sequence)
        ahead = (sequence - following) & 0xFFFFFFFF
        if ahead >= 1 << 31:  # sent again: what was seen before is cut off
            payload = payload[(1 << 32) - ahead:]
        elif ahead > 0:
            raise CannotRun(f"{capture}: a segment of stream {stream} is missing")
        expected[key] = (following + len(payload)) & 0xFFFFFFFF
        buffer = buffers.setdefault(key, bytearray())
        buffer += payload
        while len(buffer) >= HEADER_BYTES:
            length = struct.unpack_from("<I", buffer, 4)[0]
            if length < HEADER_BYTES or len(buffer) < length:
                break
            yield CapturedPdu(stream, from_host, key not in started, bytes(buffer[:length]))
            started.add(key)
            del buffer[:length]


def _segments(capture: Path) -> Iterator[tuple[int, bool, int, bytes]]:
    process = subprocess.Popen(
        [tool("tshark"), "-n", "-r", str(capture), "-Y", "tcp.len > 0", "-T", "fields", "-e", "tcp.stream",
         "-e", "tcp.dstport", "-e", "tcp.seq_raw", "-e", "tcp.payload"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for line in process.stdout:
        stream, port, sequence, payload = line.rstrip("\n").split("\t")
        yield int(stream), int(port) in PORTS, int(sequence), bytes.fromhex(payload.replace(":", ""))
    if process.wait() != 0:
        raise CannotRun(f"tshark cannot read {capture}")
