"""The QEMU command line of a guest. A saved state fits only the command line it was saved under."""

from dataclasses import dataclass, field
from pathlib import Path

from lab.shell import run, tool

KERNEL_ARGUMENTS = (
    "console=ttyS0 rdinit=/init quiet loglevel=4 panic=-1 mitigations=off nokaslr no_timer_check tsc=reliable nowatchdog "
    "random.trust_cpu=on apparmor=0 audit=0 net.ifnames=0 nvme_core.multipath=Y")
MEMORY_MIB = 512


@dataclass(frozen=True)
class Image:
    """Everything a guest of one suite boots from."""
    suite: str
    kernel: Path
    initramfs: Path
    root: Path
    state: Path  # saved after the agent was up
    release: str
    package: str
    package_version: str

    def at_least(self, major: int, minor: int) -> bool:
        return tuple(map(int, self.release.split(".")[:2])) >= (major, minor)


@dataclass
class Nvdimm:
    """Persistent memory in a file, which outlives the guest that stores to it."""
    path: Path
    size_mib: int
    # Whether the platform says that it saves the CPU's caches too when power fails (eADR).
    saves_cpu_caches: bool = False

    def options(self) -> list[str]:
        # With labels, as what the guest makes of it is written there; they come on top.
        return ["-machine", "nvdimm=on" + (",nvdimm-persistence=cpu" if self.saves_cpu_caches else ""),
                "-m", f"{MEMORY_MIB}M,slots=1,maxmem=2G",
                "-object", f"memory-backend-file,id=nvdimm0,share=on,mem-path={self.path},size={self.size_mib + 2}M,align=2M",
                "-device", "nvdimm,memdev=nvdimm0,label-size=2M"]


@dataclass
class Hardware:
    """What a guest has beside what all have. Such a guest is booted: the saved state does not know these devices."""
    nvdimm: Nvdimm | None = None
    disks: list[Path] = field(default_factory=list)  # vdb and on; raw
    drives: dict[str, Path] = field(default_factory=dict)  # by serial number: SCSI disks, to be pulled and put back
    forwards: list[str] = field(default_factory=list)  # ADDRESS:PORT of this machine to the same port of the guest
    log: Path | None = None  # what the guest writes to ttyS1, over all its lives
    arguments: tuple[str, ...] = ()  # more of the kernel's

    def options(self) -> list[str]:
        argv = self.nvdimm.options() if self.nvdimm else []
        for number, disk in enumerate(self.disks):
            argv += ["-drive", f"if=none,id=disk{number},file={disk},format=raw", "-device", f"virtio-blk-pci,drive=disk{number}"]
        if self.drives:
            argv += ["-device", "virtio-scsi-pci,id=scsi"]
        for serial, file in self.drives.items():
            device = ",".join(f"{name}={value}" for name, value in scsi_disk(serial).items())
            argv += ["-blockdev", f"driver=file,node-name={serial},filename={file}", "-device", device]
        if self.log:
            argv += ["-chardev", f"file,id=log,path={self.log},append=on", "-serial", "chardev:log"]
        return argv


def scsi_disk(serial: str) -> dict[str, str]:
    return {"driver": "scsi-hd", "drive": serial, "serial": serial, "id": serial, "bus": "scsi.0"}


def emulator_version() -> str:
    return run("qemu-system-x86_64", "--version").splitlines()[0]


def command(image: Image, folder: Path, incoming: Path | None = None, hardware: Hardware | None = None) -> list[str]:
    """`folder` gets the console log and the sockets of agent and monitor."""
    forwards = "".join(f",hostfwd=tcp:{place}-:{place.rpartition(':')[2]}" for place in hardware.forwards) if hardware else ""
    argv = [
        tool("qemu-system-x86_64"), "-nodefaults", "-no-user-config", "-display", "none", "-M", "q35",
        # One thread for both CPUs: multi-threaded TCG of QEMU 7.2 breaks some kernels at random.
        "-accel", "tcg,thread=single,tb-size=256", "-cpu", "max", "-smp", "2", "-m", f"{MEMORY_MIB}M",
        "-kernel", str(image.kernel), "-initrd", str(image.initramfs), "-append", " ".join([KERNEL_ARGUMENTS, *(hardware.arguments if hardware else ())]),
        "-netdev", f"user,id=net0,ipv4=on,ipv6=on{forwards}", "-device", "virtio-net-pci,netdev=net0,romfile=",
        "-device", "virtio-rng-pci",
        "-drive", f"if=none,id=root,file={image.root},format=raw,readonly=on,file.locking=off",
        "-device", "virtio-blk-pci,drive=root",
        "-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,path={folder}/agent,server=on,wait=off",
        "-device", "virtserialport,chardev=agent,name=agent",
        "-serial", f"file:{folder}/console", "-qmp", f"unix:{folder}/monitor,server=on,wait=off", "-no-reboot",
    ]
    if hardware:
        argv += hardware.options()
    if incoming is not None:
        argv += ["-incoming", f"exec:cat {incoming}"]
    return argv
