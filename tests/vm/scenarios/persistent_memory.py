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
from scenarios.outages import await_progress, fail_under_load, moved_sectors, require_running

# Small: both ends are emulated.
PASS_MIB = 8
WAIT_TIMEOUT_S = 180.0


def fsdax_power_cut(lab: Lab) -> None:
    """The cache in a file on a DAX file system."""
    _power_cuts(lab, "fsdax", "fsdax file", rounds=1)


def devdax_power_cut(lab: Lab) -> None:
    """The cache on a DAX device."""
    _power_cuts(lab, "devdax", "devdax", rounds=2)


def failing_pool(lab: Lab) -> None:
    """Every request to the pool's disk fails, in the middle of verified writes: they go on as long as the cache has room,
    and then wait; when the disk works again everything goes on by itself, and is there."""
    target = lab.use_guest_target("devdax", FailingDisk)
    host, device = _serve_small_cache(lab, target)
    # More than the cache takes.
    load = host.start(fio_command(device, "--rw=randwrite", "--bs=16k", "--size=24M", "--iodepth=8"))
    await_progress(lambda: moved_sectors(host), lambda: require_running(load))

    target.disk.fail()
    _await(lab, target, lambda: _state(target) == "degraded", lambda: require_running(load))
    # Answered, and readable, while no disk has it.
    _write_and_compare(host, device)
    await_progress(lambda: moved_sectors(host), lambda: require_running(load))
    _await(lab, target, lambda: _dirty(target) > CACHE_SHARE_MIB * MIB // 2, lambda: require_running(load))
    lab.require(_state(target) == "degraded", target.status())

    target.disk.work()
    fio_result(load.succeed(900))
    target.await_written_back()
    _await(lab, target, lambda: _state(target) == "online", target.check)
    lab.require("fails" in target.log(), "the log has not a word of the pool's failure")
    _compare(host, device)
    _end(lab, target, host)


def lost_pool(lab: Lab) -> None:
    """The same with a file system that shuts itself down, which takes a stop of the target: it ends although much of what
    it has acknowledged cannot be written back, and after the mount nothing is missing."""
    target = lab.use_guest_target("fsdax", FailingDisk)
    host, device = _serve_small_cache(lab, target)
    target.disk.fail()
    _write_and_compare(host, device)
    _await(lab, target, lambda: _state(target) == "degraded", target.check)
    target.kill()
    target.start()
    _compare(host, device)
    target.await_written_back()
    _end(lab, target, host)


CACHE_SHARE_MIB = 8


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


def _serve_small_cache(lab: Lab, target: GuestTarget) -> tuple[Host, str]:
    target.cache_options["maximum"] = f"{CACHE_SHARE_MIB}MiB"
    lab.serve((1, "data", 32 * MIB, 4096))
    host = lab.host()
    host.connect("-i", "2", "-g", "-G")
    return host, host.device(1)


def _write_and_compare(host: Host, device: str) -> None:
    """A megabyte at the end of the volume."""
    host.run("yes acknowledged | head -c 1048576 > /run/acknowledged && "
             f"dd if=/run/acknowledged of={device} bs=64k seek=496 oflag=direct status=none")
    _compare(host, device)


def _compare(host: Host, device: str) -> None:
    host.run(f"dd if={device} bs=64k skip=496 count=16 iflag=direct status=none | cmp - /run/acknowledged")


def _state(target: GuestTarget) -> str:
    return target.status_list("volumes")[0]["state"]


def _dirty(target: GuestTarget) -> int:
    return target.status_list("caches")[0]["dirty_bytes"]


def _await(lab: Lab, target: GuestTarget, holds: Callable[[], bool], check: Callable[[], None]) -> None:
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
