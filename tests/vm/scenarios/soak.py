"""Minutes of verified writes over a target that keeps dying: a User-mode Linux host, at native speed."""

import random
import time

from lab.guest import ends_of
from lab.host import fio_command, fio_result
from lab.lab import Lab
from lab.target import MIB
from scenarios.outages import EXPECTED_COMPLAINTS

DURATION_S = 300.0
KILLS, PASSES = 20, 2
# By then both must have been reached, however slow the machine.
LIMIT_S = 2400.0
SEED = 20261122


def killed_again_and_again(lab: Lab) -> None:
    """SIGKILL every few seconds, at any moment of writing and verifying; no acknowledged block is ever lost."""
    lab.allowed_complaints = EXPECTED_COMPLAINTS
    lab.serve((1, "data", 256 * MIB, 4096))
    host = lab.fast_host()
    controller = host.connect("-g", "-G")
    device = host.device(1)
    chance = random.Random(SEED)
    kills = passes = 0
    begin = time.monotonic()
    while (spent := time.monotonic() - begin) < DURATION_S or kills < KILLS or passes < PASSES:
        lab.require(spent < LIMIT_S, f"only {kills} kills and {passes} passes in {spent:.0f} s")
        # On zeroes: fio takes a block that an earlier pass wrote for good.
        load = host.start(f"blkdiscard -z -l {128 * MIB} {device} && " + fio_command(
            device, "--rw=randwrite", "--bsrange=4k-64k", "--size=128M", "--iodepth=16",
            f"--randseed={chance.randrange(1 << 30)}"))
        answer = None
        while answer is None:
            time.sleep(chance.uniform(0.5, 4.0))
            answer = load.poll()
            if answer is None:
                lab.target.kill()
                lab.target.start()
                host.await_live(controller)
                kills += 1
        lab.require(answer.code == 0, f"fio after {kills} kills, seed {SEED}: {ends_of(answer.output)}")
        fio_result(answer.output)
        passes += 1
    lab.note = f"{passes} passes, {kills} kills, seed {SEED}"
