"""The target goes away and comes back; hosts wait, return by themselves and lose nothing."""

import re
import time

from lab.errors import Failed
from lab.guest import Job, ends_of
from lab.host import Host, fio_command, fio_result
from lab.lab import Lab
from lab.namespace import SECOND_ADDRESS
from lab.shell import run as run_here
from lab.target import IO_PORT, MIB, SUBSYSTEM

# What an administrator would see in the log of a host whose target went away.
EXPECTED_COMPLAINTS = r"failed to (connect|send|receive)|timeout|invalid|unexpected|I/O error.*retry|keep.?alive"


def target_killed(lab: Lab) -> None:
    """SIGKILL in the middle of verified writes, several times; every acknowledged block is there."""
    _survives(lab, rounds=2, fail=lab.target.kill, restore=lab.target.start, options=["-g", "-G"])


def target_stopped(lab: Lab) -> None:
    """The same with an orderly stop."""
    _survives(lab, rounds=1, fail=lab.target.stop, restore=lab.target.start, options=[])


def target_silent(lab: Lab) -> None:
    """A target that neither answers nor closes: keep-alive finds out, the host reconnects."""
    _survives(lab, rounds=1, fail=lab.target.pause, restore=lab.target.resume, options=["-k", "5"])


def path_lost(lab: Lab) -> None:
    """Two addresses, one volume: a path dies under load and comes back, the other carries on."""
    lab.allowed_complaints = EXPECTED_COMPLAINTS
    lab.target.config["listeners"]["io2"] = {"protocol": "nvme-tcp", "address": SECOND_ADDRESS, "port": IO_PORT}
    lab.target.config["subsystems"][SUBSYSTEM]["listeners"].append("io2")
    lab.serve((1, "data", 64 * MIB, 4096))
    host = lab.host()
    first = host.connect("-i", "2", "-k", "5")
    second = host.connect("-i", "2", "-k", "5", address=SECOND_ADDRESS)
    lab.require(first != second, "the second path made no controller of its own")
    device = host.device(1)
    devices = [name for name in host.run("ls /sys/block").split() if re.fullmatch(r"nvme\d+n\d+", name)]
    lab.require(len(devices) == 1, f"two paths to one volume make {devices}")
    load = _start_load(host, device)
    for address, controller in ((SECOND_ADDRESS, second),):
        run_here("ip", "addr", "del", f"{address}/32", "dev", "lo")
        host.await_true(f'[ "$(cat /sys/class/nvme/{controller}/state)" != live ]', 180)
        _await_progress(host, load)
        run_here("ip", "addr", "add", f"{address}/32", "dev", "lo")
        host.await_live(controller)
    fio_result(load.succeed(900))


def _survives(lab: Lab, rounds: int, fail, restore, options: list[str]) -> None:
    lab.allowed_complaints = EXPECTED_COMPLAINTS
    lab.serve((1, "data", 64 * MIB, 4096))
    host = lab.host()
    controller = host.connect("-i", "2", *options)
    device = host.device(1)
    load = _start_load(host, device)
    for _ in range(rounds):
        _await_progress(host, load)
        fail()
        host.await_true(f'[ "$(cat /sys/class/nvme/{controller}/state)" != live ]', 180)
        restore()
        host.await_live(controller)
    fio_result(load.succeed(900))
    # And once more from the start, with nothing but what is on the medium.
    host.run("echo 3 > /proc/sys/vm/drop_caches")
    host.fio(device, "--rw=randwrite", "--bs=4k", "--size=24M", "--iodepth=8", "--verify_only")


def _start_load(host: Host, device: str):
    """Random writes that take some 30 s, then a verifying pass over all of them."""
    return host.start(fio_command(device, "--rw=randwrite", "--bs=4k", "--size=24M", "--iodepth=8", "--rate_iops=300"))


def _sectors_written(host: Host) -> int:
    """By the device or by its paths: older kernels count for the paths alone."""
    return sum(int(line.split()[6]) for line in host.run("cat /sys/block/nvme*/stat").splitlines())


def _await_progress(host: Host, load: Job) -> None:
    """Returns when more has been written than was in flight, and the load goes on."""
    since = _sectors_written(host)
    deadline = time.monotonic() + 180
    while _sectors_written(host) < since + 1024:
        ended = load.poll()
        if ended:
            raise Failed(f"the load ended by itself, with {ended.code}: {ends_of(ended.output)}")
        if time.monotonic() > deadline:
            raise Failed(f"no write gets through; {_where_writes_are(host)}")
        time.sleep(0.2)


def _where_writes_are(host: Host) -> str:
    """What tells a target that does not answer from a host that does not ask."""
    return host.attempt("cd /sys/block; grep -H . nvme*/inflight nvme*/stat nvme*/ana_state /sys/class/nvme/nvme*/state;"
                        " grep -H . /proc/$(pidof -s fio)/wchan; cat /sys/kernel/debug/block/nvme*/hctx*/busy").output
