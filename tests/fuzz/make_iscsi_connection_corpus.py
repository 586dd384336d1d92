#!/usr/bin/env python3
"""Writes corpus/iscsi_connection: what initiators send behind their login, as the records that
iscsi_connection_fuzz.cpp plays. Run it again when the records change."""

import struct
from pathlib import Path

HERE = Path(__file__).resolve().parent
RAW, REQUEST, FILLED, DATA, TIME, CLOSE, RELEASE = range(7)
SECOND = 8
HEADER_DIGEST, DATA_DIGEST, NO_LOGIN, SLOW_HOST, SOLICITED = 1, 2, 4, 8, 16
NO_TAG = 0xFFFFFFFF


def record(kind: int, data: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<BH", kind, len(data) if length is None else length) + data


def header(opcode: int, flags: int, tag: int, word20: int = 0, rest: bytes = b"", units: int = 0) -> bytes:
    """Bytes 24 to 31 are filled in; `rest` is from byte 32 on; `units` of 32 bytes of data, where FILLED."""
    front = struct.pack(">BBHBBBB8sII8s", opcode, flags, 0, 0, 0, 0, units, bytes(8), tag, word20, bytes(8))
    return front + rest.ljust(16, b"\0")


def command(cdb: bytes, tag: int, flags: int, expected: int, units: int = 0) -> bytes:
    return header(0x01, flags, tag, expected, cdb, units)


def read(lba: int, blocks: int) -> bytes:
    return struct.pack(">BBQIBB", 0x88, 0, lba, blocks, 0, 0)


def write(lba: int, blocks: int) -> bytes:
    return struct.pack(">BBQIBB", 0x8A, 0, lba, blocks, 0, 0)


def transport_id(text: bytes, with_isid: bool) -> bytes:
    text = text.ljust(max(len(text) // 4 * 4 + 4, 20), b"\0")
    return struct.pack(">BBH", 0x45 if with_isid else 0x05, 0, len(text)) + text


def register_for_others() -> bytes:
    """REGISTER with SPEC_I_PT and ALL_TG_PT."""
    ids = transport_id(b"iqn.2026-11.com.example:second,i,0x800000000001", True)
    ids += transport_id(b"iqn.2026-11.com.example:second", False)
    parameters = struct.pack(">QQ4xB3xI", 0, 5, 0x0C, len(ids)) + ids
    cdb = bytes([0x5F, 0, 0, 0, 0]) + struct.pack(">IB", len(parameters), 0)
    return command(cdb, 2, 0xA1, len(parameters)) + parameters


def inputs() -> dict[str, bytes]:
    final, reads, writes = 0x81, 0xC1, 0xA1
    text = b"SendTargets=\0"
    ask = record(REQUEST, header(0x04, 0x80, 9, NO_TAG) + text)
    aborted = record(REQUEST, header(0x42, 0x81, 5, 7) )
    made = {
        "inquiry": record(REQUEST, command(bytes([0x12, 0, 0, 0, 96, 0]), 1, reads, 96)),
        "report_luns": record(REQUEST, command(bytes([0xA0, 0, 0, 0, 0, 0, 0, 0, 1, 0]), 1, reads, 256)),
        "read": record(REQUEST, command(read(1, 2), 1, reads, 8192)),
        "write": record(FILLED, command(write(1, 1), 2, writes, 4096, 128)),
        "unmap": record(REQUEST, command(bytes([0x42, 0, 0, 0, 0, 0, 0, 0, 24]), 2, writes, 24)
                        + struct.pack(">HHIQII", 22, 16, 0, 4, 2, 0)),
        "compare_and_write": record(FILLED, command(bytes([0x89]) + bytes(12) + b"\1", 2, writes, 8192, 255)),
        "reserve": record(REQUEST, command(bytes([0x5F, 0, 0, 0, 0, 0, 0, 0, 24]), 2, writes, 24)
                          + struct.pack(">QQ8x", 0, 5)),
        "register_for_others": record(REQUEST, register_for_others()),
        "echo": record(FILLED, command(bytes([0x3B, 0x0A, 0, 0, 0, 0, 0, 0, 64, 0]), 2, writes, 64, 2))
                + record(REQUEST, command(bytes([0x3C, 0x0A, 0, 0, 0, 0, 0, 1, 0, 0]), 3, reads, 256)),
        "self_test": record(REQUEST, command(bytes([0x1D, 0x04]), 1, final, 0)),
        "mode_sense": record(REQUEST, command(bytes([0x5A, 0, 0x3F, 0, 0, 0, 0, 1, 0]), 2, reads, 256)),
        "ping": record(REQUEST, header(0x40, 0x80, 3, NO_TAG) + b"ping!"),
        "targets": ask,
        "logout": record(REQUEST, header(0x06, 0x80, 4)),
        "reset": record(REQUEST, header(0x42, 0x85, 4, NO_TAG)),
        "abort": record(RELEASE, length=1) + record(REQUEST, command(read(0, 1), 7, reads, 4096)) + aborted
                 + record(RELEASE, length=0),
        "unsolicited": record(FILLED, command(write(4, 4), 7, 0x21, 16384, 128))
                       + record(FILLED, header(0x05, 0x80, 7, NO_TAG, struct.pack(">III", 0, 0, 4096), 255)),
        "second": record(REQUEST | SECOND, command(read(1, 2), 1, reads, 8192)),
        "silence": record(TIME, length=40000) + record(TIME, length=40000),
        "test_unit_ready": record(REQUEST, command(bytes(6), 1, final, 0)),
    }
    found = {name: b"\0" + data for name, data in made.items()}
    asked = record(REQUEST, command(write(4, 8), 7, writes, 32768)) + 3 * record(DATA, length=32768)
    found["write_asked_for"] = bytes([SOLICITED]) + asked
    found["write_with_digests"] = bytes([HEADER_DIGEST | DATA_DIGEST]) + made["write"]
    found["read_slowly"] = bytes([SLOW_HOST]) + made["read"] + record(CLOSE)
    login = header(0x43, 0x87, 1) + b"InitiatorName=iqn.2026-11.com.example:raw\0TargetName=iqn.2026-11.com.example:fuzz\0"
    found["login"] = bytes([NO_LOGIN]) + record(REQUEST, login) + made["read"]
    again = bytearray(login)
    struct.pack_into(">Q", again, 8, 0x8000_0000_0000_0000 | (27 << 16))
    again = bytes(again).replace(b"example:raw", b"example:one")
    found["reinstatement"] = b"\0" + record(RELEASE, length=1) + made["read"] + record(REQUEST | SECOND, again)
    discovery = header(0x43, 0x87, 1) + b"InitiatorName=iqn.2026-11.com.example:raw\0SessionType=Discovery\0"
    found["discovery"] = bytes([NO_LOGIN]) + record(REQUEST, discovery) + record(
        REQUEST, header(0x04, 0x80, 9, NO_TAG) + b"SendTargets=All\0")
    return found


def main() -> None:
    folder = HERE / "corpus/iscsi_connection"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, data in inputs().items():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
