"""A stock Debian kernel: the package behind the metapackage, its ELF image and the modules a guest wants."""

import lzma
import re
import shutil
import struct
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path

from lab.errors import CannotRun
from lab.packages import Packages
from lab.shell import run, tool

METAPACKAGE = "linux-image-amd64"
# What the first stage needs to reach the root image, and everything a scenario uses.
STAGE1_MODULES = ("virtio_pci", "virtio_blk", "virtio_console", "ext4", "overlay", "crc32c_generic")
MODULES = (*STAGE1_MODULES, "virtio_net", "virtio_rng", "nvme_tcp", "xfs", "loop", "crc32c_intel", "crct10dif_pclmul",
           "nfit", "nd_pmem", "dax_pmem", "device_dax", "dm_mod", "dm_flakey", "dm_delay", "virtio_scsi", "sd_mod", "raid1", "iscsi_tcp", "sg",
           "scsi_dh_alua", "dm_multipath", "dm_round_robin", "dm_service_time",
           "tls", "gcm", "ctr", "ghash_generic", "aesni_intel", "dh_generic", "hmac", "sha256_generic", "sha512_generic")


@dataclass(frozen=True)
class Kernel:
    package: str
    release: str  # what uname -r says
    version: str  # of the Debian package
    image: Path   # ELF: booted through PVH, which spares the guest its decompressor
    modules: Path  # a tree with lib/modules/RELEASE, uncompressed, closed under dependency

    def at_least(self, major: int, minor: int) -> bool:
        return tuple(map(int, self.release.split(".")[:2])) >= (major, minor)


def build(packages: Packages, folder: Path) -> Kernel:
    """Fetches the suite's current kernel and lays out what a guest boots."""
    names = _binary_packages(packages)
    unpacked = folder / "unpacked"
    shutil.rmtree(folder, ignore_errors=True)
    for name in names:
        unpacked.mkdir(parents=True, exist_ok=True)
        run("dpkg-deb", "-x", packages.download(name), unpacked, timeout=1800)
    # Later suites put it beside its modules.
    images = sorted([*unpacked.glob("boot/vmlinuz-*"), *unpacked.glob("usr/lib/modules/*/vmlinuz")])
    if len(images) != 1:
        raise CannotRun(f"expected one kernel in {names}, found {images}")
    release = images[0].parent.name if images[0].name == "vmlinuz" else images[0].name.removeprefix("vmlinuz-")
    (folder / "vmlinux").write_bytes(elf_of(images[0].read_bytes()))
    _copy_modules(unpacked, release, folder / "modules")
    shutil.rmtree(unpacked)
    return Kernel(names[0], release, packages.version(names[0]), folder / "vmlinux", folder / "modules")


def _binary_packages(packages: Packages) -> list[str]:
    """The metapackage's kernel, and its parts where a suite splits image and modules."""
    names, queue = [], [METAPACKAGE]
    while queue:
        name = queue.pop(0)
        if name != METAPACKAGE:
            names.append(name)
        queue += [other for other in packages.depends(name)
                  if re.fullmatch(r"linux-(image|binary|modules|base)-\d.*", other) and other not in names]
    if not names:
        raise CannotRun(f"{METAPACKAGE} of {packages.suite} names no kernel")
    return names


def elf_of(bzimage: bytes) -> bytes:
    """The uncompressed ELF inside a bzImage (offsets: the kernel's x86 boot protocol)."""
    setup_sectors = bzimage[0x1F1] or 4
    offset, length = struct.unpack_from("<II", bzimage, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    payload = bzimage[start:start + length]
    if payload[:6] == b"\xfd7zXZ\0":
        elf = lzma.LZMADecompressor().decompress(payload)
    elif payload[:4] == b"\x28\xb5\x2f\xfd":
        # The last four bytes are the uncompressed size and no part of the frame.
        elf = subprocess.run([tool("zstd"), "-dqc"], input=payload[:-4], capture_output=True, check=True).stdout
    elif payload[:2] == b"\x1f\x8b":
        elf = zlib.decompressobj(31).decompress(payload)
    else:
        raise CannotRun(f"kernel compressed in an unknown way: {payload[:6].hex()}")
    if elf[:4] != b"\x7fELF":
        raise CannotRun("no ELF image inside the kernel package")
    return elf


def _copy_modules(unpacked: Path, release: str, target: Path) -> None:
    roots = [path for path in (unpacked / "lib/modules", unpacked / "usr/lib/modules") if path.is_dir()]
    source = roots[0] / release
    base = roots[0].parent.parent
    run("depmod", "-b", base, release)
    dependencies = {}
    for line in (source / "modules.dep").read_text().splitlines():
        name, _, needs = line.partition(":")
        dependencies[name] = needs.split()
    by_name = {re.sub(r"\.ko(\.\w+)?$", "", Path(path).name).replace("-", "_"): path for path in dependencies}
    destination = target / "lib/modules" / release
    for module in MODULES:
        if module not in by_name:
            continue  # built in, or renamed in a later kernel: the guest says so when it cannot load it
        for path in (by_name[module], *dependencies[by_name[module]]):
            plain = destination / re.sub(r"\.(xz|zst|gz)$", "", path)
            if plain.exists():
                continue
            plain.parent.mkdir(parents=True, exist_ok=True)
            data = (source / path).read_bytes()
            plain.write_bytes(lzma.decompress(data) if path.endswith(".xz") else data)
    for name in ("modules.builtin", "modules.order", "modules.builtin.modinfo"):
        if (source / name).exists():
            shutil.copy(source / name, destination / name)
    run("depmod", "-b", target, release)


def closure(modules: Path, release: str, names: tuple[str, ...]) -> list[str]:
    """Paths under lib/modules/RELEASE of the named modules and their needs, in loading order."""
    order: list[str] = []
    for line in (modules / "lib/modules" / release / "modules.dep").read_text().splitlines():
        name, _, needs = line.partition(":")
        if Path(name).stem.replace("-", "_") in names:
            order += [path for path in (*reversed(needs.split()), name) if path not in order]
    return order
