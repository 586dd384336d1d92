#!/usr/bin/env python3
"""The harness of the guest tests notices what it is there to notice: damaged captures, loads that did less than they
say, guests and emulators that have gone silent."""

import json
import socket
import struct
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from lab import capture  # noqa: E402
from lab.agent import Agent  # noqa: E402
from lab.errors import CannotRun, Failed, GuestDied  # noqa: E402
from lab.host import bytes_of, fio_result  # noqa: E402
from lab.monitor import Monitor  # noqa: E402

GOLDEN = HERE.parent / "protocol/nvme_tcp/golden"
HOST, TARGET = (bytes([192, 0, 2, 2]), 40000), (bytes([192, 0, 2, 10]), 4420)


def iscsi_pdu(opcode: int, data: bytes = b"") -> bytes:
    """With tags and its length right, all else zero."""
    return (bytes([opcode, 0x80, 0, 0, 0]) + len(data).to_bytes(3, "big") + bytes(8) + (1).to_bytes(4, "big") + b"\xff" * 4 +
            bytes(24) + data + bytes(-len(data) % 4))


NOP_OUT, NOP_IN = (True, iscsi_pdu(0x40, b"ping")), (False, iscsi_pdu(0x20, b"ping"))


def frame(name: str) -> bytes:
    lines = (GOLDEN / f"{name}_digests.hex").read_text().splitlines()
    return b"".join(bytes.fromhex(line) for line in lines if not line.startswith("#"))


def conversation() -> list[tuple[bool, bytes]]:
    """(from the host, one PDU), with both digests, as a stock kernel sends and gets them."""
    return [(True, frame("ic_req")), (False, frame("ic_resp")), (True, frame("connect_io")), (False, frame("capsule_resp")),
            (True, frame("write_4k")), (False, frame("capsule_resp")), (True, frame("read_4k")), (False, frame("c2h_data")),
            (False, frame("capsule_resp"))]


def write_pcap(path: Path, pdus: list[tuple[bool, bytes]], port: int = 4420) -> None:
    """One TCP connection, a segment a PDU."""
    sequence = {True: 1000, False: 2000}
    packets = [segment(True, 999, 0, 2, b"", port), segment(False, 1999, 1000, 0x12, b"", port)]
    for from_host, data in pdus:
        packets.append(segment(from_host, sequence[from_host], sequence[not from_host], 0x18, data, port))
        sequence[from_host] += len(data)
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 1))
        for number, packet in enumerate(packets):
            file.write(struct.pack("<IIII", 1, number, len(packet), len(packet)) + packet)


def segment(from_host: bool, sequence: int, acknowledged: int, flags: int, data: bytes, served: int = 4420) -> bytes:
    ends = HOST, (TARGET[0], served)
    (source, source_port), (destination, port) = ends if from_host else ends[::-1]
    tcp = struct.pack(">HHIIBBHHH", source_port, port, sequence, acknowledged, 5 << 4, flags, 65535, 0, 0)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + len(data), 0, 0, 64, 6, 0, source, destination)
    return bytes(12) + b"\x08\x00" + ip + tcp + data


class IscsiCaptureTest(unittest.TestCase):
    def verify(self, *pdus: tuple[bool, bytes]) -> int:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "capture.pcap"
            write_pcap(path, list(pdus), capture.ISCSI_PORT)
            return capture.verify_iscsi(path)

    def test_what_is_right_is_counted(self):
        self.assertEqual(self.verify(NOP_OUT, NOP_IN, NOP_OUT), 3)

    def test_an_opcode_that_there_is_not(self):
        with self.assertRaises(Failed):
            self.verify(NOP_OUT, (False, iscsi_pdu(0x2f)), NOP_IN)

    def test_other_traffic_is_none_of_its_business(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "capture.pcap"
            write_pcap(path, [NOP_OUT, NOP_IN], capture.ISCSI_PORT)
            self.assertEqual(capture.verify(path).pdus, 0)
            write_pcap(path, conversation())
            self.assertEqual(capture.verify_iscsi(path), 0)


def tls_record(kind: int, content: bytes) -> bytes:
    return bytes([kind, 3, 3]) + len(content).to_bytes(2, "big") + content


CLIENT_HELLO, SERVER_HELLO = (True, tls_record(22, b"\x01" + bytes(60))), (False, tls_record(22, b"\x02" + bytes(60)))
SECRET = tls_record(23, b"\xa5" * 100)


class EncryptedCaptureTest(unittest.TestCase):
    def verify(self, *pdus: tuple[bool, bytes], port: int = 4421, with_tls: bool = True) -> capture.Seen:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "capture.pcap"
            write_pcap(path, list(pdus), port)
            return capture.verify(path, with_tls)

    def test_what_is_encrypted_is_counted_as_that_and_nothing_else(self):
        # Records need not begin where segments do.
        seen = self.verify(CLIENT_HELLO, SERVER_HELLO, (False, tls_record(20, b"\x01") + SECRET + SECRET[:50]), (False, SECRET[50:]),
                           (True, SECRET))
        self.assertEqual((len(seen.encrypted.streams), seen.encrypted.records, seen.pdus), (1, 3, 0))

    def test_a_pdu_in_clear_on_an_encrypted_connection(self):
        for pdu in conversation()[2:]:
            with self.assertRaisesRegex(Failed, "no TLS record"):
                self.verify(CLIENT_HELLO, SERVER_HELLO, (True, SECRET), (False, SECRET), pdu)

    def test_a_handshake_in_clear(self):
        with self.assertRaisesRegex(Failed, "in clear"):
            self.verify(CLIENT_HELLO, SERVER_HELLO, (False, tls_record(22, b"\x08" + bytes(20))))

    def test_a_plain_connection_where_tls_is_permitted_is_looked_at_as_ever(self):
        seen = self.verify(*conversation())
        self.assertEqual((seen.pdus, seen.good_data_digests, len(seen.encrypted.streams)), (9, 3, 0))
        from_host, data = conversation()[4]
        with self.assertRaisesRegex(Failed, "wrong digest"):
            self.verify(*conversation()[:4], (from_host, data[:-1] + bytes([data[-1] ^ 1])))

    def test_encrypted_where_nobody_said_so(self):
        for port, with_tls in ((4420, True), (4421, False)):
            with self.assertRaises(Failed):
                self.verify(CLIENT_HELLO, SERVER_HELLO, (True, SECRET), port=port, with_tls=with_tls)


class CaptureTest(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.path = Path(self._folder.name) / "capture.pcap"
        self.addCleanup(self._folder.cleanup)

    def verify(self, pdus: list[tuple[bool, bytes]]) -> capture.Seen:
        write_pcap(self.path, pdus)
        return capture.verify(self.path)

    def damaged(self, index: int, offset: int, value: int | None = None) -> list[tuple[bool, bytes]]:
        pdus = conversation()
        from_host, data = pdus[index]
        changed = bytearray(data)
        changed[offset] = changed[offset] ^ 1 if value is None else value
        pdus[index] = (from_host, bytes(changed))
        return pdus

    def test_what_is_right_passes(self):
        seen = self.verify(conversation())
        self.assertEqual(seen.pdus, 9)
        self.assertEqual(seen.good_header_digests, 7)
        self.assertEqual(seen.good_data_digests, 3)

    def test_flipped_data_digest(self):
        with self.assertRaisesRegex(Failed, "wrong digest"):
            self.verify(self.damaged(4, -1))

    def test_flipped_bit_of_data(self):
        with self.assertRaisesRegex(Failed, "wrong digest"):
            self.verify(self.damaged(7, 100))

    def test_flipped_header_digest(self):
        with self.assertRaisesRegex(Failed, "wrong digest"):
            self.verify(self.damaged(6, 72))

    def test_length_below_the_header(self):
        with self.assertRaises(Failed):
            self.verify(self.damaged(6, 4, 40))

    def test_length_of_another_pdu(self):
        # Longer by one byte: what follows is read as a part of it.
        with self.assertRaises(Failed):
            self.verify(self.damaged(5, 4, 29))

    def test_length_of_hundreds_of_megabytes(self):
        with self.assertRaises(Failed):
            self.verify(self.damaged(5, 7, 0x20))

    def test_wrong_header_length(self):
        with self.assertRaises(Failed):
            self.verify(self.damaged(3, 2, 28))

    def test_pdu_of_the_wrong_side(self):
        with self.assertRaises(Failed):
            self.verify(conversation() + [(True, frame("capsule_resp"))])

    def test_segments_out_of_order_and_twice(self):
        write_pcap(self.path, conversation())
        whole = self.path.read_bytes()
        records = [(begin := whole.index(frame(name)) - 54 - 16, begin + 70 + len(frame(name)))
                   for name in ("write_4k", "read_4k")]
        (write, write_end), (read, read_end) = records
        swapped = (whole[:write] + whole[read:read_end] + whole[write_end:read] + whole[write:write_end] +
                   whole[write:write_end] + whole[read_end:])
        self.path.write_bytes(swapped)
        self.assertEqual(capture.verify(self.path).pdus, 9)

    def test_a_pdu_missing_in_the_middle_of_a_stream(self):
        write_pcap(self.path, conversation())
        whole = self.path.read_bytes()
        first = whole.index(frame("write_4k")) - 54 - 16  # its record, with Ethernet, IP and TCP headers
        length = 16 + 54 + len(frame("write_4k"))
        self.path.write_bytes(whole[:first] + whole[first + length:])
        with self.assertRaisesRegex(CannotRun, "missing"):
            capture.verify(self.path)

    def test_dropped_packets(self):
        line = "Packets received/dropped on interface 'Loopback: lo': {} (pcap:0/dumpcap:0/flushed:0/ps_ifdrop:0) (100.0%)"
        capture.require_whole(line.format("4188/0"))
        for log in (line.format("4188/3"), "File: x\n"):
            with self.assertRaises(CannotRun):
                capture.require_whole(log)


class FioResultTest(unittest.TestCase):
    def result(self, written: int = 24 << 20, read: int = 24 << 20, error: int = 0, before: str = "", **options: str) -> dict:
        job = {"error": error, "write": {"io_bytes": written}, "read": {"io_bytes": read},
               "job options": {"size": "24M", "rw": "randwrite", **options}}
        return fio_result(before + json.dumps({"jobs": [job]}))

    def test_all_that_was_asked_for(self):
        self.result()
        self.result(read=0, do_verify="0")
        self.result(written=13 << 20, rw="randrw")

    def test_less_than_asked_for(self):
        for wrong in ({"written": 20 << 20}, {"read": 0}, {"written": 0, "rw": "randrw"}, {"error": 84}):
            with self.assertRaises(Failed, msg=wrong):
                self.result(**wrong)

    def test_ended_by_a_signal(self):
        with self.assertRaisesRegex(Failed, "signal"):
            self.result(before="fio: pid=123, got signal=13\n")

    def test_no_result(self):
        with self.assertRaises(Failed):
            fio_result("free(): invalid pointer\n")

    def test_sizes(self):
        self.assertEqual([bytes_of(size) for size in ("512k", "24M", "1G", "7")], [512 << 10, 24 << 20, 1 << 30, 7])


class SilenceTest(unittest.TestCase):
    def pair(self) -> tuple[socket.socket, socket.socket]:
        ends = socket.socketpair()
        for end in ends:
            self.addCleanup(end.close)
        return ends

    def test_an_agent_that_closed_its_line(self):
        ours, theirs = self.pair()
        agent = Agent(ours, lambda: None)
        number = agent.send("true")
        theirs.close()
        with self.assertRaises(GuestDied):
            agent.receive(number, 60)

    def test_a_monitor_that_says_nothing(self):
        ours, theirs = self.pair()
        theirs.sendall(b'{"QMP": {}}\n{"return": {}}\n')
        monitor = Monitor(ours, timeout=0.1)
        with self.assertRaisesRegex(GuestDied, "says nothing"):
            monitor.ask("query-status")


if __name__ == "__main__":
    unittest.main()
