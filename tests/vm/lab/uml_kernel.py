"""A User-mode Linux kernel with an NVMe/TCP host, from Debian's kernel source: Debian's own lacks the driver. It runs at
native speed without KVM, which soaks and kill loops need. Built once into the cache, for the long form only."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path

from lab.errors import CannotRun
from lab.packages import Packages
from lab.shell import run, tool

SUITE = "trixie"
METAPACKAGE = "linux-source"
ENABLED = ("NVME_CORE", "NVME_TCP", "NVME_MULTIPATH", "SCSI", "BLK_DEV_SD", "BLK_DEV_UBD", "EXT4_FS", "XFS_FS", "OVERLAY_FS",
           "TMPFS", "DEVTMPFS", "UML_NET_VECTOR", "INET", "IPV6", "CRYPTO_CRC32C", "AIO", "IO_URING", "SSL")
DISABLED = ("MODULES", "DEBUG_INFO", "DEBUG_KERNEL", "SOUND", "USB", "BTRFS_FS", "REISERFS_FS", "WLAN")


def prepare(cache: Path) -> Path:
    """The kernel's executable."""
    folder = cache / "uml"
    folder.mkdir(parents=True, exist_ok=True)
    with open(cache / "uml.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
        made_by = folder / "recipe"
        if not made_by.exists() or made_by.read_text() != recipe:
            _build(Packages(SUITE, cache / "apt" / SUITE), folder)
            made_by.write_text(recipe)
    return folder / "linux"


def _build(packages: Packages, folder: Path) -> None:
    started = time.monotonic()
    for program in ("flex", "bison", "bc", "make", "gcc", "xz"):
        tool(program)
    packages.update()
    names = [name for name in packages.depends(METAPACKAGE) if name.startswith("linux-source-")]
    if len(names) != 1:
        raise CannotRun(f"{METAPACKAGE} of {SUITE} names {names}")
    unpacked = folder / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir()
    run("dpkg-deb", "-x", packages.download(names[0]), unpacked)
    run("tar", "-xf", unpacked / "usr/src" / f"{names[0]}.tar.xz", "-C", unpacked, timeout=1800)
    source = unpacked / names[0]
    _make(source, folder, "defconfig")
    options = [part for name in ENABLED for part in ("-e", name)] + [part for name in DISABLED for part in ("-d", name)]
    subprocess.run([source / "scripts/config", "--file", source / ".config", *options], check=True)
    _make(source, folder, "olddefconfig")
    config = (source / ".config").read_text()
    missing = [name for name in ENABLED if f"CONFIG_{name}=y" not in config]
    if missing:
        raise CannotRun(f"{names[0]} does not take the options {missing}")
    _make(source, folder, f"-j{os.cpu_count() or 2}", "linux")
    run("strip", "-o", folder / "linux", source / "linux")
    shutil.rmtree(unpacked)
    print(f"User-mode Linux from {names[0]} {packages.version(names[0])} built in {time.monotonic() - started:.0f} s",
          flush=True)


def _make(source: Path, folder: Path, *targets: str) -> None:
    with open(folder / "build.log", "ab") as log:
        done = subprocess.run([tool("make"), "-C", str(source), "ARCH=um", *targets], stdout=log, stderr=log, check=False)
    if done.returncode != 0:
        tail = (folder / "build.log").read_text(errors="replace")[-2000:]
        raise CannotRun(f"building User-mode Linux failed, see {folder / 'build.log'}:\n{tail}")
