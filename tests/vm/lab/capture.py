"""A capture of everything between guests and target, and what Wireshark's NVMe/TCP dissector says about it."""

import subprocess
import time
from collections import Counter
from pathlib import Path

from lab.errors import CannotRun, Failed
from lab.shell import tool

PORTS = (4420, 8009)
# Values of nvme-tcp.hdgst.status and ddgst.status.
DIGEST_BAD = "0"


class Capture:
    """Records from construction to `stop`."""

    def __init__(self, path: Path):
        self.path = path
        self._log = open(path.with_suffix(".log"), "w+b")
        ports = " or ".join(f"tcp port {port}" for port in PORTS)
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

    def verify(self) -> Counter:
        """Raises if any packet is malformed or a digest is wrong; the number of PDUs by type."""
        self.stop()
        argv = [tool("tshark"), "-n", "-r", str(self.path), "-o", "nvme-tcp.check_hdgst:TRUE",
                "-o", "nvme-tcp.check_ddgst:TRUE"]
        for port in PORTS:
            argv += ["-d", f"tcp.port=={port},nvme-tcp"]
        argv += ["-Y", "nvme-tcp || _ws.malformed", "-T", "fields", "-E", "occurrence=a", "-e", "frame.number",
                 "-e", "_ws.malformed", "-e", "nvme-tcp.type", "-e", "nvme-tcp.hdgst.status",
                 "-e", "nvme-tcp.ddgst.status"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=900, check=False)
        if done.returncode != 0:
            raise CannotRun(f"tshark: {done.stderr[-1000:]}")
        types: Counter = Counter()
        for line in done.stdout.splitlines():
            number, malformed, kinds, header, data = (line.split("\t") + [""] * 5)[:5]
            # Wireshark 4.0 trips over itself at some completions of Get Features; that is no word about the packet.
            if malformed and "Dissector bug" not in malformed:
                raise Failed(f"frame {number} of {self.path} is malformed: {malformed}")
            if DIGEST_BAD in header.split(",") or DIGEST_BAD in data.split(","):
                raise Failed(f"frame {number} of {self.path} has a wrong digest")
            types.update(kind for kind in kinds.split(",") if kind)
        return types
