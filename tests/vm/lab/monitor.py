"""QEMU's machine protocol: one JSON object a line."""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path

from lab.errors import GuestDied


# To answer anything takes QEMU milliseconds; this ends a wait for an emulator that hangs.
ANSWER_TIMEOUT_S = 120.0


class Monitor:
    def __init__(self, stream: socket.socket, timeout: float = ANSWER_TIMEOUT_S):
        self._socket = stream
        self._socket.settimeout(timeout)
        # For reading alone: a file for both forgets what it has read ahead when it is written to.
        self._lines = self._socket.makefile("r")
        self._read()  # greeting
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: object) -> object:
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
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
            line = self._lines.readline()
        except TimeoutError as error:
            raise GuestDied(f"QEMU's monitor says nothing for {self._socket.gettimeout():.1f} s") from error
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
