"""The target goes away and comes back; hosts wait, return by themselves and lose nothing."""

import re
import time
from collections.abc import Callable

from lab.errors import Failed
from lab.guest import Job, ends_of
from lab.host import Host, fio_command, fio_result
from lab.lab import Lab
from lab.namespace import ADDRESS, SECOND_ADDRESS
from lab.shell import run as run_here
from lab.target import MIB

# What an administrator would see in the log of a host whose target went away.
EXPECTED_COMPLAINTS = (
    # No such connection, no way there; a queue's Connect that the target's end has cut short (370h, 371h).
    r"nvme nvme\d+: failed to (connect socket: -\d+|send request -\d+|connect queue: \d+ ret=(-\d+|88[01]))$|"
    # Who takes the connection for a target that is a guest, and still boots, answers nothing, or gives it up.
    r"nvme_tcp: queue 0: failed to receive icresp, error -(11|104)$|"
    # 6.1 of a command that keep-alive or error recovery gives up on.
    r"nvme nvme\d+: queue \d+: timeout request 0x[0-9a-f]+ type \d+$")
PASS_MIB = 24
PASS_TIMEOUT_S = 600
GATHER_TIMEOUT_S = 60


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
    """Two addresses, one volume: each path in turn dies under load and comes back, the other carries on."""
    lab.allowed_complaints = EXPECTED_COMPLAINTS
    lab.target.add_listener("io2", SECOND_ADDRESS)
    lab.serve((1, "data", 64 * MIB, 4096))
    host = lab.host()
    first = host.connect("-i", "2", "-k", "5")
    second = host.connect("-i", "2", "-k", "5", address=SECOND_ADDRESS)
    lab.require(first != second, "the second path made no controller of its own")
    device = host.device(1)
    devices = [name for name in host.run("ls /sys/block").split() if re.fullmatch(r"nvme\d+n\d+", name)]
    lab.require(len(devices) == 1, f"two paths to one volume make {devices}")
    # The default uses one path alone as long as it lives: a cut of the other would prove nothing.
    host.run("echo round-robin | tee /sys/class/nvme-subsystem/nvme-subsys*/iopolicy")
    load = Passes(host, device)
    for address, controller in ((ADDRESS, first), (SECOND_ADDRESS, second)):
        await_progress(lambda: moved_sectors(host, f"/sys/class/nvme/{controller}/nvme*c*n*/stat"), load.check)
        run_here("ip", "addr", "del", f"{address}/32", "dev", "lo")
        host.await_true(f'[ "$(cat /sys/class/nvme/{controller}/state)" != live ]', 180)
        await_progress(lambda: moved_sectors(host), load.check)
        run_here("ip", "addr", "add", f"{address}/32", "dev", "lo")
        host.await_live(controller)
    load.finish()


def _survives(lab: Lab, rounds: int, fail: Callable[[], None], restore: Callable[[], None], options: list[str]) -> None:
    lab.serve((1, "data", rounds * PASS_MIB * MIB, 4096))
    fail_under_load(lab, rounds, PASS_MIB, fail, restore, options)


def fail_under_load(lab: Lab, rounds: int, pass_mib: int, fail: Callable[[], None], restore: Callable[[], None],
                    options: list[str]) -> Host:
    """Fails in the middle of verified writes, each time over `pass_mib` of the volume that nobody has written yet."""
    lab.allowed_complaints = EXPECTED_COMPLAINTS
    host = lab.host()
    controller = host.connect("-i", "2", *options)
    device = host.device(1)
    for number in range(rounds):
        # fio takes a block of another seed for good: only where nothing was before is a lost write seen.
        writes = ("--rw=randwrite", "--bs=4k", f"--size={pass_mib}M", f"--offset={number * pass_mib}M", "--iodepth=8",
                  f"--randseed={number + 1}")
        load = host.start(fio_command(device, *writes))
        await_progress(lambda: moved_sectors(host), lambda: require_running(load))
        _gather_writes(lab, host, load)
        fail()
        host.await_true(f'[ "$(cat /sys/class/nvme/{controller}/state)" != live ]', 180)
        lab.require(load.poll() is None, "the load ended while the target was away")
        restore()
        host.await_live(controller)
        fio_result(load.succeed(PASS_TIMEOUT_S))
        # And once more from the start, with nothing but what is on the medium.
        host.run("echo 3 > /proc/sys/vm/drop_caches")
        host.fio(device, *writes, "--verify_only", timeout=PASS_TIMEOUT_S)
    return host


class Passes:
    """Verified writes, pass after pass, for as long as a scenario needs them."""

    def __init__(self, host: Host, device: str, mib: int = PASS_MIB):
        self._host, self._device, self._mib = host, device, mib
        self._begin()

    def check(self) -> None:
        """Raises if a pass has failed; begins the next when one has ended."""
        answer = self._load.poll()
        if answer is not None:
            fio_result(self._load.succeed())
            self._begin()

    def finish(self) -> None:
        fio_result(self._load.succeed(PASS_TIMEOUT_S))

    def _begin(self) -> None:
        # On zeroes, so that nothing of the pass before is taken for this one's.
        self._load = self._host.start(f"blkdiscard -z {self._device} && " + fio_command(
            self._device, "--rw=randwrite", "--bs=4k", f"--size={self._mib}M", "--iodepth=8"))


def moved_sectors(host: Host, stat: str = "/sys/block/nvme*/stat") -> int:
    """Read and written, by the device or by its paths: older kernels count for the paths alone."""
    return sum(int(line.split()[2]) + int(line.split()[6]) for line in host.run(f"cat {stat}").splitlines())


def await_progress(sectors: Callable[[], int], check: Callable[[], None]) -> None:
    """Returns when more has been moved than was in flight. `check` raises when waiting is in vain."""
    since = sectors()
    deadline = time.monotonic() + PASS_TIMEOUT_S
    while sectors() < since + 1024:
        check()
        if time.monotonic() > deadline:
            raise Failed("no I/O gets through")
        time.sleep(0.1)


def _gather_writes(lab: Lab, host: Host, load: Job) -> None:
    """Returns with several writes at the target or on their way. It holds still meanwhile: an emulated host that is asked
    has no time for I/O, and nothing in flight but by chance."""
    lab.target.pause()
    deadline = time.monotonic() + GATHER_TIMEOUT_S
    while max(int(line.split()[1]) for line in host.run("cat /sys/block/nvme*/inflight").splitlines()) < 4:
        require_running(load)
        if time.monotonic() > deadline:
            raise Failed("no writes gather: the load reads already?")
    lab.target.resume()


def require_running(load: Job) -> None:
    ended = load.poll()
    if ended:
        raise Failed(f"the load ended too early, with {ended.code}: {ends_of(ended.output)}")
