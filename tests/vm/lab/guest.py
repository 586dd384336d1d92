"""A running guest: a kernel of its own with an agent in it that runs commands."""

import re
import shlex
import socket
import subprocess
import time
from pathlib import Path

from lab.agent import Agent, Answer
from lab.errors import Failed, GuestDied

# An emulated guest beside a compiler can be ten times slower than usual: these bounds only end what hangs.
BOOT_TIMEOUT_S = 240.0
COMMAND_TIMEOUT_S = 180.0
BROKEN = re.compile(r"Oops|BUG:|Kernel panic|FOREBAY-VM (?!up)")
# What a kernel says when something went wrong that no command reported.
COMPLAINTS = re.compile(
    r"WARNING:|BUG:|Oops|Call Trace|I/O error|Buffer I/O|digest error|unexpected|invalid|failed to|"
    r"corrupt|Corruption|queue.*timeout|EXT4-fs error|XFS.*error|hung_task|blocked for more than", re.I)


class Job:
    """A command that runs in the guest while the scenario goes on."""

    def __init__(self, guest: "Guest", command: str, number: int):
        self._guest, self._number = guest, number
        self.command = command
        self.answer: Answer | None = None  # once it has ended and somebody has looked

    def poll(self) -> Answer | None:
        return self._receive(0.01)

    def wait(self, timeout: float = COMMAND_TIMEOUT_S) -> Answer:
        answer = self._receive(timeout)
        if answer is None:
            raise Failed(f"in the guest, after {timeout:.0f} s no end of: {self.command}")
        return answer

    def succeed(self, timeout: float = COMMAND_TIMEOUT_S) -> str:
        answer = self.wait(timeout)
        if answer.code != 0:
            raise Failed(f"in the guest: {self.command}\nexit code {answer.code}\n{ends_of(answer.output)}")
        return answer.output

    def output_so_far(self) -> str:
        """While it runs, what the agent has of it."""
        if self.answer is not None:
            return self.answer.output
        return self._guest.attempt(f"tail -c 4000 /run/agent.{self._number}.out", 20).output

    def _receive(self, timeout: float) -> Answer | None:
        if self.answer is None:
            self.answer = self._guest.agent.receive(self._number, timeout)
        return self.answer


def ends_of(output: str) -> str:
    """Programs say what went wrong at the beginning or at the end."""
    return output if len(output) <= 4000 else f"{output[:2000]}\n[...]\n{output[-2000:]}"


class Guest:
    """What all guests have in common. How one is started is up to the kind; `_process` and `agent` are set then."""

    def __init__(self, folder: Path, name: str):
        self.folder, self.name = folder, name
        folder.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen | None = None
        self.agent: Agent
        # Started by start(), for the description of a failure.
        self.jobs: list[Job] = []

    def start(self, command: str) -> Job:
        self.jobs.append(self._send(command))
        return self.jobs[-1]

    def attempt(self, command: str, timeout: float = COMMAND_TIMEOUT_S) -> Answer:
        return self._send(command).wait(timeout)

    def run(self, command: str, timeout: float = COMMAND_TIMEOUT_S) -> str:
        """The output of a command that must succeed."""
        return self._send(command).succeed(timeout)

    def read(self, path: str) -> str:
        return self.run(f"cat {path}").strip()

    def write(self, path: str, text: str) -> None:
        self.run(f"printf %s {shlex.quote(text)} > {path}")

    def await_true(self, command: str, timeout: float = COMMAND_TIMEOUT_S) -> None:
        """Waits in the guest until `command` succeeds."""
        self.run(f"for i in $(seq {int(timeout * 5)}); do if {command}; then exit 0; fi; sleep 0.2; done; exit 1",
                 timeout + 60)

    def complaints(self, allowed: str = "") -> list[str]:
        """Lines of the kernel's log."""
        lines = self.run("dmesg").splitlines()
        return [line for line in lines if COMPLAINTS.search(line) and not (allowed and re.search(allowed, line, re.I))]

    def running(self) -> bool:
        return self._process is not None

    def console(self) -> str:
        path = self.folder / "console"
        return path.read_text(errors="replace") if path.exists() else ""

    def check(self) -> None:
        """Raises GuestDied if the kernel has broken or its process has ended."""
        found = BROKEN.search(self.console())
        if found:
            raise GuestDied(f"{self.name}: {self.console()[max(0, found.start() - 200):][-4000:]}")
        if self._process is not None and self._process.poll() is not None:
            raise GuestDied(f"{self.name}: ended with {self._process.returncode}: {self._last_words()[-1000:]}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _send(self, command: str) -> Job:
        return Job(self, command, self.agent.send(command))

    def _last_words(self) -> str:
        """What the process itself printed."""
        return (self.folder / "process.log").read_text(errors="replace")

    def _listen(self, stream: socket.socket) -> None:
        self.agent = Agent(stream, self.check)

    def _await_console(self, text: str) -> None:
        deadline = time.monotonic() + BOOT_TIMEOUT_S
        while text not in self.console():
            self.check()
            if time.monotonic() > deadline:
                raise GuestDied(f"{self.name}: not up after {BOOT_TIMEOUT_S:.0f} s\n{self.console()[-2000:]}")
            time.sleep(0.1)
