"""Which connections in a capture are encrypted, and that these are: TLS records from the first byte on, without a dissector."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from lab import pdu_stream
from lab.errors import Failed

HANDSHAKE, APPLICATION_DATA = 22, 23
HEADER_BYTES = 5
# What a protected record may have on top of 16 KiB (RFC 8446, 5.2).
LONGEST_RECORD = (1 << 14) + 256
HELLOS = {True: 1, False: 2}  # the first message of each direction


@dataclass
class Encrypted:
    """The connections that begin with a ClientHello; what is in them nobody can look at."""
    streams: set[int] = field(default_factory=set)
    records: int = 0  # of application data


def find(segments: Iterable[pdu_stream.Segment]) -> Encrypted:
    """Raises if one of them carries anything in clear beyond both hellos, alerts and the change_cipher_spec that nothing depends on."""
    found = Encrypted()
    plain: set[int] = set()
    directions: dict[tuple[int, bool], _Records] = {}
    for arrived in segments:
        if arrived.stream not in found.streams | plain:
            # Both ends wait for the host's first byte, as the listener does.
            if not arrived.from_host:
                raise Failed(f"frame {arrived.frame}: the target speaks first")
            (found.streams if arrived.payload[0] == HANDSHAKE else plain).add(arrived.stream)
        if arrived.stream in found.streams:
            records = directions.setdefault((arrived.stream, arrived.from_host), _Records(arrived))
            found.records += records.take(arrived)
    for records in directions.values():
        records.direction.require_whole()
    return found


class _Records:
    def __init__(self, begin: pdu_stream.Segment):
        self.direction = pdu_stream.Direction(begin)
        self._hello_seen = False

    def take(self, arrived: pdu_stream.Segment) -> int:
        """How many records of application data have become complete."""
        buffer = self.direction.take(arrived)
        count = 0
        while len(buffer) >= HEADER_BYTES:
            kind, version, length = buffer[0], buffer[1], int.from_bytes(buffer[3:5], "big")
            if kind not in (20, 21, HANDSHAKE, APPLICATION_DATA) or version != 3 or not 0 < length <= LONGEST_RECORD:
                raise Failed(f"frame {arrived.frame} is no TLS record: {bytes(buffer[:16]).hex(' ')}")
            if len(buffer) < HEADER_BYTES + length:
                break
            if kind == HANDSHAKE:
                self._require_hello(arrived, buffer[HEADER_BYTES])
            count += kind == APPLICATION_DATA
            del buffer[:HEADER_BYTES + length]
        return count

    def _require_hello(self, arrived: pdu_stream.Segment, message: int) -> None:
        if self._hello_seen or message != HELLOS[arrived.from_host]:
            raise Failed(f"frame {arrived.frame}: a handshake message of type {message} in clear")
        self._hello_seen = True
