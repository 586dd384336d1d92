"""The NVMe/TCP PDUs in a capture, put together from TCP segments without a dissector."""

import struct
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.errors import CannotRun, Failed
from lab.shell import tool

# Of listeners that know no TLS, and of those that permit or demand it.
PLAIN_PORTS, TLS_PORTS = (4420, 8009), (4421, 4422, 8010)
PORTS = PLAIN_PORTS + TLS_PORTS
IC_REQ, IC_RESP, H2C_TERM, C2H_TERM, CAPSULE_CMD, CAPSULE_RESP, H2C_DATA, C2H_DATA, R2T = 0, 1, 2, 3, 4, 5, 6, 7, 9
NAMES = {IC_REQ: "ICReq", IC_RESP: "ICResp", H2C_TERM: "H2CTermReq", C2H_TERM: "C2HTermReq", CAPSULE_CMD: "CapsuleCmd",
         CAPSULE_RESP: "CapsuleResp", H2C_DATA: "H2CData", C2H_DATA: "C2HData", R2T: "R2T"}
# HLEN of each type and who sends it.
HEADERS = {IC_REQ: (128, True), IC_RESP: (128, False), H2C_TERM: (24, True), C2H_TERM: (24, False),
           CAPSULE_CMD: (72, True), CAPSULE_RESP: (24, False), H2C_DATA: (24, True), C2H_DATA: (24, False),
           R2T: (24, False)}
HEADER_BYTES = 8
# What a controller with an MDTS of 1 MiB and a host that keeps to it may send: data, header, digests, padding.
LONGEST_PDU = (1 << 20) + 256


@dataclass(frozen=True)
class Segment:
    """A TCP segment with payload."""
    frame: int
    time: float
    stream: int
    from_host: bool
    sequence: int
    payload: bytes


@dataclass(frozen=True)
class CapturedPdu:
    """One PDU as it lay on the wire, digests and padding included."""
    stream: int
    from_host: bool
    first: bool  # of its direction: ICReq or ICResp
    data: bytes
    frame: int  # in which it became complete
    time: float

    @property
    def type(self) -> int:
        return self.data[0]

    @property
    def entry(self) -> bytes:
        """The submission or completion queue entry of a capsule."""
        return self.data[8:72]


def read(capture: Path) -> Iterator[CapturedPdu]:
    """Of listeners that know no TLS."""
    return assemble(segments(capture, PLAIN_PORTS))


def assemble(captured: Iterable[Segment]) -> Iterator[CapturedPdu]:
    """In the order in which each became complete. Raises if a byte is missing, and at a header that no PDU of its type
    has."""
    directions: dict[tuple[int, bool], Direction] = {}
    for arrived in captured:
        direction = directions.setdefault((arrived.stream, arrived.from_host), Direction(arrived))
        buffer = direction.take(arrived)
        while len(buffer) >= HEADER_BYTES:
            length = _length(arrived, buffer)
            if len(buffer) < length:
                break
            yield CapturedPdu(arrived.stream, arrived.from_host, direction.first, bytes(buffer[:length]), arrived.frame,
                              arrived.time)
            direction.first = False
            del buffer[:length]
    for direction in directions.values():
        direction.require_whole()


class Direction:
    """What one end of a connection sent, in order. Loopback hands segments over out of order now and then."""

    def __init__(self, begin: Segment):
        self.first = True
        self._next = begin.sequence
        self._buffer = bytearray()
        self._early: list[Segment] = []

    def take(self, arrived: Segment) -> bytearray:
        """The bytes that are there without a gap and have not been taken yet."""
        self._early.append(arrived)
        while fitting := [held for held in self._early if _distance(self._next, held.sequence) <= 0]:
            for held in fitting:
                self._early.remove(held)
                # Sent again, whole or in part: what was seen before is cut off.
                payload = held.payload[-_distance(self._next, held.sequence):]
                self._buffer += payload
                self._next = (self._next + len(payload)) & 0xFFFFFFFF
        return self._buffer

    def require_whole(self) -> None:
        if self._early:
            raise CannotRun(f"before frame {self._early[0].frame} a segment of stream {self._early[0].stream} is missing")


def _distance(begin: int, end: int) -> int:
    """Of two sequence numbers; negative if `end` lies before `begin`."""
    return (end - begin + (1 << 31) & 0xFFFFFFFF) - (1 << 31)


def _length(segment: Segment, header: bytearray) -> int:
    kind, _, hlen, pdo, length = struct.unpack_from("<BBBBI", header)
    if HEADERS.get(kind) != (hlen, segment.from_host):
        raise Failed(f"frame {segment.frame}: PDU type {kind:#x} with HLEN {hlen} from the "
                     f"{'host' if segment.from_host else 'target'}")
    if not max(hlen, pdo) <= length <= LONGEST_PDU:
        raise Failed(f"frame {segment.frame}: a {NAMES[kind]} of {length} bytes, its data at {pdo}")
    return length


# What segment() takes of a line of tshark.
FIELDS = ("frame.number", "frame.time_epoch", "tcp.stream", "tcp.dstport", "tcp.seq_raw", "tcp.payload")


def segment(fields: list[str]) -> Segment:
    number, moment, stream, port, sequence, payload = fields
    return Segment(int(number), float(moment), int(stream), int(port) in PORTS, int(sequence),
                   bytes.fromhex(payload.replace(":", "")))


def segments(capture: Path, ports: tuple[int, ...]) -> Iterator[Segment]:
    ours = " || ".join(f"tcp.port == {port}" for port in ports)
    command = [tool("tshark"), "-n", "-r", str(capture), "-Y", f"tcp.len > 0 && ({ours})", "-T", "fields"]
    with subprocess.Popen(command + [part for field in FIELDS for part in ("-e", field)],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            for line in process.stdout:
                yield segment(line.rstrip("\n").split("\t"))
            if process.wait() != 0:
                raise CannotRun(f"tshark cannot read {capture}")
        finally:
            process.kill()
