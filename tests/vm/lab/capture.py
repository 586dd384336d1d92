"""A capture of everything between guests and target, and what Wireshark's NVMe/TCP dissector says about it."""

import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lab import pdu_stream, tls_stream
from lab.errors import CannotRun, Failed
from lab.pdu_stream import CAPSULE_RESP, PORTS, TLS_PORTS
from lab.shell import tool

# Values of nvme-tcp.hdgst.status and ddgst.status.
DIGEST_BAD, DIGEST_GOOD = "0", "1"
ISCSI_PORT = 3260
SEEN_BY_DISSECTOR = ("_ws.malformed", "nvme-tcp.type", "nvme-tcp.hdgst.status", "nvme-tcp.ddgst.status")
VERIFY_TIMEOUT_S = 900


@dataclass
class Seen:
    """What a capture holds."""
    types: Counter = field(default_factory=Counter)
    good_header_digests: int = 0
    good_data_digests: int = 0
    iscsi_pdus: int = 0
    # Connections whose PDUs nobody can look at, and what was there instead.
    encrypted: tls_stream.Encrypted = field(default_factory=tls_stream.Encrypted)

    @property
    def pdus(self) -> int:
        return sum(self.types.values())


class Capture:
    """Records from construction to `stop`."""

    def __init__(self, path: Path):
        self.path = path
        self._log = open(path.with_suffix(".log"), "w+b")
        ports = " or ".join(f"tcp port {port}" for port in (*PORTS, ISCSI_PORT))
        self._process = subprocess.Popen([tool("dumpcap"), "-q", "-i", "lo", "-B", "64", "-f", ports, "-w", str(path)],
                                         stderr=self._log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while "File:" not in self.log():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise CannotRun(f"dumpcap does not capture: {self.log()}")
            time.sleep(0.02)

    def log(self) -> str:
        return self.path.with_suffix(".log").read_text(errors="replace")

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(60)

    def verify(self, with_tls: bool = False) -> Seen:
        """Raises if the capture is not whole, if any packet is malformed or a digest is wrong. `with_tls`: connections to TLS_PORTS
        may be encrypted."""
        self.stop()
        require_whole(self.log())
        seen = verify(self.path, with_tls)
        seen.iscsi_pdus = verify_iscsi(self.path)
        return seen


def require_whole(log: str) -> None:
    """By what dumpcap says at its end: what it has lost nobody can check."""
    found = re.search(r"received/dropped on interface '.*': (\d+)/(\d+)", log)
    if not found or int(found.group(2)) > 0:
        raise CannotRun(f"the capture is not whole: {log[-500:]}")


def verify(path: Path, with_tls: bool = False) -> Seen:
    """Holds what the dissector says against the PDUs that are there without it; of encrypted connections, that they are."""
    seen = Seen()
    if with_tls:
        seen.encrypted = tls_stream.find(pdu_stream.segments(path, TLS_PORTS))
    dissected: Counter = Counter()
    excused: set[int] = set()

    def looked_at() -> Iterator[pdu_stream.Segment]:
        for fields in _lines(path, seen.encrypted.streams):
            segment = pdu_stream.segment(fields[:len(pdu_stream.FIELDS)])
            malformed, kinds, header, data = (part.split(",") for part in fields[len(pdu_stream.FIELDS):])
            if _is_own_bug(malformed[0]):
                excused.add(segment.frame)
            elif malformed != [""]:
                raise Failed(f"frame {segment.frame} of {path} is malformed: {malformed}")
            if DIGEST_BAD in header + data:
                raise Failed(f"frame {segment.frame} of {path} has a wrong digest")
            dissected.update(int(kind, 0) for kind in kinds if kind)
            seen.good_header_digests += header.count(DIGEST_GOOD)
            seen.good_data_digests += data.count(DIGEST_GOOD)
            yield segment

    for pdu in pdu_stream.assemble(looked_at()):
        seen.types[pdu.type] += 1
        if pdu.frame in excused and pdu.type != CAPSULE_RESP:
            raise Failed(f"frame {pdu.frame} of {path}: the dissector trips over a {pdu_stream.NAMES[pdu.type]}")
    if dissected != seen.types:
        raise Failed(f"{path} holds {dict(seen.types)} PDUs by type, the dissector found {dict(dissected)}")
    return seen


def verify_iscsi(path: Path) -> int:
    """How many iSCSI PDUs the dissector has found; raises if a packet is malformed. What it does not take for iSCSI at all it passes
    over in silence: nothing may follow that in the same direction, if it comes from the target. (It gets lost by itself in what a host sends
    where a data digest begins a segment.)"""
    fields = ("frame.number", "tcp.stream", "tcp.srcport", "_ws.malformed", "iscsi.opcode", "tcp.segment_data",
              "tcp.analysis.retransmission")
    argv = [tool("tshark"), "-n", "-r", str(path), "-o", "tcp.reassemble_out_of_order:TRUE", "-d", f"tcp.port=={ISCSI_PORT},iscsi",
            "-Y", f"tcp.port == {ISCSI_PORT} && tcp.len > 0", "-T", "fields", "-E", "occurrence=a"]
    argv += [part for name in fields for part in ("-e", name)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=VERIFY_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise CannotRun(f"tshark: {done.stderr[-1000:]}")
    pdus = 0
    passed_over: dict[tuple[str, str], str] = {}
    for line in done.stdout.splitlines():
        frame, stream, source, malformed, opcodes, segment, again = line.split("\t")
        # SCSI's data is another matter: the dissector trips over pages that the host has asked for the front of alone.
        if "iSCSI" in malformed:
            raise Failed(f"frame {frame} of {path} is malformed iSCSI: {malformed}")
        if opcodes:
            pdus += len(opcodes.split(","))
            if (stream, source) in passed_over:
                raise Failed(f"frame {passed_over[stream, source]} of {path} is no iSCSI to the dissector")
        elif not segment and not again and source == str(ISCSI_PORT):
            passed_over.setdefault((stream, source), frame)
    return pdus


def _is_own_bug(malformed: str) -> bool:
    """Wireshark 4.0 trips over itself at some completions of Get Features; that is no word about the packet."""
    return "Dissector bug" in malformed


def _lines(path: Path, encrypted: set[int]) -> Iterator[list[str]]:
    fields = pdu_stream.FIELDS + SEEN_BY_DISSECTOR
    argv = [tool("tshark"), "-n", "-r", str(path), "-o", "nvme-tcp.check_hdgst:TRUE", "-o", "nvme-tcp.check_ddgst:TRUE",
            "-o", "tcp.reassemble_out_of_order:TRUE"]
    for port in PORTS:
        argv += ["-d", f"tcp.port=={port},nvme-tcp"]
    ours = f"({' || '.join(f'tcp.port == {port}' for port in PORTS)})"
    if encrypted:
        ours += f" && !(tcp.stream in {{{', '.join(map(str, sorted(encrypted)))}}})"
    argv += ["-Y", f"tcp.len > 0 && {ours}", "-T", "fields", "-E", "occurrence=a"]
    argv += [part for name in fields for part in ("-e", name)]
    with (open(path.with_suffix(".tshark"), "w+b") as errors,
          subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=errors, text=True) as process):
        try:
            for line in process.stdout:
                yield line.rstrip("\n").split("\t")
            if process.wait(VERIFY_TIMEOUT_S) != 0:
                errors.seek(0)
                raise CannotRun(f"tshark: {errors.read()[-1000:].decode(errors='replace')}")
        finally:
            process.kill()
