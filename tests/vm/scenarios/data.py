"""Blocks go in and come back: sizes, alignment, zeroing, discarding, comparing, flushing."""

import json
import os
import re
from pathlib import Path

from lab.host import Host
from lab.lab import Lab
from lab.shell import run
from lab.target import MIB

SIZE = 64 * MIB


def kept_whole(folder: Path) -> int:
    """Bytes, up to 4096, that the disk below `folder` keeps together at a power failure; 0 where nothing tells."""
    if run("stat", "-f", "-c", "%T", folder).strip() not in ("ext2/ext3", "xfs"):
        return 0
    device = folder.stat().st_dev
    entry = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    queue = entry / "queue" if (entry / "queue").is_dir() else entry.parent / "queue"
    if (entry / "alignment_offset").read_text().strip() != "0":
        return 0
    return min(4096, os.statvfs(folder).f_bsize, int((queue / "physical_block_size").read_text()))


def block_sizes(lab: Lab) -> None:
    """512- and 4096-byte volumes side by side, both with a physical block of 4096 where the disk below has one."""
    lab.serve((1, "small", SIZE, 512), (2, "large", SIZE, 4096, True))
    physical = {512: max(512, kept_whole(lab.target.pool)), 4096: 4096}
    host = lab.host()
    host.connect("-i", "2")
    for nsid, block in ((1, 512), (2, 4096)):
        device = host.device(nsid)
        shown = json.loads(host.run(f"lsblk -b -J -o NAME,LOG-SEC,PHY-SEC,SIZE {device}"))["blockdevices"][0]
        lab.require((int(shown["log-sec"]), int(shown["phy-sec"]), int(shown["size"])) == (block, physical[block], SIZE),
                    f"{shown}, expected {block} on {physical[block]}")
        host.fio(device, "--rw=randwrite", f"--bs={block}", "--size=512k", "--iodepth=16")
        host.fio(device, "--rw=randwrite", "--bsrange=4k-256k", "--size=8M", "--iodepth=4", "--norandommap=0")
    # A 512-byte write inside a 4096-byte piece leaves its neighbours alone.
    device = host.device(1)
    host.run(f"yes before | head -c 8192 > /run/blocks && dd if=/run/blocks of={device} bs=8192 oflag=direct status=none")
    host.run("yes after | head -c 512 | dd of=/run/blocks bs=512 seek=5 conv=notrunc status=none")
    host.run(f"dd if=/run/blocks of={device} bs=512 skip=5 seek=5 count=1 oflag=direct conv=notrunc status=none")
    host.run(f"dd if={device} bs=8192 count=1 iflag=direct status=none | cmp - /run/blocks")
    formatted_with_other_blocks(lab, host, host.device(2))


def formatted_with_other_blocks(lab: Lab, host: Host, device: str) -> None:
    """4096, 512 and 4096 again: the kernel has the new blocks when the tool returns, under the same name, and all of it is zeros."""
    name = device.removeprefix("/dev/")
    same = f"cat /sys/block/{name}/wwid /sys/block/{name}/size"
    before = host.run(same)
    for number, block in ((0, 512), (1, 4096)):
        host.run(f"yes before | head -c 65536 | dd of={device} bs=65536 seek=3 oflag=direct iflag=fullblock status=none")
        formats = host.json(f"id-ns {device}")
        lab.require([format["ds"] for format in formats["lbafs"][:2]] == [9, 12], f"{formats}")
        host.run(f"nvme format {device} --lbaf={number} --force")
        # The kernel looks again when the command has ended, or when it hears of the change.
        host.run(f"for i in $(seq 100); do [ $(cat /sys/block/{name}/queue/logical_block_size) = {block} ] && exit 0; sleep 0.1; done; "
                 f"cat /sys/block/{name}/queue/logical_block_size; exit 1")
        lab.require(host.run(same) == before, f"{device} is another disk: {host.run(same)}, before {before}")
        host.run(f"head -c 1048576 {device} | cmp - <(head -c 1048576 /dev/zero)")
        host.fio(device, "--rw=randwrite", f"--bs={block}", "--size=512k", "--iodepth=16")


def atomic_writes(lab: Lab, host: Host, name: str) -> None:
    """What a kernel that knows of it (6.11 and newer) makes of NAWUPF: a page less than 1 MiB may be as much as one bio holds for certain.
    Asked of the path: the device that native multipath puts over the paths says 0 whatever they say (6.12)."""
    path = re.sub(r"n(\d+)$", r"c*n\1", name)
    if not lab.image.at_least(6, 11):
        return
    shown = host.run(f"cat /sys/block/{path}/queue/atomic_write_unit_max_bytes").strip()
    if lab.cached:
        lab.require(int(shown) in (MIB // 2, MIB), f"writes of {shown} bytes are atomic, expected a megabyte")
    else:
        lab.require(int(shown) <= 4096, f"writes of {shown} bytes are atomic without a log")


def large_io(lab: Lab) -> None:
    """32 MiB in one direct request of the application, and the largest single commands the controller takes."""
    lab.serve((1, "data", 96 * MIB, 4096))
    host = lab.host()
    host.connect("-i", "2")
    device = host.device(1)
    name = device.removeprefix("/dev/")
    largest = int(host.read(f"/sys/block/{name}/queue/max_hw_sectors_kb"))
    lab.require(largest == 1024, f"one command carries {largest} KiB, expected 1024")
    atomic_writes(lab, host, name)
    host.run(f"echo {largest} > /sys/block/{name}/queue/max_sectors_kb")
    host.run("head -c 33554432 /dev/urandom > /tmp/data")
    for offset in (0, 1):
        # Once aligned to everything and once to the block only.
        host.run(f"dd if=/tmp/data of={device} bs=32M count=1 oflag=direct,seek_bytes seek={offset * 4096} status=none")
        host.run(f"dd if={device} bs=32M count=1 iflag=direct,skip_bytes skip={offset * 4096} status=none "
                 "| cmp - /tmp/data")


def zeroing(lab: Lab) -> None:
    """Write Zeroes and deallocation clear exactly what they name."""
    lab.serve((1, "data", SIZE, 4096), (2, "long", 96 * MIB, 512))
    host = lab.host()
    host.connect("-i", "2")
    _zero_more_than_one_command_can(lab, host, host.device(2))
    device = host.device(1)
    _require_limits_of_deallocation(lab, host, device.removeprefix("/dev/"))
    _fill(host, device)
    host.run(f"blkdiscard -z -o {1 * MIB} -l {2 * MIB} {device}")
    _require_zeroes(lab, host, device, {1, 2})
    host.run(f"nvme write-zeroes {device} --start-block={3 * MIB // 4096} --block-count={MIB // 4096 - 1}")
    host.run(f"nvme write-zeroes {device} --deac --start-block={4 * MIB // 4096} --block-count={MIB // 4096 - 1}")
    _require_zeroes(lab, host, device, {1, 2, 3, 4})
    host.run(f"blkdiscard -o {5 * MIB} -l {MIB} {device}")
    # Ten ranges in one command: eight of an eighth of a MiB, two of a half.
    pieces = [(6 * MIB + at * MIB // 8, MIB // 8) for at in range(8)] + [(8 * MIB + at * MIB // 2, MIB // 2) for at in range(2)]
    slbs, blocks = (",".join(str(piece[part] // 4096) for piece in pieces) for part in (0, 1))
    host.run(f"nvme dsm {device} --ad --slbs={slbs} --blocks={blocks}")
    _require_zeroes(lab, host, device, {1, 2, 3, 4, 5, 6, 8})
    used = host.run(f"dd if=/run/pattern of={device} bs=1M seek=5 count=1 oflag=direct status=none && "
                    f"dd if={device} bs=1M skip=5 count=1 iflag=direct status=none | cmp - /run/pattern && echo same")
    lab.require("same" in used, "a discarded range cannot be used again")
    host.run(f"blkdiscard -f {device}", 300)


def _require_limits_of_deallocation(lab: Lab, host: Host, name: str) -> None:
    """A kernel that knows of it (6.17 and newer): zeros may be written by deallocating as many bytes as without, until root says no."""
    queue = f"/sys/block/{name}/queue"
    if host.attempt(f"test -e {queue}/write_zeroes_unmap_max_hw_bytes").code != 0:
        return
    zeros, hardware, unmap = (int(host.read(f"{queue}/write_zeroes_{limit}_bytes")) for limit in ("max", "unmap_max_hw", "unmap_max"))
    lab.require(hardware == unmap == zeros > 0, f"limits: {zeros}, by deallocating {hardware} and {unmap}")
    host.run(f"echo 0 > {queue}/write_zeroes_unmap_max_bytes")
    lab.require(host.read(f"{queue}/write_zeroes_unmap_max_bytes") == "0", "deallocating cannot be turned off")
    host.run(f"echo {zeros} > {queue}/write_zeroes_unmap_max_bytes")


def _zero_more_than_one_command_can(lab: Lab, host: Host, device: str) -> None:
    """80 MiB of 512-byte blocks: the kernel must cut it into commands whose block counts fit 16 bits."""
    name = device.removeprefix("/dev/")
    largest = int(host.read(f"/sys/block/{name}/queue/write_zeroes_max_bytes"))
    lab.require(0 < largest <= 65536 * 512, f"write_zeroes_max_bytes is {largest}")
    host.run(f"yes pattern | head -c {96 * MIB} | dd of={device} bs=1M iflag=fullblock oflag=direct status=none", 300)
    host.run(f"blkdiscard -z -o {8 * MIB} -l {80 * MIB} {device}", 300)
    host.run(f"dd if={device} bs=1M skip=8 count=80 iflag=direct status=none | cmp -n {80 * MIB} - /dev/zero", 300)
    for part in (0, 88):
        # Eight bytes of "pattern\n" go evenly into 1 MiB.
        host.run(f"dd if={device} bs=1M skip={part} count=8 iflag=direct status=none > /run/edge && "
                 f"yes pattern | head -c {8 * MIB} | cmp - /run/edge; code=$?; rm -f /run/edge; exit $code")


def comparing(lab: Lab) -> None:
    """Compare and Verify answer with what the data is; Flush and FUA are accepted, Flush also behind a whole device of writes."""
    lab.serve((1, "data", SIZE, 4096))
    host = lab.host()
    host.connect("-i", "2")
    device = host.device(1)
    host.run(f"yes filled | dd of={device} bs=1M count={SIZE // MIB} iflag=fullblock oflag=direct status=none && nvme flush {device} -n 1", 300)
    host.run("yes forebay | head -c 8192 > /run/same; yes other | head -c 8192 > /run/different")
    options = "--start-block=16 --block-count=1 --data-size=8192"
    host.run(f"nvme write {device} {options} --force-unit-access --data=/run/same")
    host.run(f"nvme flush {device} -n 1")
    host.run(f"nvme compare {device} {options} --data=/run/same")
    answer = host.attempt(f"nvme compare {device} {options} --data=/run/different 2>&1")
    lab.require(answer.code != 0 and "compar" in answer.output.lower(), f"compare with other data: {answer}")
    host.run(f"nvme verify {device} --start-block=0 --block-count=63")
    host.run(f"nvme read {device} {options} --data=/run/read && cmp /run/read /run/same")
    # fsync after each write of a file on the raw device.
    host.fio(device, "--rw=randwrite", "--bs=4k", "--size=1M", "--fsync=1")


def without_data(lab: Lab) -> None:
    """Copy, Verify, Write Uncorrectable, Get LBA Status and write protection: what moves no data, by the stock tools."""
    lab.allowed_complaints = r"critical medium error|I/O error, dev nvme|Unrecovered|sct 0x2 / sc 0x81|[Ii]/O Cmd|Write Protected|sc 0x20"
    lab.serve((1, "data", SIZE, 4096))
    host = lab.host()
    controller = host.connect("-i", "2")
    device = host.device(1)
    host.run(f"yes forebay | head -c {32 * 4096} > /run/pattern && dd if=/run/pattern of={device} bs=4096 oflag=direct status=none")

    # 32 blocks from 0 to 2000.
    host.run(f"nvme copy {device} --sdlba=2000 --slbs=0 --blocks=31")
    host.run(f"dd if={device} bs=4096 skip=2000 count=32 iflag=direct status=none | cmp - /run/pattern")
    host.run(f"nvme verify {device} --start-block=2000 --block-count=31")

    def lost() -> list[tuple[int, int]]:
        answer = host.run(f"nvme get-lba-status {device} --namespace-id=1 --start-lba=0 --max-dw=1023 --action=0x11 --range-len=0")
        return [(int(first, 0), int(count, 0)) for first, count in
                re.findall(r"DSLBA:\s*(0x[0-9a-fA-F]+)[,\s]+NLB:\s*(0x[0-9a-fA-F]+|\d+)", answer)]

    lab.require(lost() == [], f"nothing is lost yet: {lost()}")
    host.run(f"nvme write-uncor {device} --start-block=2003 --block-count=1")
    lab.require(lost() == [(2003, 2)], f"blocks 2003 and 2004 are lost: {lost()}")
    for block, readable in ((2002, True), (2003, False), (2004, False), (2005, True)):
        answer = host.attempt(f"dd if={device} of=/dev/null bs=4096 skip={block} count=1 iflag=direct status=none 2>&1")
        lab.require((answer.code == 0) == readable, f"reading block {block}: {answer}")
    answer = host.attempt(f"nvme verify {device} --start-block=2000 --block-count=31 2>&1")
    lab.require(answer.code != 0, f"verify over lost blocks: {answer}")
    host.run(f"dd if=/run/pattern of={device} bs=4096 seek=2003 count=2 oflag=direct status=none")
    lab.require(lost() == [], f"what is written is not lost any more: {lost()}")
    host.run(f"nvme verify {device} --start-block=2000 --block-count=31")

    # Taken back by the host here; by the operator in the end-to-end tests.
    write = f"nvme write {device} --start-block=1 --block-count=0 --data-size=4096 --data=/run/pattern 2>&1"
    host.run(f"nvme set-feature /dev/{controller} -n 1 -f 0x84 --value=1")
    lab.require(host.attempt(write).code != 0, "a write-protected namespace takes a write")
    host.run(f"nvme set-feature /dev/{controller} -n 1 -f 0x84 --value=0")
    host.run(write)
    # Sanitize is not offered; Format NVM is, but not of a volume without allow_format.
    control = host.json(f"id-ctrl /dev/{controller}")
    lab.require(control["oacs"] & 2 != 0 and control["fna"] == 8 and control["sanicap"] == 0, f"oacs {control['oacs']:x}, sanicap {control['sanicap']:x}")
    answer = host.attempt(f"nvme format {device} --lbaf=0 --force 2>&1")
    lab.require(answer.code != 0, f"format: {answer}")


def _fill(host: Host, device: str) -> None:
    host.run("yes pattern | head -c 1048576 > /run/pattern")
    host.run(f"for i in $(seq 0 9); do dd if=/run/pattern of={device} bs=1M seek=$i count=1 oflag=direct status=none "
             "|| exit 1; done")


def _require_zeroes(lab: Lab, host: Host, device: str, cleared: set[int]) -> None:
    """Of the first ten MiB exactly those in `cleared` are zero; the others hold the pattern."""
    for index in range(10):
        expected = "/dev/zero" if index in cleared else "/run/pattern"
        answer = host.attempt(f"dd if={device} bs=1M skip={index} count=1 iflag=direct status=none "
                              f"| cmp -n 1048576 - {expected}")
        lab.require(answer.code == 0, f"MiB {index} is not what {expected} holds: {answer.output}")
