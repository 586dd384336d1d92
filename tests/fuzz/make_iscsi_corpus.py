#!/usr/bin/env python3
"""Writes corpus/iscsi_stream, iscsi_text and iscsi_login: what open-iscsi and libiscsi send, made from the figures of
RFC 7143, section 11. Run it again when the targets' set-up bytes change."""

import struct
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOST, DISK = "iqn.2001-04.com.example:host", "iqn.2001-04.com.example:disk"
SECURITY, OPERATIONAL, FULL_FEATURE = 0, 1, 3
CHAP_DEMANDED, KNOWS_SECRET, MUTUAL, DIGEST_REQUIRED, OWNER_REFUSES, REDIRECTS = 1, 2, 4, 8, 16, 32
HEADER_DIGEST, DATA_DIGEST, ESTABLISHED, REPAIR = 1, 2, 4, 8
WHO = f"InitiatorName={HOST} TargetName={DISK} SessionType=Normal"
DISCOVERY = f"InitiatorName={HOST} SessionType=Discovery"
OPERATIONS = ("HeaderDigest=CRC32C,None DataDigest=None DefaultTime2Wait=2 DefaultTime2Retain=0 IFMarker=No OFMarker=No "
              "ErrorRecoveryLevel=0 InitialR2T=No ImmediateData=Yes MaxBurstLength=16776192 FirstBurstLength=262144 "
              "MaxOutstandingR2T=1 MaxConnections=1 DataPDUInOrder=Yes DataSequenceInOrder=Yes "
              "MaxRecvDataSegmentLength=262144 TaskReporting=FastAbort,RFC3720 iSCSIProtocolLevel=2")


def text(pairs: str) -> bytes:
    return b"".join(pair.encode() + b"\0" for pair in pairs.split())


def pdu(opcode: int, flags: int, rest: bytes, data: bytes = b"", ahs: bytes = b"", lun: int = 1) -> bytes:
    """`rest`: from the initiator task tag on."""
    header = struct.pack(">BBHB", opcode, flags, 0, len(ahs) // 4) + len(data).to_bytes(3, "big")
    header += lun.to_bytes(2, "big") + bytes(6) + rest.ljust(32, b"\0")
    assert len(header) == 48
    return header + ahs + data + bytes(-len(data) % 4)


def login(stage: int, following: int | None, pairs: bytes, more: bool = False) -> bytes:
    flags = stage << 2 | (0x80 | following if following is not None else 0) | (0x40 if more else 0)
    header = struct.pack(">BBBBB", 0x43, flags, 0, 0, 0) + len(pairs).to_bytes(3, "big")
    header += bytes.fromhex("00023d000001") + struct.pack(">HIHHII", 0, 7, 1, 0, 100, 0) + bytes(16)
    return header + pairs + bytes(-len(pairs) % 4)


def chap(number: int, switches: int, last: str, following: int = OPERATIONAL) -> bytes:
    return (bytes([CHAP_DEMANDED | KNOWS_SECRET | switches, number])
            + login(SECURITY, OPERATIONAL, text(WHO + " AuthMethod=CHAP,None"))
            + login(SECURITY, None, text(f"CHAP_A=9,{number}"))
            + login(SECURITY, following, text("CHAP_N=host CHAP_R=? " + last))
            + (login(OPERATIONAL, FULL_FEATURE, text(OPERATIONS)) if following == OPERATIONAL else b""))


def logins() -> dict[str, bytes]:
    whole = text(WHO + " " + OPERATIONS)
    made = {
        "at_once": bytes([0, 0]) + login(OPERATIONAL, FULL_FEATURE, whole),
        "stages": bytes([0, 0]) + login(SECURITY, OPERATIONAL, text(WHO + " AuthMethod=CHAP,None"))
        + login(OPERATIONAL, FULL_FEATURE, text(OPERATIONS)),
        "discovery": bytes([0, 0]) + login(SECURITY, FULL_FEATURE, text(DISCOVERY + " AuthMethod=None")),
        "pieces": bytes([0, 0]) + login(OPERATIONAL, None, whole[:50], more=True)
        + login(OPERATIONAL, None, whole[50:90], more=True) + login(OPERATIONAL, FULL_FEATURE, whole[90:]),
        "mutual": chap(7, MUTUAL, "CHAP_I=5 CHAP_C=0x01020304"),
        "mutual_base64": chap(8, MUTUAL, "CHAP_I=0x05 CHAP_C=0bAQIDBA=="),
        "straight": chap(5, 0, "", FULL_FEATURE),
        "wrong": bytes([CHAP_DEMANDED, 5]) + chap(5, 0, "")[2:],
        "required": bytes([DIGEST_REQUIRED, 0]) + login(OPERATIONAL, FULL_FEATURE, whole),
        "refused": bytes([OWNER_REFUSES, 0]) + login(OPERATIONAL, FULL_FEATURE, whole),
        "redirect": bytes([REDIRECTS, 0]) + login(OPERATIONAL, FULL_FEATURE, whole),
        "long_answer": bytes([0, 0]) + login(OPERATIONAL, FULL_FEATURE, text(WHO + " " + " ".join(
            f"X-{'k' * 50}{i}=1" for i in range(115)))) + login(OPERATIONAL, FULL_FEATURE, b"") * 2,
        "endless": bytes([0, 0]) + login(OPERATIONAL, None, text(WHO)) + login(OPERATIONAL, None, b"") * 30,
    }
    for number in (5, 6, 7, 8):
        made[f"chap{number}"] = chap(number, 0, "")
    return made


def texts() -> dict[str, bytes]:
    return {
        "operations": b"\7" + text(OPERATIONS),
        "who": b"\xff" + text(WHO + " AuthMethod=CHAP,None InitiatorAlias=host X-com.example.a=b X#NodeArchitecture=a"),
        "chap": b"\0" + text("CHAP_A=5,6 CHAP_I=0x1f CHAP_C=0bZm9vYmFy CHAP_R=0x00ff CHAP_N=host"),
        "targets": b"\1" + text("SendTargets=All SendTargets= SendTargets=eui.02004567A425678D"),
        "names": b"\1" + text("A=naa.62004567BA64678D0123456789ABCDEF B=iqn.2001-04.com.Example:x"),
        "value": b"\1" + b"0b+/+/",
    }


def streams() -> dict[str, bytes]:
    numbers = struct.pack(">II", 9, 8)
    command = pdu(0x01, 0xa1, struct.pack(">II", 1, 512) + numbers + b"\x2a", bytes(512))
    read = pdu(0x41, 0xc0, struct.pack(">II", 2, 512) + numbers + b"\x28")
    long_cdb = pdu(0x01, 0xe1, struct.pack(">II", 3, 512) + numbers,
                   ahs=bytes.fromhex("00050100c0c1c2c30005020000000200"))
    others = (pdu(0x40, 0x80, struct.pack(">II", 0xffffffff, 5) + numbers, b"ping!"),
              pdu(0x42, 0x81, struct.pack(">II", 4, 2) + numbers),
              pdu(0x04, 0x80, struct.pack(">II", 5, 0xffffffff) + numbers, text("SendTargets=All")),
              pdu(0x05, 0x80, struct.pack(">IIIIIII", 1, 7, 0, 8, 0, 1, 512), bytes(100)),
              pdu(0x06, 0x80, struct.pack(">IHH", 6, 1, 0) + numbers),
              pdu(0x10, 0x81, struct.pack(">IIIIIIII", 6, 7, 0, 8, 0, 0, 1, 2)),
              pdu(0x1f, 0x80, b"", b"unknown"))
    first = login(OPERATIONAL, FULL_FEATURE, text(WHO))
    all_of_them = command + read + long_cdb + b"".join(others)
    plain = bytes([ESTABLISHED, 32, 1])
    return {
        "all": plain + all_of_them,
        "login": bytes([0, 16, 2]) + first + all_of_them,
        # Behind each header is room for the digest that the target of the fuzzer writes there.
        "digest": bytes([ESTABLISHED | HEADER_DIGEST | REPAIR, 16, 3]) + read + bytes(4) + others[1] + bytes(4),
        "data_digest": bytes([ESTABLISHED | DATA_DIGEST, 16, 3]) + command + bytes(4) + read,
    } | {f"one{i}": plain + one for i, one in enumerate((command, read, long_cdb, *others))}


def main() -> None:
    for name, inputs in (("iscsi_stream", streams()), ("iscsi_text", texts()), ("iscsi_login", logins())):
        folder = HERE / "corpus" / name
        folder.mkdir(parents=True, exist_ok=True)
        for case, data in inputs.items():
            (folder / case).write_bytes(data)


if __name__ == "__main__":
    main()
