#!/usr/bin/env python3
"""Writes corpus/nvmf_connection: what stock kernels sent after Connect, from the golden frames of the codec's tests,
as the records that nvmf_connection_fuzz.cpp plays. Run it again when the golden frames or the records change."""

import struct
from pathlib import Path

HERE = Path(__file__).resolve().parent
GOLDEN = HERE.parent / "protocol/nvme_tcp/golden"
RAW, COMMAND, FILLED, DATA, TIME, CLOSE = range(6)
IO_QUEUE = 8
HEADER_DIGEST, DATA_DIGEST, NO_CONNECT, SLOW_HOST = 1, 2, 4, 8


def frame(name: str) -> bytes:
    lines = (GOLDEN / f"{name}.hex").read_text().splitlines()
    return b"".join(bytes.fromhex(line) for line in lines if not line.startswith("#"))


def record(kind: int, data: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<BH", kind, len(data) if length is None else length) + data


def entry(name: str, command_id: int, lba: int | None = None, blocks: int | None = None) -> bytes:
    """The submission entry of a frame, made to fit this scene's volume of 64 blocks of 4 KiB."""
    taken = bytearray(frame(name)[8:72])
    struct.pack_into("<H", taken, 2, command_id)
    if lba is not None:
        struct.pack_into("<Q", taken, 40, lba)
    if blocks is not None:
        struct.pack_into("<H", taken, 48, blocks - 1)
        struct.pack_into("<I", taken, 32, blocks * 4096)
    return bytes(taken)


def command(kind: int, name: str, command_id: int, lba: int | None = None, blocks: int | None = None) -> bytes:
    pdu = frame(name)
    made = bytearray(entry(name, command_id, lba, blocks))
    data = pdu[pdu[3]:] if pdu[3] and kind & 7 == COMMAND else b""
    if name == "deallocate":  # one range; the kernel always sends room for 256
        data = struct.pack("<IIQ", 0, 2, 8)
        struct.pack_into("<I", made, 32, len(data))
        made[40] = 0
    return record(kind, bytes(made) + data)


ADMIN = ("identify_controller", "identify_namespace", "set_number_of_queues", "get_ana_log", "async_event_request",
         "keep_alive", "property_get_cap", "property_set_cc")
# Kind, frame, LBA, blocks: none ends with the last block, which is where the planted bug is.
IO = ((COMMAND, "read_4k", 1, 2), (FILLED, "write_4k", 2, 1), (COMMAND, "flush", None, None),
      (COMMAND, "write_zeroes", 3, None), (COMMAND, "deallocate", None, None))


def inputs() -> dict[str, bytes]:
    made = {name: b"\0" + command(COMMAND, name, 1) for name in ADMIN}
    for kind, name, lba, blocks in IO:
        made[name] = b"\0" + command(kind | IO_QUEUE, name, 1, lba, blocks)
    data = record(DATA | IO_QUEUE, length=8192)
    asked = command(COMMAND | IO_QUEUE, "write_64k", 7, 4, 4) + 2 * data
    made["write_in_pieces"] = b"\0" + asked
    made["write_in_pieces_digests"] = bytes([HEADER_DIGEST | DATA_DIGEST]) + asked
    made["write_cut"] = b"\0" + command(COMMAND | IO_QUEUE, "write_64k", 7, 4, 4) + data + record(CLOSE | IO_QUEUE)
    several = b"".join(command(kind | IO_QUEUE, name, 10 + index, lba, blocks)
                       for index, (kind, name, lba, blocks) in enumerate(IO))
    made["several"] = b"\0" + several
    made["several_digests"] = bytes([HEADER_DIGEST | DATA_DIGEST]) + several
    made["several_slow_host"] = bytes([SLOW_HOST]) + several
    made["silence"] = (b"\0" + record(TIME, length=4000) + command(COMMAND, "keep_alive", 1) +
                       3 * record(TIME, length=9000))
    made["connect_raw"] = bytes([NO_CONNECT]) + record(RAW, frame("connect_admin"))
    made["term_req"] = b"\0" + record(RAW | IO_QUEUE, struct.pack("<BBBBIHI", 2, 0, 24, 0, 24, 1, 0) + bytes(10))
    return made


def main() -> None:
    folder = HERE / "corpus/nvmf_connection"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, data in inputs().items():
        (folder / name).write_bytes(data)
    print(f"{len(inputs())} inputs")


if __name__ == "__main__":
    main()
