"""QEMU's machine protocol: one JSON object a line."""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path

from lab.errors import GuestDied


class Monitor:
    def __init__(self, stream: socket.socket):
        self._socket = stream
        self._file = self._socket.makefile("rw")
        self._read()  # greeting
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: object) -> object:
        self._file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._file.flush()
        while True:
            answer = self._read()
            if "error" in answer:
                raise GuestDied(f"monitor: {command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def await_status(self, wanted: str, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while (status := self.ask("query-status")["status"]) != wanted:
            if time.monotonic() > deadline:
                raise GuestDied(f"the guest is {status}, not {wanted}, after {timeout:.0f} s")
            time.sleep(0.05)

    def save(self, target: Path, timeout: float) -> None:
        self.ask("migrate", uri=f"exec:cat > {target}")
        deadline = time.monotonic() + timeout
        while (status := self.ask("query-migrate").get("status")) != "completed":
            if status in ("failed", "cancelled") or time.monotonic() > deadline:
                raise GuestDied(f"saving the guest's state: {status}")
            time.sleep(0.05)

    def _read(self) -> dict:
        try:
            line = self._file.readline()
        except OSError:
            line = ""
        if not line:
            raise GuestDied("QEMU closed its monitor")
        return json.loads(line)


def connect(path: Path, check: Callable[[], None], timeout: float) -> socket.socket:
    """A stream socket to `path` once somebody listens there; `check` raises when nobody ever will."""
    deadline = time.monotonic() + timeout
    while True:
        attempt = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            attempt.connect(str(path))
            return attempt
        except OSError as error:
            attempt.close()
            check()
            if time.monotonic() > deadline:
                raise GuestDied(f"nobody listens on {path.name}: {error}") from error
            time.sleep(0.02)
