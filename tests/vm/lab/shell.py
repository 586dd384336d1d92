"""Commands on this machine."""

import shutil
import subprocess
from pathlib import Path

from lab.errors import CannotRun

# Where each tool comes from, for the message when it is not there.
PACKAGE_OF = {"qemu-system-x86_64": "qemu-system-x86", "tshark": "tshark", "tcpdump": "tcpdump", "mke2fs": "e2fsprogs",
              "depmod": "kmod", "make": "make", "gcc": "gcc", "tar": "tar", "xz": "xz-utils", "strip": "binutils",
               "iscsi-test-cu": "libiscsi-bin", "tgtd": "tgt", "tgtadm": "tgt", "zstd": "zstd", "ip": "iproute2", "unshare": "util-linux", "dpkg-deb": "dpkg"}


def tool(name: str) -> str:
    path = shutil.which(name, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    if path is None:
        raise CannotRun(f"{name} is not installed: apt-get install {PACKAGE_OF.get(name, name)}")
    return path


def run(*command: object, timeout: float = 600, folder: Path | None = None) -> str:
    """The standard output of a command that must succeed."""
    argv = [tool(str(command[0])), *map(str, command[1:])]
    done = subprocess.run(argv, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False)
    if done.returncode != 0:
        tail = (done.stdout + done.stderr).decode(errors="replace")[-2000:]
        raise CannotRun(f"{' '.join(argv)}: exit code {done.returncode}\n{tail}")
    return done.stdout.decode(errors="replace")
