"""The target in a guest of its own: its cache on an emulated NVDIMM, its pool on a disk. What is in their files outlives
the guest, which is cut off from power at will."""

import re
import time
from pathlib import Path

from lab.agent import Answer
from lab.emulated_guest import EmulatedGuest
from lab.errors import Failed
from lab.guest import Guest, Job
from lab.machine import Hardware, Image, Nvdimm
from lab.namespace import ADDRESS
from lab.pool_disk import PoolDisk
from lab.programs import Programs
from lab.target import IO_PORT, TLS_PERMITTED_PORT, TLS_REQUIRED_PORT, Target

NVDIMM_MIB, CACHE_MIB = 64, 24
START_TIMEOUT_S = 180.0
PORTS = (IO_PORT, TLS_PERMITTED_PORT, TLS_REQUIRED_PORT)
DEVICE = {"devdax": "/dev/dax0.0", "fsdax": "/dev/pmem0"}


class GuestTarget(Target):
    """`form`: what the guest makes of its NVDIMM, a "devdax" device or an "fsdax" file system with the cache in a file."""

    FIRST_DISK = "vdc"  # of the pool's; before it come the root and the programs

    def __init__(self, image: Image, programs: Programs, folder: Path, form: str, disk: PoolDisk):
        cache = DEVICE["devdax"] if form == "devdax" else "/cache/front"
        super().__init__(disk.pool(), Path(cache), Path("/run/forebay.sock"))
        self.form, self.folder, self.disk = form, folder, disk
        self.nvdimm = Nvdimm(folder / "nvdimm", NVDIMM_MIB)
        self._programs = programs
        self._log = folder / "forebayd.log"
        self._log_size = 0
        self._guest = EmulatedGuest(image, folder / "target", "the target's guest", Hardware(
            self.nvdimm, [folder / "programs.ext4", *disk.files], disk.drives, [f"{ADDRESS}:{port}" for port in PORTS], self._log))
        self._daemon: Job | None = None
        self._secrets: dict[str, str] = {}
        self.config["memory"] = "128MiB"
        self.add_listener("io", "*")

    def guests(self) -> list[Guest]:
        return [self._guest] if self._guest.running() else []

    def execute(self, program: str, *arguments: str) -> Answer:
        return self._guest.attempt(" ".join([f"/programs/bin/{program}", *arguments]))

    def run(self, command: str) -> str:
        """Of the administrator's, in the guest."""
        return self._guest.run(command)

    def write_secret(self, name: str, secret: str) -> str:
        """A reference to it for the configuration; the guest has it from the next start on."""
        self._secrets[f"/run/{name}"] = secret
        return f"file:/run/{name}"

    def create_pool(self) -> None:
        """Also the guest itself, with new disks and a new NVDIMM."""
        self._programs.write_disk(self.folder / "programs.ext4")
        self.disk.create()
        self._boot()
        self.run(f"ndctl create-namespace -f -e namespace0.0 -m {self.form} 2>&1 || exit $?")
        if self.form == "fsdax":
            # Blocks must be pages; a small file system would get smaller ones.
            self.run(f"mkfs.ext4 -q -b 4096 {DEVICE['fsdax']}")
        self._mount_cache()
        self.disk.make(self._guest)
        super().create_pool()

    def create_cache(self, *options: str) -> None:
        """What is not persistent memory will be refused."""
        size = ["--size", f"{CACHE_MIB}MiB"] if self.form == "fsdax" else []
        super().create_cache(*size, *options)
        self.config["cache_devices"]["front"]["require"] = "cache-line"

    def start(self) -> None:
        """Boots the guest if it is off."""
        if not self._guest.running():
            self._boot()
            self._mount_cache()
            self.disk.mount(self._guest)
        for path, secret in self._secrets.items():
            self._guest.write(path, secret)
            self.run(f"chmod 0600 {path}")
        self._guest.write("/run/forebay.yaml", self.yaml())
        self._log_size = self._log.stat().st_size
        self._daemon = self._guest.start("echo $$ > /run/forebayd.pid; STATE_DIRECTORY=/run "
                                         "exec /programs/bin/forebayd /run/forebay.yaml > /dev/ttyS1 2>&1")
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._serves():
            self.check()
            if time.monotonic() > deadline:
                raise Failed(f"forebayd does not serve after {START_TIMEOUT_S:.0f} s:\n{self.log()}")
            time.sleep(0.2)

    def kill(self) -> None:
        """Power fails: what the guest had in its memory is gone, and its page cache with it."""
        self.check()
        self._guest.stop()
        self._daemon = None

    def stop(self) -> None:
        """The daemon alone."""
        self.check()
        self._guest.run("kill -TERM $(cat /run/forebayd.pid)")
        answer = self._daemon.wait()
        self._daemon = None
        if answer.code != 0:
            raise Failed(f"forebayd ended with {answer.code} after SIGTERM:\n{self.log()[-4000:]}")

    def pause(self) -> None:
        self._guest.monitor.ask("stop")

    def resume(self) -> None:
        self._guest.monitor.ask("cont")

    def running(self) -> bool:
        return self._daemon is not None and self._daemon.poll() is None

    def check(self) -> None:
        if self._daemon is not None:
            self._guest.check()
            answer = self._daemon.poll()
            if answer is not None:
                raise Failed(f"forebayd ended with {answer.code}:\n{self.log()[-4000:]}")

    def log(self) -> str:
        with open(self._log, "rb") as file:
            file.seek(self._log_size)
            return file.read().decode(errors="replace")

    def close(self) -> None:
        self._guest.stop()

    def poison(self, content: str) -> None:
        """fsdax: the page of the cache that has `content`, which the medium has lost from now on. The driver lists it as
        bad, and the kernel takes it away from whoever has it mapped, as it does when a load meets it."""
        self.run("echo 1 > /proc/sys/vm/memory_failure_early_kill")
        found = self.run(f"grep -obUaF -m1 '{content}' {self.cache} | head -1")
        page = (int(found.split(":")[0]) + 2048) // 4096
        for line in self.run(f"filefrag -v {self.cache}").splitlines():
            extent = re.match(r"\s*\d+:\s*(\d+)\.\.\s*(\d+):\s*(\d+)\.\.", line)
            if extent and int(extent.group(1)) <= page <= int(extent.group(2)):
                block = int(extent.group(3)) + page - int(extent.group(1))
                break
        else:
            raise Failed(f"page {page} of {self.cache} is nowhere on {DEVICE['fsdax']}")
        begin = int(self.run("cat /sys/block/pmem0/device/resource"), 0)
        self.run(f"echo {block * 8} 8 > /sys/block/pmem0/badblocks")
        self.run(f"echo {begin + block * 4096:#x} > /sys/devices/system/memory/hard_offline_page")

    def _boot(self) -> None:
        self._guest.boot()
        self._guest.run(f"date -s @{time.time():.3f}")
        self._guest.run("modprobe -a nfit nd_pmem dax_pmem device_dax && "
                        "mkdir -p /programs && mount -o ro /dev/vdb /programs")
        self._guest.await_true("ls /sys/bus/nd/devices/region0")
        self._guest.run("dmesg -C")

    def _mount_cache(self) -> None:
        self._guest.await_true(f"[ -e {DEVICE[self.form]} ]")
        if self.form == "fsdax":
            self.run(f"mkdir -p /cache && mount -o dax {DEVICE['fsdax']} /cache")

    def _serves(self) -> bool:
        """Not that all is well."""
        try:
            return all(listener["listening"] for listener in self.status_list("listeners"))
        except Failed:
            return False
