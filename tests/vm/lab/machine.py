"""The QEMU command line of a guest. A saved state fits only the command line it was saved under."""

from dataclasses import dataclass
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


def emulator_version() -> str:
    return run("qemu-system-x86_64", "--version").splitlines()[0]


def command(image: Image, folder: Path, incoming: Path | None = None) -> list[str]:
    """`folder` gets the console log and the sockets of agent and monitor."""
    argv = [
        tool("qemu-system-x86_64"), "-nodefaults", "-no-user-config", "-display", "none", "-M", "q35",
        # One thread for both CPUs: multi-threaded TCG of QEMU 7.2 breaks some kernels at random.
        "-accel", "tcg,thread=single,tb-size=256", "-cpu", "max", "-smp", "2", "-m", f"{MEMORY_MIB}M",
        "-kernel", str(image.kernel), "-initrd", str(image.initramfs), "-append", KERNEL_ARGUMENTS,
        "-netdev", "user,id=net0,ipv4=on,ipv6=on", "-device", "virtio-net-pci,netdev=net0,romfile=",
        "-device", "virtio-rng-pci",
        "-drive", f"if=none,id=root,file={image.root},format=raw,readonly=on,file.locking=off",
        "-device", "virtio-blk-pci,drive=root",
        "-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,path={folder}/agent,server=on,wait=off",
        "-device", "virtserialport,chardev=agent,name=agent",
        "-serial", f"file:{folder}/console", "-qmp", f"unix:{folder}/monitor,server=on,wait=off", "-no-reboot",
    ]
    if incoming is not None:
        argv += ["-incoming", f"exec:cat {incoming}"]
    return argv
