"""The pool's disks in the target's guest: pulled and put back under load, mixed up between boots, replaced by a stranger."""

import hashlib

from lab.guest_target import GuestTarget
from lab.host import Host, fio_command, fio_result
from lab.lab import Lab
from lab.pool_disk import LINKS, FlakyMembers, LogicalVolume, MemberDisks, MirroredDisks, SharedDisk
from lab.target import MIB
from scenarios.outages import await_progress, moved_sectors, require_running
from scenarios.persistent_memory import CACHE_SHARE_MIB, WAIT_TIMEOUT_S, await_holds, serve_small_cache, state_of, writes

VOLUME_MIB = 40
# Of the volume: where the second of the two disks begins.
SECOND_AT_MIB = MemberDisks.SIZE_MIB - MemberDisks.LABEL_MIB


def disk_pulled(lab: Lab) -> None:
    """One of a pool's two disks is pulled in the middle of verified writes to it: they go on in the cache. A stranger in
    its place is refused, and not touched; the disk itself is taken as it comes, under another name of the kernel's."""
    target, disks, host = _use_disks(lab)
    device = host.device(1)
    host.fio(device, *writes(0, 4))
    target.await_written_back()
    second = writes(SECOND_AT_MIB, 6)
    load = host.start(fio_command(device, *second, "--do_verify=0"))
    await_progress(lambda: moved_sectors(host), lambda: require_running(load))
    disks.pull("DISK-B")
    fio_result(load.succeed(WAIT_TIMEOUT_S))
    await_holds(lab, target, lambda: state_of(target) == "degraded", target.check)

    before = _stranger(disks)
    disks.links["second"] = "STRANGER"
    disks.link()
    await_holds(lab, target, lambda: f"{LINKS}/second" in target.status() and "no label" in target.status(), target.check)
    lab.require(_stranger(disks) == before, "the stranger was written to")
    lab.require(state_of(target) == "degraded", target.status())

    disks.links["second"] = "DISK-B"
    disks.put_back("DISK-B")
    await_holds(lab, target, lambda: state_of(target) == "online", target.check)
    target.detach("data")  # what is read now is on the disks
    for part in (writes(0, 4), second):
        host.fio(device, *part, "--verify_only")
    host.disconnect()


def disks_mixed_up(lab: Lab) -> None:
    """Power fails. Each disk is found where the other was: the pool is what it was. A stranger instead of one: nothing is
    served, and the message names who is missing; with the disk everything returns by itself."""
    target, disks, host = _use_disks(lab)
    device = host.device(1)
    both = writes(SECOND_AT_MIB - 4, 8)
    host.fio(device, *both)
    target.await_written_back()
    host.disconnect()

    target.kill()
    disks.links = {"first": "DISK-B", "second": "DISK-A"}
    target.start()
    lab.require(state_of(target) == "online", target.status())
    host.connect("-i", "2")
    host.fio(host.device(1), *both, "--verify_only")
    host.disconnect()

    target.kill()
    before = _stranger(disks)
    disks.links = {"first": "DISK-A", "second": "STRANGER"}
    target.start()
    shown = target.status()
    lab.require(state_of(target) == "late" and "no label" in shown and "STRANGER" in shown, shown)
    lab.require(_stranger(disks) == before, "the stranger was written to")
    disks.links["second"] = "DISK-B"
    disks.link()
    await_holds(lab, target, lambda: state_of(target) == "online", target.check)
    host.connect("-i", "2")
    host.fio(host.device(1), *both, "--verify_only")
    host.disconnect()


def flaky_member(lab: Lab) -> None:
    """A member that works for two seconds and fails for two, and then one that takes a quarter of a second for every request: verified
    writes over both members go on all the while, and all of it is there."""
    target = lab.use_guest_target("devdax", FlakyMembers)
    disks = target.disk
    host, device = serve_small_cache(lab, target, VOLUME_MIB)
    flaky, late = writes(SECOND_AT_MIB - 4, 10), writes(0, VOLUME_MIB)
    disks.fail_every(2, 2)
    load = host.start(fio_command(device, *flaky, "--do_verify=0"))
    await_holds(lab, target, lambda: state_of(target) == "degraded", target.check)
    fio_result(load.succeed(WAIT_TIMEOUT_S))
    disks.work()
    await_holds(lab, target, lambda: state_of(target) == "online", target.check)
    target.await_written_back()
    host.fio(device, *flaky, "--verify_only")

    disks.delay(250)
    load = host.start(fio_command(device, *late, "--do_verify=0"))
    fio_result(load.succeed(WAIT_TIMEOUT_S))
    lab.require(state_of(target) == "online", target.status())
    disks.work()
    target.detach("data")  # what is read now is on the disks
    host.fio(device, *late, "--verify_only")
    host.disconnect()


def file_system_full(lab: Lab) -> None:
    """Others fill the file system below a thin pool, its reserve too, in the middle of verified writes. What was answered stays; then the
    host is told that there is no space, and once there is some again everything goes on by itself."""
    target = lab.use_guest_target("devdax", SharedDisk)
    host, device = serve_small_cache(lab, target, 2 * SharedDisk.SIZE_MIB)
    lab.allowed_complaints += "|critical space allocation error|dev dm-0|I/O Cmd"
    before = writes(0, 8)
    host.fio(device, *before)
    target.disk.fill()
    await_holds(lab, target, lambda: "make room" in target.log(), target.check)
    host.run("head -c 65536 /dev/urandom > /run/piece")
    # One after the other, so that it is known which were answered.
    answered = int(host.run(
        f"for i in $(seq 0 {4 * 16 * CACHE_SHARE_MIB}); do dd if=/run/piece of={device} bs=64k seek=$((512 + i)) count=1 oflag=direct "
        "status=none 2>/run/refused || break; done; echo $i"))
    lab.require(answered < 4 * 16 * CACHE_SHARE_MIB, "all of it was taken")
    lab.require("No space left" in host.run("cat /run/refused"), host.run("cat /run/refused"))
    host.fio(device, *before, "--verify_only")

    target.disk.free()
    host.await_true(f"dd if=/run/piece of={device} bs=64k seek={512 + answered} count=1 oflag=direct status=none")
    await_holds(lab, target, lambda: state_of(target) == "online", target.check)
    target.await_written_back()
    target.detach("data")
    host.fio(device, *before, "--verify_only")
    host.run(f"for i in $(seq 0 {answered}); do dd if={device} bs=64k skip=$((512 + i)) count=1 iflag=direct status=none | cmp - /run/piece "
             "|| exit 1; done")
    host.disconnect()


def raid_leg_pulled(lab: Lab) -> None:
    """One leg of the md RAID-1 below the pool is pulled under load, put back, then the other one: the pool notices nothing."""
    target = lab.use_guest_target("devdax", MirroredDisks)
    disks = target.disk
    host, device = serve_small_cache(lab, target)
    first, second = writes(0, 8), writes(8, 8)
    load = host.start(fio_command(device, *first, "--do_verify=0"))
    await_progress(lambda: moved_sectors(host), lambda: require_running(load))
    disks.pull("LEG-B")
    fio_result(load.succeed(WAIT_TIMEOUT_S))
    target.await_written_back()
    disks.await_legs("U_")
    disks.put_back("LEG-B")
    disks.add_again("second")
    disks.await_legs("UU")

    host.fio(device, *second)
    target.await_written_back()
    disks.pull("LEG-A")
    target.detach("data")  # what is read now is on the leg that is left
    for part in (first, second):
        host.fio(device, *part, "--verify_only")
    disks.await_legs("_U")
    lab.require(state_of(target) == "online" and "degraded" not in target.log(), target.log())
    host.disconnect()


def logical_volume_grown(lab: Lab) -> None:
    """The logical volume below a directory, which is too small for a larger volume, is grown under load; then it is not."""
    target = lab.use_guest_target("devdax", LogicalVolume)
    host, device = serve_small_cache(lab, target, 48)
    lab.require("free" in target.refusal_to_grow("data", 112 * MIB), "there is room already")
    load = host.start(fio_command(device, *writes(0, 16), "--do_verify=0"))
    await_progress(lambda: moved_sectors(host), lambda: require_running(load))
    target.disk.grow()
    target.grow("data", 112 * MIB)
    fio_result(load.succeed(WAIT_TIMEOUT_S))
    host.await_true(f"[ $(blockdev --getsize64 {device}) = {112 * MIB} ]")
    host.fio(device, *writes(96, 16))
    target.detach("data")
    for part in (writes(0, 16), writes(96, 16)):
        host.fio(device, *part, "--verify_only")
    host.disconnect()


def _use_disks(lab: Lab) -> tuple[GuestTarget, MemberDisks, Host]:
    """A volume on both disks, and a host that is connected."""
    target = lab.use_guest_target("devdax", MemberDisks)
    host, _ = serve_small_cache(lab, target, VOLUME_MIB)
    return target, target.disk, host


def _stranger(disks: MemberDisks) -> str:
    return hashlib.sha256(disks.drives["STRANGER"].read_bytes()).hexdigest()
