"""The host's end of the guest's agent: commands go in, output and exit code come back, several at a time."""

import base64
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from lab.errors import GuestDied


@dataclass(frozen=True)
class Answer:
    code: int
    output: str


class Agent:
    """Speaks the lines of guest_agent.sh. `check` is called while waiting and raises when waiting is in vain."""

    def __init__(self, stream: socket.socket, check: Callable[[], None]):
        self._stream = stream
        self._check = check
        self._received = bytearray()
        self._answers: dict[int, Answer] = {}
        self._next = 1

    def send(self, command: str) -> int:
        number = self._next
        self._next += 1
        self._stream.sendall(b"%d %s\n" % (number, base64.b64encode(command.encode())))
        return number

    def receive(self, number: int, timeout: float) -> Answer | None:
        """None if the answer has not come within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while number not in self._answers:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            ready, _, _ = select.select([self._stream], [], [], min(left, 1.0))
            self._check()
            if ready:
                try:
                    data = self._stream.recv(1 << 16)
                except ConnectionError:
                    data = b""
                if not data:
                    raise GuestDied("the guest's agent closed its line")
                self._received += data
                self._parse()
        return self._answers.pop(number)

    def _parse(self) -> None:
        while (end := self._received.find(b"\n")) >= 0:
            number, code, length = map(int, self._received[:end].split())
            if len(self._received) < end + 1 + length:
                return
            output = self._received[end + 1:end + 1 + length].decode(errors="replace")
            self._answers[number] = Answer(code, output)
            del self._received[:end + 1 + length]
