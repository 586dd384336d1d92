"""A file system lives on a volume: made, filled, checked, trimmed, checked again."""

import time

from lab.host import Host
from lab.lab import Lab
from lab.target import MIB

TRIM_TIMEOUT_S = 60


def ext4(lab: Lab) -> None:
    lab.target.make_thin()
    lab.serve((1, "data", 96 * MIB, 4096))
    host = lab.host()
    host.connect("-i", "2")
    device = host.device(1)
    host.run(f"mkfs.ext4 -q {device}")
    use(lab, host, device)
    host.run(f"e2fsck -f -n {device}")


def xfs(lab: Lab) -> None:
    lab.target.make_thin()
    # mkfs.xfs refuses less than 300 MiB.
    lab.serve((1, "data", 320 * MIB, 512))
    host = lab.host()
    host.connect("-i", "2")
    device = host.device(1)
    host.run(f"mkfs.xfs -q {device}")
    use(lab, host, device)
    host.run(f"xfs_repair -n {device}")


def use(lab: Lab, host: Host, device: str) -> None:
    """Fills a fresh file system, trims it and looks at it again from the medium."""
    host.run(f"mount {device} /mnt")
    host.fio("/mnt/random", "--rw=randwrite", "--bs=4k", "--size=4M", "--iodepth=8", "--fsync=64")
    host.fio("/mnt/sequential", "--rw=write", "--bs=128k", "--size=8M", "--iodepth=4")
    host.run("cp /usr/bin/fio /mnt && sync && cmp /mnt/fio /usr/bin/fio")
    # Else a cache would never bring the file's data to the pool.
    lab.target.await_written_back()
    host.run("rm /mnt/random && sync")
    before = lab.target.pool_bytes()
    trimmed = host.run("fstrim -v /mnt")
    # Of the 4 MiB of the file a file system may keep a little for itself. A cache brings it to the pool in its own time.
    deadline = time.monotonic() + TRIM_TIMEOUT_S
    while (freed := before - lab.target.pool_bytes()) < 3 * MIB and time.monotonic() < deadline:
        time.sleep(0.1)
    lab.require(freed >= 3 * MIB, f"trimming gave the pool's disk back {freed} bytes: {trimmed}")
    # Seen again from the medium, not from the page cache.
    host.run("umount /mnt && echo 3 > /proc/sys/vm/drop_caches")
    host.run(f"mount {device} /mnt && cmp /mnt/fio /usr/bin/fio && umount /mnt")
