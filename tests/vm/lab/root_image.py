"""The guest's user land: Debian packages unpacked without running their scripts, as a read-only ext4 image."""

import os
import shutil
from pathlib import Path

from lab.packages import Packages
from lab.shell import run

HERE = Path(__file__).parent
PACKAGES = ("base-files", "busybox-static", "bash", "coreutils", "diffutils", "util-linux", "mount", "grep", "sed",
            "mawk", "kmod", "iproute2", "nvme-cli", "fio", "e2fsprogs", "xfsprogs", "ndctl", "dmsetup", "mdadm",
            "lvm2", "open-iscsi", "sg3-utils", "multipath-tools", "udev", "systemd", "keyutils")
# What not every suite has: the daemon that shakes hands for a kernel that speaks TLS.
PACKAGES_OF = {"trixie": ("ktls-utils",), "forky": ("ktls-utils",)}
SCRIPTS = ("start.sh", "start_uml.sh", "places.sh", "agent.sh")
DROPPED = ("usr/share/doc", "usr/share/locale", "usr/share/man", "usr/share/info", "usr/share/zoneinfo",
           "usr/share/perl", "usr/share/icu", "usr/lib/x86_64-linux-gnu/perl", "usr/share/fio")


def build(packages: Packages, modules: Path, image: Path) -> None:
    """Writes `image`; the kernel's modules come from `modules`."""
    tree = image.with_suffix(".tree")
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    archives = packages.download_closure([*PACKAGES, *PACKAGES_OF.get(packages.suite, ())])
    # base-files first: in suites with a merged /usr it brings the links the others unpack through.
    for archive in sorted(archives, key=lambda path: not path.name.startswith("base-files_")):
        run("dpkg-deb", "-x", archive, tree)
    for name in DROPPED:
        shutil.rmtree(tree / name, ignore_errors=True)
    for folder in ("dev", "proc", "sys", "run", "tmp", "mnt", "etc/nvme"):
        (tree / folder).mkdir(parents=True, exist_ok=True)
    busybox = next(path for path in (tree / "usr/bin/busybox", tree / "bin/busybox") if path.exists())
    if busybox != tree / "usr/bin/busybox":
        os.symlink("../../bin/busybox", tree / "usr/bin/busybox")
    if not (tree / "bin/sh").exists():
        os.symlink("bash", tree / "bin/sh")
    shutil.copytree(modules / "lib/modules", tree / "lib/modules", dirs_exist_ok=True)
    (tree / "forebay").mkdir()
    for script in SCRIPTS:
        shutil.copy(HERE / f"guest_{script}", tree / "forebay" / script)
        (tree / "forebay" / script).chmod(0o755)  # one is a kernel's init
    size = sum(path.lstat().st_blocks * 512 for path in tree.rglob("*"))
    image.unlink(missing_ok=True)
    run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "no_copy_xattrs", "-m", "0", "-d", tree, image,
        f"{size * 5 // 4 // 1024 // 1024 + 16}M")
    shutil.rmtree(tree)
