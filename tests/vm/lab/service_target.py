"""The target as an administrator installs it, in a guest whose process 1 is systemd: what `cmake --install` puts in place, the
user, the unit, a pool in a directory of the daemon's, one on a disk, and a cache on a DAX device."""

from pathlib import Path

from lab.agent import Answer
from lab.errors import Failed
from lab.guest import Guest
from lab.guest_target import GuestTarget
from lab.machine import Image
from lab.pool_disk import PoolDisk
from lab.programs import Programs
from lab.target import MIB, Pool, directory_pool

PLACE = "/srv/forebay/bulk"
AS_FOREBAY = "setpriv --reuid forebay --regid forebay --init-groups"
# Services come up beside an emulated host.
BOOT_TIMEOUT_S = 300.0


class ServiceDisks(PoolDisk):
    """A file system for a pool in a directory, and a disk for one of its own."""

    RAW_MIB = 96

    def __init__(self, folder: Path, first: str):
        super().__init__(folder, first)
        self.files.append(folder / "raw.disk")
        self.raw = f"/dev/{first[:-1]}{chr(ord(first[-1]) + 1)}"

    def pool(self) -> Pool:
        return directory_pool(Path(f"{PLACE}/files"))

    def create(self) -> None:
        super().create()
        with open(self.files[1], "wb") as made:
            made.truncate(self.RAW_MIB * MIB)

    def make(self, guest: Guest) -> None:
        self.mount(guest)
        guest.run(f"mkdir {PLACE}/files")

    def mount(self, guest: Guest) -> None:
        guest.run(f"mkdir -p {PLACE} && mount {self._device} {PLACE}")

    def unmount(self, guest: Guest) -> None:
        guest.run(f"umount {PLACE}")


class ServiceTarget(GuestTarget):
    """Volumes "data" in the directory and "raw" on the disk, both behind the cache; secrets of both kinds."""

    disk: ServiceDisks

    def __init__(self, image: Image, programs: Programs, folder: Path):
        super().__init__(image, programs, folder, "devdax", ServiceDisks(folder, GuestTarget.FIRST_DISK))
        # An emulated machine beside others may be ten times slower than services are given.
        self._guest.hardware.arguments = ("forebay.services", "systemd.unit=basic.target", "systemd.condition-needs-update=false",
                                          "systemd.default_timeout_start_sec=900")
        self.config["control"] = {"socket": "/run/forebay/control.sock", "group": "forebay"}
        self.config["pools"]["disks"] = {"kind": "device", "layout": "single", "members": [self.disk.raw]}

    def execute(self, program: str, *arguments: str) -> Answer:
        return self._guest.attempt(" ".join([program, *arguments]))

    def create_pool(self) -> None:
        """Also the guest itself, with what is installed in it."""
        self._programs.write_installation(self.folder / "programs.ext4")
        self.disk.create()
        self._boot()
        self.run("ndctl create-namespace -f -e namespace0.0 -m devdax 2>&1 || exit $?; udevadm settle")
        self.disk.make(self._guest)
        self.run(f"chown -R forebay:forebay {PLACE}")
        self.run(f"{AS_FOREBAY} forebayctl pool init {PLACE}/files 2>&1 || exit $?")
        self.run(f"forebayctl pool init --layout single {self.disk.raw} 2>&1 || exit $?")

    def add_volumes(self, size: int) -> None:
        self.add_volume(1, "data", size, 4096)
        self.add_volume(2, "raw", size, 4096)
        self.config["volumes"]["raw"]["pool"] = "disks"

    def use_secrets(self) -> None:
        """One that the service manager hands on, and one in a file that the group may read."""
        self.offer_by_iscsi({0: "data"}, "*")
        chap = {"user": "lab", "secret": "credential:lab"}
        next(iter(self.config["targets"].values()))["chap"] = chap
        self.config["iscsi"] = {"discovery_chap": {"user": "lab", "secret": "file:/etc/forebay/secrets/discovery"}}
        self.run("umask 077; mkdir -p /root/secrets /etc/systemd/system/forebay.service.d && "
                 "echo 0123456789abcdef > /root/secrets/lab && echo fedcba9876543210 > /etc/forebay/secrets/discovery && "
                 "chgrp forebay /etc/forebay/secrets/discovery && chmod 0640 /etc/forebay/secrets/discovery && "
                 "printf '[Service]\\nLoadCredential=lab:/root/secrets/lab\\n' > /etc/systemd/system/forebay.service.d/secrets.conf && "
                 "systemctl daemon-reload")

    def write_configuration(self) -> None:
        self._guest.write("/etc/forebay/forebay.yaml", self.yaml())

    def start(self) -> None:
        """Returns when it serves, as the service manager says."""
        self.write_configuration()
        started = self._guest.attempt("systemctl start forebay 2>&1")
        if started.code != 0 or not self._serves():
            raise Failed(f"systemctl start ended with {started.code}: {started.output}\n{self.status()}\n{self.log()}")

    def reload(self) -> Answer:
        return self._guest.attempt("systemctl reload forebay 2>&1")

    def stop(self) -> None:
        self.check()
        self.run("systemctl stop forebay")
        if self.shown("Result") != "success" or self.shown("ExecMainStatus") != "0":
            raise Failed(f"forebayd was not stopped cleanly: {self.log()}")

    def kill(self) -> None:
        """The daemon alone; it comes back by itself."""
        self.run(f"kill -KILL {self.process()}")

    def pause(self) -> None:
        """For good, but for who watches it."""
        self.run(f"kill -STOP {self.process()}")

    def resume(self) -> None:
        self.run(f"kill -CONT {self.process()}")

    def process(self) -> str:
        return self.shown("MainPID")

    def await_restarts(self, count: int) -> None:
        """It has come back so often, and serves."""
        self._guest.await_true(f'[ "$(systemctl show -P NRestarts forebay)" = {count} ] && systemctl is-active forebay')

    def shown(self, name: str) -> str:
        return self.run(f"systemctl show -P {name} forebay").strip()

    def running(self) -> bool:
        return self._guest.running() and self._guest.attempt("systemctl is-active forebay").code == 0

    def check(self) -> None:
        self._guest.check()
        if not self.running():
            raise Failed(f"forebayd does not run:\n{self.log()[-4000:]}")

    def log(self) -> str:
        return self._guest.attempt("journalctl --no-pager -o cat -u forebay").output

    def _boot(self) -> None:
        self._guest.boot()
        self._guest.await_true("systemctl is-active basic.target", BOOT_TIMEOUT_S)
        self._guest.run("modprobe -a nfit nd_pmem dax_pmem device_dax && mkdir -p /programs && mount -o ro /dev/vdb /programs && "
                        "cp -a /programs/root/. / && cp -n /programs/lib/* /usr/lib/x86_64-linux-gnu/")
        # As docs/operations.md says, and for disks too: a guest has not had the system's own groups until now; it lacks some
        # nevertheless that only packages' scripts make, and of which other packages' tmpfiles speak.
        self._guest.run("systemd-sysusers && systemd-sysusers forebay.conf && systemd-tmpfiles --create forebay.conf && "
                        "systemctl restart systemd-udevd && "
                        "udevadm trigger --action=add --subsystem-match=dax --subsystem-match=block && systemctl daemon-reload && udevadm settle")
        self._guest.await_true("ls /sys/bus/nd/devices/region0")
        self._guest.run("dmesg -C")
