"""A stock kernel under QEMU, without KVM: booted once, then continued from its saved state."""

import subprocess
import time
from pathlib import Path

from lab import machine
from lab.errors import Failed, GuestDied
from lab.guest import BOOT_TIMEOUT_S, Guest
from lab.monitor import Monitor, connect

BOOT_ATTEMPTS = 3


class EmulatedGuest(Guest):
    """Started by `resume` (the usual way) or, with hardware of its own, by `boot`."""

    def __init__(self, image: machine.Image, folder: Path, name: str = "guest", hardware: machine.Hardware | None = None):
        super().__init__(folder, name)
        self.image, self.hardware = image, hardware
        self.monitor: Monitor

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

    def pull(self, serial: str) -> None:
        """One of the drives is gone, in the middle of whatever it does."""
        self.monitor.ask("device_del", id=serial)

    def put_back(self, serial: str) -> None:
        self.monitor.ask("device_add", **machine.scsi_disk(serial))

    def _start(self, incoming: Path | None) -> None:
        for name in ("console", "agent", "monitor"):
            (self.folder / name).unlink(missing_ok=True)
        with open(self.folder / "process.log", "wb") as log:
            self._process = subprocess.Popen(machine.command(self.image, self.folder, incoming, self.hardware),
                                             stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.monitor = Monitor(connect(self.folder / "monitor", self.check, 60))
        self._listen(connect(self.folder / "agent", self.check, 60))
