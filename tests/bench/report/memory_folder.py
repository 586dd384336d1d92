"""The folder in memory that stands for persistent memory: in pages of 2 MiB, as devdax and fsdax map theirs, where it can be had."""
import contextlib
import os
import subprocess
import sys
import tempfile

OWN_MOUNTS = "FOREBAY_BENCH_OWN_MOUNTS"
SMALL_PAGES = "/dev/shm"


def enter_own_mounts():
    """Begins this program again where its mounts are nobody else's, and end with it however it ends."""
    if OWN_MOUNTS in os.environ or os.geteuid() != 0 or not has_own_mounts():
        return
    os.execvpe("unshare", ["unshare", "--mount", sys.executable, *sys.argv], {**os.environ, OWN_MOUNTS: "1"})


def has_own_mounts():
    try:
        return subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


@contextlib.contextmanager
def folder(wished):
    """Its path, and what it is in words. `wished`: a directory that the operator has named, or None."""
    with tempfile.TemporaryDirectory(prefix="forebay-bench-", dir=wished or SMALL_PAGES) as path:
        if wished is not None:
            yield path, f"in {wished}"
        elif OWN_MOUNTS in os.environ and mount_huge(path):
            try:
                yield path, "in memory, in pages of 2 MiB"
            finally:
                subprocess.run(["umount", path], check=True)
        else:
            yield path, "in memory, in pages of 4 KiB (2 MiB need root and a kernel that has them)"


def mount_huge(path):
    return subprocess.run(["mount", "-t", "tmpfs", "-o", "huge=always,mode=0700", "forebay-bench", path],
                          stderr=subprocess.DEVNULL).returncode == 0
