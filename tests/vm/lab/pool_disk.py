"""What a target's pool lies on in its guest: a disk in a file, which outlives the guest."""

from pathlib import Path

from lab.guest import Guest
from lab.shell import run

MIB = 1 << 20
PLACE = "/pool"
DMSETUP = "DM_DISABLE_UDEV=1 dmsetup"  # there is none


class PoolDisk:
    """ext4 on a disk that works. `files` are the guest's disks from `first` on, such as vdc."""

    SIZE_MIB = 256

    def __init__(self, folder: Path, first: str):
        self.files = [folder / "pool.disk"]
        self._device = f"/dev/{first}"

    def make(self, guest: Guest) -> None:
        """Once, and mounts it."""
        self.mount(guest)

    def mount(self, guest: Guest) -> None:
        guest.run(f"mkdir -p {PLACE} && mount {self._device} {PLACE}")

    def create(self) -> None:
        """Before the guest's first boot."""
        run("mke2fs", "-q", "-t", "ext4", self.files[0], f"{self.SIZE_MIB}M")


class FailingDisk(PoolDisk):
    """One that can be told to fail every request, and to work again (device mapper). The file system's log lies on
    another one: XFS whose log fails shuts itself down, and returns only when it is mounted anew."""

    SIZE_MIB, LOG_MIB = 320, 96

    def __init__(self, folder: Path, first: str):
        super().__init__(folder, first)
        self.files.append(folder / "pool_log.disk")
        self._log = f"/dev/{first[:-1]}{chr(ord(first[-1]) + 1)}"
        self._guest: Guest

    def create(self) -> None:
        for file, size in zip(self.files, (self.SIZE_MIB, self.LOG_MIB)):
            with open(file, "wb") as made:
                made.truncate(size * MIB)

    def make(self, guest: Guest) -> None:
        self._map(guest)
        guest.run(f"mkfs.xfs -q -l logdev={self._log} /dev/mapper/pool")
        self._mount(guest)

    def mount(self, guest: Guest) -> None:
        self._map(guest)
        self._mount(guest)

    def fail(self) -> None:
        """Whatever is asked of it from now on."""
        self._switch("error")

    def work(self) -> None:
        self._switch(f"linear {self._device} 0")

    def _map(self, guest: Guest) -> None:
        self._guest = guest
        guest.run(f"{DMSETUP} create pool --table '{self._table(f'linear {self._device} 0')}'")

    def _mount(self, guest: Guest) -> None:
        guest.run(f"mkdir -p {PLACE} && mount -o logdev={self._log} /dev/mapper/pool {PLACE}")

    def _switch(self, to: str) -> None:
        # Not by freezing the file system, which would be told of the failure before it comes.
        self._guest.run(f"{DMSETUP} suspend --nolockfs pool && {DMSETUP} load pool --table '{self._table(to)}' && "
                        f"{DMSETUP} resume pool")

    def _table(self, what: str) -> str:
        return f"0 {self.SIZE_MIB * MIB // 512} {what}"
