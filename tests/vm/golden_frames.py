#!/usr/bin/env python3
"""Takes one PDU of each kind out of a capture of a guest run and writes it as a golden vector for the codec's tests:
    tests/vm/golden_frames.py CAPTURE FOLDER ORIGIN"""

import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from lab.pdu_stream import CapturedPdu, read  # noqa: E402

DIGESTS = 0x03
FABRICS = 0x7F


@dataclass(frozen=True)
class Kind:
    name: str
    meaning: str
    matches: Callable[[CapturedPdu], bool]


def capsule(opcode: int, admin: bool, more: Callable[[CapturedPdu], bool] = lambda pdu: True):
    # The admin queue's connection is the one whose Connect names queue 0; opcodes overlap between the two.
    return lambda pdu: (pdu.from_host and pdu.type == 4 and pdu.entry[0] == opcode and
                        (pdu.stream in ADMIN_STREAMS) == admin and more(pdu))


def fabrics(command: int, more: Callable[[CapturedPdu], bool] = lambda pdu: True):
    return lambda pdu: pdu.from_host and pdu.type == 4 and pdu.entry[0] == FABRICS and pdu.entry[4] == command and more(pdu)


def dword(pdu: CapturedPdu, index: int) -> int:
    return struct.unpack_from("<I", pdu.entry, 4 * index)[0]


ADMIN_STREAMS: set[int] = set()
KINDS = (
    Kind("ic_req", "ICReq", lambda pdu: pdu.from_host and pdu.type == 0),
    Kind("ic_resp", "ICResp", lambda pdu: not pdu.from_host and pdu.type == 1),
    Kind("connect_admin", "Connect of the admin queue, 1,024 bytes of data in the capsule",
         fabrics(1, lambda pdu: dword(pdu, 10) >> 16 == 0)),
    Kind("connect_io", "Connect of an I/O queue", fabrics(1, lambda pdu: dword(pdu, 10) >> 16 > 0)),
    Kind("property_get_cap", "Property Get of CAP", fabrics(4, lambda pdu: dword(pdu, 11) == 0)),
    Kind("property_set_cc", "Property Set of CC", fabrics(0, lambda pdu: dword(pdu, 11) == 0x14)),
    Kind("identify_controller", "Identify, CNS 01h", capsule(0x06, True, lambda pdu: dword(pdu, 10) & 0xFF == 1)),
    Kind("identify_namespace", "Identify, CNS 00h", capsule(0x06, True, lambda pdu: dword(pdu, 10) & 0xFF == 0)),
    Kind("set_number_of_queues", "Set Features, Number of Queues",
         capsule(0x09, True, lambda pdu: dword(pdu, 10) & 0xFF == 7)),
    Kind("get_ana_log", "Get Log Page 0Ch", capsule(0x02, True, lambda pdu: dword(pdu, 10) & 0xFF == 0x0C)),
    Kind("async_event_request", "Asynchronous Event Request", capsule(0x0C, True)),
    Kind("keep_alive", "Keep Alive", capsule(0x18, True)),
    Kind("read_4k", "Read of 4,096 bytes",
         capsule(0x02, False, lambda pdu: struct.unpack_from("<I", pdu.entry, 32)[0] == 4096)),
    Kind("write_4k", "Write with 4,096 bytes in the capsule",
         capsule(0x01, False, lambda pdu: len(pdu.data) - 4096 in range(72, 84))),
    Kind("write_64k", "Write of 65,536 bytes that the controller has to ask for",
         capsule(0x01, False, lambda pdu: struct.unpack_from("<I", pdu.entry, 32)[0] == 65536)),
    Kind("flush", "Flush", capsule(0x00, False)),
    Kind("write_zeroes", "Write Zeroes", capsule(0x08, False)),
    Kind("deallocate", "Dataset Management with its ranges in the capsule", capsule(0x09, False)),
    Kind("h2c_data", "H2CData", lambda pdu: pdu.from_host and pdu.type == 6 and len(pdu.data) < 9000),
    Kind("capsule_resp", "CapsuleResp", lambda pdu: not pdu.from_host and pdu.type == 5),
    Kind("c2h_data", "C2HData", lambda pdu: not pdu.from_host and pdu.type == 7 and len(pdu.data) < 9000),
    Kind("r2t", "R2T", lambda pdu: not pdu.from_host and pdu.type == 9),
)


def write(folder: Path, name: str, meaning: str, origin: str, data: bytes) -> None:
    lines = [f"# {meaning}", f"# sent by {origin}"]
    lines += [data[offset:offset + 32].hex(" ") for offset in range(0, len(data), 32)]
    (folder / f"{name}.hex").write_text("\n".join(lines) + "\n")


def main() -> int:
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        return 2
    capture, folder, origin = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    folder.mkdir(parents=True, exist_ok=True)
    with_digests: set[int] = set()
    found: set[str] = set()
    for pdu in read(capture):
        if pdu.type == 1 and pdu.data[11] == DIGESTS:
            with_digests.add(pdu.stream)
        if pdu.from_host and pdu.type == 4 and pdu.entry[0] == FABRICS and pdu.entry[4] == 1 and dword(pdu, 10) >> 16 == 0:
            ADMIN_STREAMS.add(pdu.stream)
        for kind in KINDS:
            digests = pdu.stream in with_digests or (pdu.type == 0 and pdu.data[11] == DIGESTS)
            name = kind.name + ("_digests" if digests else "")
            if name not in found and kind.matches(pdu):
                found.add(name)
                side = "host" if pdu.from_host else "controller"
                meaning = kind.meaning + (", with header and data digest" if digests else "")
                write(folder, name, meaning, f"{origin}, {side}", pdu.data)
    print(f"{len(found)} frames: {' '.join(sorted(found))}")
    missing = [kind.name for kind in KINDS if kind.name not in found and kind.name + "_digests" not in found]
    if missing:
        print(f"not in this capture: {' '.join(missing)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
