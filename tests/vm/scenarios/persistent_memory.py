"""The target in a guest of its own, with its cache on persistent memory: power fails, and so does the disk of its pool.

A guest that loses power loses its page cache, and with it what the pool's file system had not been told to flush. What
was stored to the NVDIMM is all in its file, flushed from the guest's CPU or not: missing flushes are not found here."""

import json
import time
from collections.abc import Callable

from lab.errors import Failed
from lab.guest_target import GuestTarget
from lab.host import Host, fio_command, fio_result
from lab.lab import Lab
from lab.pool_disk import FailingDisk
from lab.target import MIB
from scenarios.outages import EXPECTED_COMPLAINTS, await_progress, fail_under_load, moved_sectors, require_running

# Small: both ends are emulated.
PASS_MIB = 8
CACHE_SHARE_MIB = 12
WAIT_TIMEOUT_S = 600.0
# The target's guest about a disk of the pool that fails.
DISK_COMPLAINTS = r"dm-0|sd[a-z]"
# Of the page, by the target's guest; of the block, by the host.
POISON_COMPLAINTS = r"due to hardware memory corruption|nvme0c0n1: I/O Cmd\(0x2\) @ LBA 7, 1 blocks|critical medium error, dev nvme0c?0?n1, sector 56 "


def fsdax_power_cut(lab: Lab) -> None:
    """The cache in a file on a DAX file system."""
    _power_cuts(lab, "fsdax", "fsdax file", rounds=1)


def devdax_power_cut(lab: Lab) -> None:
    """The cache on a DAX device."""
    _power_cuts(lab, "devdax", "devdax", rounds=2)


def failing_pool(lab: Lab) -> None:
    """Every request to the pool's disk fails, from the middle of verified writes on: they go on as long as the cache has
    room, and then wait; when the disk works again everything goes on by itself, and all of it is there."""
    target = lab.use_guest_target("devdax", FailingDisk)
    host, device = serve_small_cache(lab, target)
    before, kept, filling = (writes(*part) for part in ((0, 4), (4, 4), (8, 16)))
    load = host.start(fio_command(device, *before, "--do_verify=0"))
    await_progress(lambda: moved_sectors(host), lambda: require_running(load))
    target.disk.fail()
    fio_result(load.succeed(WAIT_TIMEOUT_S))
    # Answered, and read, while no disk has it; of what was under way the disk may have had all.
    host.fio(device, *kept)
    await_holds(lab, target, lambda: state_of(target) == "degraded", target.check)

    load = host.start(fio_command(device, *filling))
    await_holds(lab, target, lambda: _dirty(target) > CACHE_SHARE_MIB * MIB * 3 // 4, lambda: require_running(load))
    lab.require(state_of(target) == "degraded", target.status())
    target.disk.work()
    fio_result(load.succeed(WAIT_TIMEOUT_S))
    await_holds(lab, target, lambda: state_of(target) == "online", target.check)
    target.await_written_back()
    for part in (before, kept):
        host.fio(device, *part, "--verify_only")
    lab.require(target.log().count("volume=data degraded: ") == 1, f"not once in the log:\n{target.log()}")
    _end(lab, target, host)


def failing_pool_power_cut(lab: Lab) -> None:
    """Power fails while the pool's disk does, and only the cache has what was answered; both return."""
    target = lab.use_guest_target("fsdax", FailingDisk)
    host, device = serve_small_cache(lab, target)
    once = writes(0, 8)
    target.disk.fail()
    host.fio(device, *once)
    await_holds(lab, target, lambda: state_of(target) == "degraded", target.check)
    lab.require(_dirty(target) >= 8 * MIB, target.status())
    target.kill()
    target.start()
    host.fio(device, *once, "--verify_only")
    target.await_written_back()
    _end(lab, target, host)


def poisoned_page(lab: Lab) -> None:
    """A page of the cache goes bad under a block that no disk has: a host that reads the block is told so, the others are
    undisturbed, and once it is overwritten all is well."""
    target = lab.use_guest_target("fsdax", FailingDisk)
    host, device = serve_small_cache(lab, target)
    lab.allowed_complaints += f"|{POISON_COMPLAINTS}"
    target.disk.fail()
    host.run("for i in $(seq 0 15); do yes block$i. | head -c 4096; done > /run/blocks 2>/dev/null; "
             f"dd if=/run/blocks of={device} bs=4k count=16 oflag=direct status=none")
    target.poison("block7.")
    answer = host.attempt(f"dd if={device} of=/dev/null bs=4k skip=7 count=1 iflag=direct status=none")
    lab.require(answer.code != 0 and "error reading" in answer.output, f"a block on a bad page was read: {answer}")
    # The cache's places are smaller than pages: a neighbour may lie on the same one.
    for first, count in ((0, 6), (9, 7)):
        host.run(f"dd if={device} bs=4k skip={first} count={count} iflag=direct status=none "
                 f"| cmp - <(dd if=/run/blocks bs=4k skip={first} count={count} status=none)")

    target.disk.work()
    host.run(f"dd if=/run/blocks of={device} bs=4k skip=6 seek=6 count=3 oflag=direct status=none")
    host.run(f"dd if={device} bs=4k count=16 iflag=direct status=none | cmp - /run/blocks")
    await_holds(lab, target, lambda: state_of(target) == "online", target.check)
    target.await_written_back()


def _power_cuts(lab: Lab, form: str, medium: str, rounds: int) -> None:
    target = lab.use_guest_target(form)
    lab.serve((1, "data", rounds * PASS_MIB * MIB, 4096))
    _require_media(lab, target, f"cache line ({medium})")
    # From the first cut on the platform says that it saves the CPU's caches, too.
    target.config["cache_devices"]["front"]["require"] = "byte"
    target.nvdimm.saves_cpu_caches = True
    host = fail_under_load(lab, rounds, PASS_MIB, fail=target.kill, restore=target.start, options=["-g", "-G"])
    _require_media(lab, target, f"byte ({medium})")
    target.await_written_back()
    _end(lab, target, host)


def _require_media(lab: Lab, target: GuestTarget, expected: str) -> None:
    """As detected, shown to people and to programs; and what it means for the volume."""
    shown = target.status_list("caches")[0]["media"]
    lab.require(shown == expected, f"the cache is on \"{shown}\", expected \"{expected}\"")
    lab.require(f'media="{expected}"' in target.log(), f"not in the log: {expected}\n{target.log()}")
    lab.require(target.status_list("volumes")[0]["durable"], f"not durable:\n{target.status()}")


def serve_small_cache(lab: Lab, target: GuestTarget, volume_mib: int = 2 * CACHE_SHARE_MIB) -> tuple[Host, str]:
    """A volume larger than what the cache keeps of it; the host's device."""
    lab.allowed_complaints = f"{EXPECTED_COMPLAINTS}|{DISK_COMPLAINTS}"
    # Guaranteed: to a volume whose disk fails nothing is lent.
    target.cache_options["guaranteed"] = target.cache_options["maximum"] = f"{CACHE_SHARE_MIB}MiB"
    lab.serve((1, "data", volume_mib * MIB, 4096))
    host = lab.host()
    host.connect("-i", "2", "-g", "-G")
    return host, host.device(1)


def writes(offset_mib: int, size_mib: int) -> tuple[str, ...]:
    return "--rw=randwrite", "--bs=16k", f"--offset={offset_mib}M", f"--size={size_mib}M", "--iodepth=8"


def state_of(target: GuestTarget) -> str:
    return target.status_list("volumes")[0]["state"]


def _dirty(target: GuestTarget) -> int:
    return target.status_list("caches")[0]["dirty_bytes"]


def await_holds(lab: Lab, target: GuestTarget, holds: Callable[[], bool], check: Callable[[], None]) -> None:
    deadline = time.monotonic() + WAIT_TIMEOUT_S
    while not holds():
        check()
        lab.require(time.monotonic() < deadline, f"waited {WAIT_TIMEOUT_S:.0f} s in vain\n{target.status()}")
        time.sleep(0.2)


def _end(lab: Lab, target: GuestTarget, host: Host) -> None:
    """The cache that is left behind is without a fault, also for the tool that looks at it offline."""
    host.disconnect()
    guarantee = target.status_list("caches")[0]["media"]
    target.stop()
    done = target.execute("forebay-media", "check", "--json", str(target.cache))
    try:
        lab.require(done.code == 0 and json.loads(done.output)["device"]["guarantee"] == guarantee, done.output)
    except (ValueError, KeyError) as error:
        raise Failed(f"forebay-media check: {done.output}") from error
