"""Minutes of verified writes over a target that keeps dying: a User-mode Linux host, at native speed."""

import random
import time

from lab.host import fio_command, fio_result
from lab.lab import Lab
from lab.target import MIB
from scenarios.outages import EXPECTED_COMPLAINTS

DURATION_S = 300.0
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
    deadline = time.monotonic() + DURATION_S
    while time.monotonic() < deadline:
        load = host.start(fio_command(device, "--rw=randwrite", "--bsrange=4k-64k", "--size=128M", "--iodepth=16",
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
        lab.require(answer.code == 0, f"fio after {kills} kills, seed {SEED}: {answer.output[-2000:]}")
        fio_result(answer.output)
        passes += 1
    lab.require(kills >= 20 and passes >= 2, f"only {kills} kills and {passes} passes in {DURATION_S:.0f} s")
    lab.note = f"{passes} passes, {kills} kills, seed {SEED}"
