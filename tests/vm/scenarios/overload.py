"""The pool answers nothing while a host writes more than the cache holds: it waits, and no application sees an error."""

import time

from lab.errors import Failed
from lab.host import fio_command, fio_result
from lab.lab import Lab
from lab.namespace import SECOND_ADDRESS
from lab.target import CACHE_MIB, MIB
from scenarios.outages import PASS_TIMEOUT_S, Passes, await_progress, moved_sectors, require_running

VOLUME_MIB = 3 * CACHE_MIB
STEP_TIMEOUT_S = 120


def cache_full(lab: Lab) -> None:
    """Twenty seconds without a disk, in shortened times: every step of the ladder."""
    _cache_full(lab, {"hold": "2s", "retries": 2, "inaccessible_after": "6s", "recovery": "1s"}, 20)


def cache_full_three_minutes(lab: Lab) -> None:
    """Three minutes without a disk, in the times that a volume has by itself."""
    _cache_full(lab, {}, 180)


def path_inaccessible(lab: Lab) -> None:
    """Two addresses, one volume: each path in turn is made inaccessible under load, the other carries on, and it is used again."""
    lab.target.add_listener("io2", SECOND_ADDRESS)
    lab.serve((1, "data", 64 * MIB, 4096))
    host = lab.host()
    controllers = {"io": host.connect("-i", "2"), "io2": host.connect("-i", "2", address=SECOND_ADDRESS)}
    device = host.device(1)
    host.run("echo round-robin | tee /sys/class/nvme-subsystem/nvme-subsys*/iopolicy")
    load = Passes(host, device)
    for path, controller in controllers.items():
        of_path = f"/sys/class/nvme/{controller}/nvme*c*n*"
        await_progress(lambda: moved_sectors(host, f"{of_path}/stat"), load.check)
        lab.target.set_access(path, "inaccessible")
        host.await_true(f"grep -qx inaccessible {of_path}/ana_state", STEP_TIMEOUT_S)
        still = moved_sectors(host, f"{of_path}/stat")
        await_progress(lambda: moved_sectors(host), load.check)
        lab.require(moved_sectors(host, f"{of_path}/stat") == still, f"{path} is used although it is inaccessible")
        lab.require(host.attribute(controller, "state") == "live", "the controller of the path was given up")
        lab.target.set_access(path, "optimized")
        host.await_true(f"grep -qx optimized {of_path}/ana_state", STEP_TIMEOUT_S)
    load.finish()


def _cache_full(lab: Lab, times: dict, seconds: float) -> None:
    target = lab.target
    hung = target.hang_disks_by("hung")
    target.create_pool()
    target.create_cache()
    target.add_volume(1, "data", VOLUME_MIB * MIB, 4096)
    if times:
        target.config["volumes"]["data"]["overload"] = times
    target.start()
    host = lab.host()
    controller = host.connect("-i", "2")
    device = host.device(1)
    writes = ("--rw=randwrite", "--bs=16k", f"--size={VOLUME_MIB}M", "--iodepth=32")
    load = host.start(fio_command(device, *writes))
    await_progress(lambda: moved_sectors(host), lambda: require_running(load))
    hung.touch()
    since = time.monotonic()
    _await(lab, lambda overload: overload["closed"], lambda: require_running(load))
    while time.monotonic() < since + seconds:
        require_running(load)
        lab.require(host.attribute(controller, "state") == "live", "the host has given its controller up")
        time.sleep(1)
    hung.unlink()
    _await(lab, lambda overload: not overload["closed"], lambda: None)
    fio_result(load.succeed(PASS_TIMEOUT_S))
    host.run("echo 3 > /proc/sys/vm/drop_caches")
    host.fio(device, *writes, "--verify_only", timeout=PASS_TIMEOUT_S)
    overload = target.status_list("volumes")[0]["overload"]
    lab.require(overload["held_total"] > 0 and overload["interrupted_total"] > 0, f"steps were left out: {overload}")
    lab.note = f"held {overload['held_total']}, sent back {overload['interrupted_total']}, inaccessible {overload['closings_total']} times"


def _await(lab: Lab, holds, check) -> None:
    deadline = time.monotonic() + STEP_TIMEOUT_S
    while not holds(lab.target.status_list("volumes")[0]["overload"]):
        check()
        if time.monotonic() > deadline:
            raise Failed(f"it stays as it is:\n{lab.target.status()}")
        time.sleep(0.2)
