"""One running guest: a stock kernel under QEMU, with an agent that runs commands in it."""

import re
import shlex
import subprocess
import time
from pathlib import Path

from lab import machine
from lab.agent import Agent, Answer
from lab.errors import Failed, GuestDied
from lab.monitor import Monitor, connect

# An emulated guest beside a compiler can be ten times slower than usual: these bounds only end what hangs.
BOOT_TIMEOUT_S = 240.0
COMMAND_TIMEOUT_S = 180.0
BOOT_ATTEMPTS = 3
BROKEN = re.compile(r"Oops|BUG:|Kernel panic|FOREBAY-VM (?!up)")


class Job:
    """A command that runs in the guest while the scenario goes on."""

    def __init__(self, guest: "Guest", command: str, number: int):
        self._guest, self._command, self._number = guest, command, number

    def poll(self) -> Answer | None:
        return self._guest.agent.receive(self._number, 0.01)

    def wait(self, timeout: float = COMMAND_TIMEOUT_S) -> Answer:
        answer = self._guest.agent.receive(self._number, timeout)
        if answer is None:
            raise Failed(f"in the guest, after {timeout:.0f} s no end of: {self._command}")
        return answer

    def succeed(self, timeout: float = COMMAND_TIMEOUT_S) -> str:
        answer = self.wait(timeout)
        if answer.code != 0:
            raise Failed(f"in the guest: {self._command}\nexit code {answer.code}\n{answer.output[-3000:]}")
        return answer.output


class Guest:
    """Started by `resume` (from a saved state, the usual way) or `boot`."""

    def __init__(self, image: machine.Image, folder: Path, name: str = "guest"):
        self.image, self.folder, self.name = image, folder, name
        folder.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen | None = None
        self.monitor: Monitor
        self.agent: Agent

    def boot(self) -> None:
        """Boots; an emulator or kernel that breaks on the way is tried again."""
        for attempt in range(1, BOOT_ATTEMPTS + 1):
            try:
                self._start(None)
                self._await_console("FOREBAY-VM up")
                self.run("true")
                return
            except (GuestDied, Failed) as error:
                self.stop()
                print(f"boot {attempt} of {self.name} failed: {error}", flush=True)
        raise GuestDied(f"{self.name} did not boot in {BOOT_ATTEMPTS} attempts")

    def resume(self) -> None:
        """Continues from the state saved right after a boot."""
        for attempt in range(1, BOOT_ATTEMPTS + 1):
            try:
                self._start(self.image.state)
                self.monitor.await_status("running", BOOT_TIMEOUT_S)
                self.run(f"date -s @{time.time():.3f}")
                return
            except (GuestDied, Failed) as error:
                self.stop()
                print(f"resume {attempt} of {self.name} failed: {error}", flush=True)
        raise GuestDied(f"{self.name} did not resume in {BOOT_ATTEMPTS} attempts")

    def save(self, state: Path) -> None:
        self.monitor.save(state, BOOT_TIMEOUT_S)

    def start(self, command: str) -> Job:
        return Job(self, command, self.agent.send(command))

    def attempt(self, command: str, timeout: float = COMMAND_TIMEOUT_S) -> Answer:
        return self.start(command).wait(timeout)

    def run(self, command: str, timeout: float = COMMAND_TIMEOUT_S) -> str:
        """The output of a command that must succeed."""
        return self.start(command).succeed(timeout)

    def read(self, path: str) -> str:
        return self.run(f"cat {path}").strip()

    def write(self, path: str, text: str) -> None:
        self.run(f"printf %s {shlex.quote(text)} > {path}")

    def await_true(self, command: str, timeout: float = COMMAND_TIMEOUT_S) -> None:
        """Waits in the guest until `command` succeeds."""
        self.run(f"for i in $(seq {int(timeout * 5)}); do if {command}; then exit 0; fi; sleep 0.2; done; exit 1",
                 timeout + 60)

    def console(self) -> str:
        path = self.folder / "console"
        return path.read_text(errors="replace") if path.exists() else ""

    def check(self) -> None:
        """Raises GuestDied if the kernel has broken or QEMU has ended."""
        found = BROKEN.search(self.console())
        if found:
            raise GuestDied(f"{self.name}: {self.console()[max(0, found.start() - 200):][-4000:]}")
        if self._process is not None and self._process.poll() is not None:
            log = (self.folder / "qemu.log").read_text(errors="replace")
            raise GuestDied(f"{self.name}: QEMU ended with {self._process.returncode}: {log[-1000:]}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _start(self, incoming: Path | None) -> None:
        for name in ("console", "agent", "monitor"):
            (self.folder / name).unlink(missing_ok=True)
        with open(self.folder / "qemu.log", "wb") as log:
            self._process = subprocess.Popen(machine.command(self.image, self.folder, incoming), stdout=log, stderr=log,
                                             stdin=subprocess.DEVNULL)
        self.monitor = Monitor(connect(self.folder / "monitor", self.check, 60))
        self.agent = Agent(connect(self.folder / "agent", self.check, 60), self.check)

    def _await_console(self, text: str) -> None:
        deadline = time.monotonic() + BOOT_TIMEOUT_S
        while text not in self.console():
            self.check()
            if time.monotonic() > deadline:
                raise GuestDied(f"{self.name}: not up after {BOOT_TIMEOUT_S:.0f} s\n{self.console()[-2000:]}")
            time.sleep(0.1)
