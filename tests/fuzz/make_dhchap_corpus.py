#!/usr/bin/env python3
"""Writes corpus/dhchap: whole transactions, and such as break off or go wrong, as the records that dhchap_fuzz.cpp
plays. Run it again when those change."""

import struct
from pathlib import Path

HERE = Path(__file__).resolve().parent
MESSAGE, FETCH, NEGOTIATE, REPLY, MUTUAL, SUCCESS2, FAILURE2 = range(7)
WITHOUT_KEYS, WITH_GROUP, WITH_PREVIOUS, WITH_CONCATENATION = 1, 2, 4, 8


def record(kind: int, data: bytes = b"") -> bytes:
    return struct.pack("<BH", kind, len(data)) + data


def steps(*kinds: int) -> bytes:
    return b"".join(record(kind) for kind in kinds)


def inputs() -> dict[str, bytes]:
    one_way = steps(NEGOTIATE, FETCH, REPLY, FETCH)
    both_ways = steps(NEGOTIATE, FETCH, MUTUAL, FETCH, SUCCESS2)
    wrong = bytes(16) + b"\1"  # a bit of the response
    value = struct.pack("<BBHHBBBBHI", 1, 2, 0, 7, 32, 0, 0, 0, 256, 9) + bytes(64) + bytes(255) + b"\2"
    return {
        "one_way": b"\0" + one_way + one_way,
        "both_ways": bytes([WITH_PREVIOUS]) + both_ways,
        "wrong_key": b"\0" + steps(NEGOTIATE, FETCH) + record(REPLY, wrong) + steps(FETCH, NEGOTIATE),
        "not_believed": b"\0" + steps(NEGOTIATE, FETCH, MUTUAL, FETCH, FAILURE2),
        "begun_anew": b"\0" + steps(NEGOTIATE, FETCH, NEGOTIATE, REPLY, FETCH),
        "too_early": b"\0" + steps(REPLY, FETCH),
        "without_keys": bytes([WITHOUT_KEYS]) + steps(NEGOTIATE, FETCH),
        "group": bytes([WITH_GROUP]) + steps(NEGOTIATE, FETCH) + record(MESSAGE, value) + steps(FETCH),
        "no_descriptor": b"\0" + record(NEGOTIATE, bytes(7) + b"\1") + steps(FETCH),
        "other_protocol": b"\0" + record(NEGOTIATE, bytes(8) + b"\3") + steps(FETCH),
        "concatenation_refused": b"\0" + record(NEGOTIATE, bytes(6) + b"\2") + steps(FETCH),
        "concatenation": (bytes([WITH_GROUP | WITH_CONCATENATION]) + record(NEGOTIATE, bytes(6) + b"\2") + steps(FETCH) +
                          record(MESSAGE, value) + steps(FETCH)),
    }


def main() -> None:
    folder = HERE / "corpus/dhchap"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, data in inputs().items():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
