"""What a target's pool lies on in its guest: disks in files, which outlive the guest."""

from pathlib import Path

from lab.emulated_guest import EmulatedGuest
from lab.guest import Guest
from lab.shell import run
from lab.target import Pool, directory_pool

MIB = 1 << 20
PLACE = "/pool"
DIRECTORY = f"{PLACE}/files"
LINKS = "/run/disks"
DMSETUP = "DM_DISABLE_UDEV=1 dmsetup"  # there is none


class PoolDisk:
    """ext4 on a disk that works. `files` are the guest's disks from `first` on, such as vdc."""

    SIZE_MIB = 256
    # Others, by serial number, which can be pulled and put back.
    drives: dict[str, Path] = {}

    def __init__(self, folder: Path, first: str):
        self.files = [folder / "pool.disk"]
        self._device = f"/dev/{first}"

    def pool(self) -> Pool:
        return directory_pool(Path(DIRECTORY))

    def make(self, guest: Guest) -> None:
        """Once, and mounts it."""
        self.mount(guest)
        guest.run(f"mkdir {DIRECTORY}")

    def mount(self, guest: Guest) -> None:
        guest.run(f"mkdir -p {PLACE} && mount {self._device} {PLACE}")

    def create(self) -> None:
        """Before the guest's first boot."""
        run("mke2fs", "-q", "-t", "ext4", self.files[0], f"{self.SIZE_MIB}M")


class SharedDisk(PoolDisk):
    """A thin pool on a file system that others write to as well."""

    RESERVE_MIB = 16

    def pool(self) -> Pool:
        made = super().pool()
        made.form.update(provisioning="thin", reserve=f"{self.RESERVE_MIB}MiB", warn_at="90%")
        return made

    def fill(self) -> None:
        """By somebody else, to the last byte."""
        self._guest.run(f"dd if=/dev/zero of={PLACE}/foreign bs=1M status=none 2>/dev/null; sync -f {PLACE}; "
                        f"[ $(df --output=avail -k {PLACE} | tail -1) -lt 64 ]")

    def free(self) -> None:
        self._guest.run(f"rm {PLACE}/foreign && sync -f {PLACE}")

    def mount(self, guest: Guest) -> None:
        self._guest = guest
        super().mount(guest)

    def create(self) -> None:
        run("mke2fs", "-q", "-t", "ext4", "-m", "0", self.files[0], f"{self.SIZE_MIB}M")


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
        guest.run(f"mkdir {DIRECTORY}")

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


class PluggedDisks(PoolDisk):
    """SCSI disks that can be pulled. They are known by links below LINKS, as udev would make of their serial numbers: `links`
    says which disk stands where."""

    SIZE_MIB = 96
    LINKED: dict[str, str] = {}  # a link's name: a serial number
    UNLINKED: tuple[str, ...] = ()

    def __init__(self, folder: Path, first: str):
        super().__init__(folder, first)
        self.files = []
        self.links = dict(self.LINKED)
        self.drives = {serial: folder / f"{serial}.disk" for serial in (*self.links.values(), *self.UNLINKED)}
        self._plugged = list(self.drives)
        self._guest: EmulatedGuest

    def create(self) -> None:
        for file in self.drives.values():
            with open(file, "wb") as made:
                made.truncate(self.SIZE_MIB * MIB)

    def make(self, guest: EmulatedGuest) -> None:
        self.plug_in(guest)

    def mount(self, guest: EmulatedGuest) -> None:
        self.plug_in(guest)

    def plug_in(self, guest: EmulatedGuest) -> None:
        """After each boot, which finds all of them."""
        self._guest, self._plugged = guest, list(self.drives)
        guest.run("modprobe -a virtio_scsi sd_mod")
        self.link()

    def pull(self, serial: str) -> None:
        self._guest.pull(serial)
        self._plugged.remove(serial)
        self.link()

    def put_back(self, serial: str) -> None:
        self._guest.put_back(serial)
        self._plugged.append(serial)
        self.link()

    def link(self) -> None:
        """As `links` says, once the kernel has what is plugged in, and nothing else."""
        serial = "$(tail -c +5 $d/device/vpd_pg80 | tr -d ' \\0')"
        found = f"for d in /sys/block/sd*; do [ -e $d ] && echo {serial}; done | sort | tr '\\n' ' '"
        self._guest.await_true(f"""[ "$({found})" = "{''.join(f'{name} ' for name in sorted(self._plugged))}" ]""")
        cases = " ".join(f"{disk}) ln -s /dev/${{d##*/}} {LINKS}/{name};;" for name, disk in self.links.items())
        self._guest.run(f"rm -rf {LINKS} && mkdir {LINKS} && for d in /sys/block/sd*; do case {serial} in {cases} esac; done")


class MemberDisks(PluggedDisks):
    """Two that are the members of a linear pool, and a stranger."""

    SIZE_MIB, LABEL_MIB = 56, 32
    LINKED = {"first": "DISK-A", "second": "DISK-B"}
    UNLINKED = ("STRANGER",)

    def pool(self) -> Pool:
        members = [f"{LINKS}/{name}" for name in self.LINKED]
        return Pool({"kind": "device", "layout": "linear", "members": members}, ["--layout", "linear", *members])


class FlakyMembers(MemberDisks):
    """The second of them behind device mapper, which can make it fail again and again, or answer late."""

    BEHIND = "/dev/mapper/second"

    def plug_in(self, guest: EmulatedGuest) -> None:
        super().plug_in(guest)
        guest.run("modprobe -a dm_flakey dm_delay")
        self._disk = guest.run(f"readlink {LINKS}/second").strip()
        guest.run(f"{DMSETUP} create second --table '{self._table('linear {} 0')}' && ln -sf {self.BEHIND} {LINKS}/second")

    def work(self) -> None:
        self._switch("linear {} 0")

    def fail_every(self, up_s: int, down_s: int) -> None:
        """It works for `up_s` seconds, fails every request for `down_s`, and so on."""
        self._switch(f"flakey {{}} 0 {up_s} {down_s}")

    def delay(self, milliseconds: int) -> None:
        self._switch(f"delay {{}} 0 {milliseconds}")

    def _switch(self, to: str) -> None:
        self._guest.run(f"{DMSETUP} suspend second && {DMSETUP} load second --table '{self._table(to)}' && {DMSETUP} resume second")

    def _table(self, what: str) -> str:
        return f"0 {self.SIZE_MIB * MIB // 512} {what.format(self._disk)}"


class MirroredDisks(PluggedDisks):
    """Two below md, RAID-1: a pool on a device."""

    LINKED = {"first": "LEG-A", "second": "LEG-B"}
    ARRAY = "/dev/md0"
    _MDADM = "MDADM_NO_UDEV=1 mdadm"

    def pool(self) -> Pool:
        return Pool({"kind": "device", "layout": "single", "members": [self.ARRAY]}, ["--layout", "single", self.ARRAY])

    def make(self, guest: EmulatedGuest) -> None:
        self.plug_in(guest)
        guest.run(f"modprobe raid1 && {self._MDADM} --create {self.ARRAY} --run --level=1 --raid-devices=2 --metadata=1.2 "
                  f"{LINKS}/first {LINKS}/second 2>&1 || exit $?")

    def mount(self, guest: EmulatedGuest) -> None:
        self.plug_in(guest)
        guest.run(f"modprobe raid1 && {self._MDADM} --assemble --run {self.ARRAY} {LINKS}/first {LINKS}/second 2>&1 || exit $?")

    def await_legs(self, shown: str) -> None:
        """As /proc/mdstat shows them: UU, U_, _U."""
        self._guest.await_true(f"grep -qF '[{shown}]' /proc/mdstat && ! grep -q recovery /proc/mdstat")

    def add_again(self, name: str) -> None:
        """What an administrator does once the disk is there again."""
        self._guest.run(f"{{ {self._MDADM} {self.ARRAY} --remove detached; {self._MDADM} {self.ARRAY} --add {LINKS}/{name}; }} 2>&1 || exit $?")


class LogicalVolume(PluggedDisks):
    """A directory on a logical volume, and a disk by which it can be grown."""

    LINKED = {"first": "PV-A", "second": "PV-B"}
    # LVM looks below /dev alone.
    _FIRST, _SECOND = (f"$(readlink {LINKS}/{name})" for name in LINKED)
    _LVM = ("LVM_SUPPRESS_FD_WARNINGS=1 DM_DISABLE_UDEV=1 lvm {} --config 'activation {{ udev_sync=0 udev_rules=0 }} "
            "devices {{ obtain_device_list_from_udev=0 use_devicesfile=0 }}'")

    def make(self, guest: EmulatedGuest) -> None:
        self.plug_in(guest)
        self._lvm("pvcreate", f"{self._FIRST} {self._SECOND}")
        self._lvm("vgcreate", f"vg0 {self._FIRST}")
        self._lvm("lvcreate", "-y -Zn -n bulk -l 100%FREE vg0")
        guest.run(f"mkfs.ext4 -q /dev/vg0/bulk && mkdir -p {PLACE} && mount /dev/vg0/bulk {PLACE} && mkdir {DIRECTORY}")

    def mount(self, guest: EmulatedGuest) -> None:
        self.plug_in(guest)
        self._lvm("vgchange", "-ay vg0")
        guest.run(f"mkdir -p {PLACE} && mount /dev/vg0/bulk {PLACE}")

    def grow(self) -> None:
        """Onto the second disk, mounted as it is."""
        self._lvm("vgextend", f"vg0 {self._SECOND}")
        self._lvm("lvextend", "-l +100%FREE vg0/bulk")
        self._guest.run("resize2fs /dev/vg0/bulk 2>&1 || exit $?")

    def _lvm(self, command: str, arguments: str) -> None:
        self._guest.run(f"{self._LVM.format(command)} {arguments} 2>&1 || exit $?")
