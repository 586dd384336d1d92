"""iSCSI beside Debian's tgt: one volume in memory each, one processor for the target, one for the initiator, each measurement
of the one directly after that of the other."""
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import cases
import daemon
import tools

TARGET = "iqn.2026-11.com.example:bench"
TGT_CONTROL = "78"
# Aims: at depth 32 this many times tgt's rate, at depth 1 a latency below tgt's.
AIM_DEPTH_32_RATE = 2.0
AIM_DEPTH_1_LATENCY = 1.0

ALL = [
    cases.Case("4 KiB random read, depth 1", "read", 4096, 1),
    cases.Case("4 KiB random write, depth 1", "write", 4096, 1),
    cases.Case("4 KiB random read, depth 32", "read", 4096, 32),
    cases.Case("4 KiB random write, depth 32", "write", 4096, 32),
    cases.Case("128 KiB sequential read, depth 8", "read", 131072, 8, "sequential"),
    cases.Case("128 KiB sequential write, depth 8", "write", 131072, 8, "sequential"),
]


class Tgt:
    """tgtd over a file in memory, inside the `with`."""

    def __init__(self, folder, size_mib):
        self.disk = pathlib.Path(folder) / "disk"
        with open(self.disk, "wb") as file:
            file.truncate(size_mib << 20)
        self.port = daemon.free_port()
        self.url = f"iscsi://127.0.0.1:{self.port}/{TARGET}/1"

    def __enter__(self):
        self.process = subprocess.Popen(["taskset", "-c", str(tools.TARGET_CPU), "tgtd", "-f", "-C", TGT_CONTROL,
                                         "--iscsi", f"portal=127.0.0.1:{self.port}"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + daemon.START_SECONDS
        while self.admin("--op", "show", "--mode", "sys").returncode != 0:
            if self.process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                raise tools.Failed("tgtd does not serve")
            time.sleep(0.05)
        for command in (["--op", "new", "--mode", "target", "--tid", "1", "-T", TARGET],
                        ["--op", "new", "--mode", "logicalunit", "--tid", "1", "--lun", "1", "-b", str(self.disk), "--blocksize=4096"],
                        ["--op", "bind", "--mode", "target", "--tid", "1", "-I", "ALL"]):
            done = self.admin(*command)
            if done.returncode != 0:
                self.__exit__()
                raise tools.Failed(f"tgtadm {' '.join(command)}: {done.stderr}")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    @staticmethod
    def admin(*arguments):
        return subprocess.run(["tgtadm", "-C", TGT_CONTROL, "--lld", "iscsi", *arguments], capture_output=True, text=True, check=False)


class Forebay(daemon.Daemon):
    """The usual daemon of the benches, whose volume is LUN 0 of an iSCSI target too."""

    def __init__(self, binary, work, size_mib):
        super().__init__(binary, work, size_mib)
        port = daemon.free_port()
        self.url = f"iscsi://127.0.0.1:{port}/{TARGET}/0"
        config = json.loads(self.config.read_text().replace("1: {", '"1": {'))
        config["listeners"]["scsi"] = {"protocol": "iscsi", "address": "127.0.0.1", "port": port}
        config["targets"] = {TARGET: {"listeners": ["scsi"], "allow_any_host": True, "luns": {"0": {"volume": "bench"}}}}
        self.config.write_text(json.dumps(config, indent=1).replace('"1": {', "1: {").replace('"0": {', "0: {"))


@dataclasses.dataclass
class Row:
    case: cases.Case
    ours: list
    theirs: list

    def median(self, side, figure):
        return statistics.median(sample[figure] for sample in getattr(self, side))

    def ratio(self, figure):
        """Median of the ratios of measurements that followed each other: both saw the same machine."""
        return statistics.median(ours[figure] / theirs[figure] for ours, theirs in zip(self.ours, self.theirs))

    def aim(self):
        """The aim in words, and whether it is reached; None where none is stated."""
        if self.case.depth == 1:
            return f"p50 below tgt's: {self.ratio('p50_us'):.2f} x", self.ratio("p50_us") < AIM_DEPTH_1_LATENCY
        if self.case.depth == 32:
            return f"{AIM_DEPTH_32_RATE:.0f} x tgt's rate: {self.ratio('per_second'):.2f} x", self.ratio("per_second") >= AIM_DEPTH_32_RATE
        return None


def measure(binary, case, url, seconds):
    return tools.Tools.run_json([str(binary), "--url", url, "--direction", case.direction, "--block-size", str(case.block_bytes),
                                 "--depth", str(case.depth), "--pattern", case.pattern, "--warmup", str(tools.WARMUP_SECONDS),
                                 "--seconds", str(seconds), "--cpu", str(tools.CLIENT_CPU)])


def as_text(rows, machine):
    lines = [f"iSCSI, {machine['cpu']}, {machine['processors']} processors, load before {machine['load_average_before']}", "",
             "| case | forebayd | p50 / p99 us | tgt | p50 / p99 us | ratio of rates | aim |", "| --- | ---: | ---: | ---: | ---: | ---: | --- |"]
    for row in rows:
        large = row.case.block_bytes > 4096
        rate, unit, scale = ("mib_per_s", "MiB/s", 1) if large else ("per_second", "K/s", 1000)
        cells = []
        for side in ("ours", "theirs"):
            cells += [f"{row.median(side, rate) / scale:.1f} {unit}", f"{row.median(side, 'p50_us'):.0f} / {row.median(side, 'p99_us'):.0f}"]
        aim = row.aim()
        shown = "" if aim is None else f"{aim[0]}, {'reached' if aim[1] else 'MISSED'}"
        lines.append(f"| {row.case.name} | {' | '.join(cells)} | {row.ratio('per_second'):.2f} | {shown} |")
    return "\n".join(lines)


def run(folder, arguments, say):
    """Prints the table; everything measured is returned."""
    binary = folder / "tests/bench/forebay-iscsi-load"
    if not binary.exists():
        raise tools.Failed(f"{binary} is missing: appliance/install-packages bench, then configure and build again")
    rows = [Row(case, [], []) for case in ALL]
    machine = tools.machine(os.getloadavg()[0])
    with tempfile.TemporaryDirectory(prefix="forebay-bench-") as work, \
         tempfile.TemporaryDirectory(prefix="forebay-bench-", dir="/dev/shm") as memory:
        with Forebay(folder / "target/forebayd", pathlib.Path(work), arguments.size) as ours, Tgt(memory, arguments.size) as theirs:
            filling = cases.Case("filling", "write", 131072, 8, "sequential")
            for served in (ours, theirs):
                measure(binary, filling, served.url, 2.0)
            for repeat in range(arguments.repeats):
                for row in rows:
                    say(f"repeat {repeat + 1} of {arguments.repeats}: {row.case.name}")
                    row.ours.append(measure(binary, row.case, ours.url, arguments.seconds))
                    row.theirs.append(measure(binary, row.case, theirs.url, arguments.seconds))
    say("")
    text = as_text(rows, machine)
    if arguments.json != "-":
        print(text)
    if arguments.text:
        pathlib.Path(arguments.text).write_text(text + "\n")
    data = json.dumps({"machine": machine, "rows": [dataclasses.asdict(row) for row in rows]}, indent=1)
    if arguments.json == "-":
        print(data)
    elif arguments.json:
        pathlib.Path(arguments.json).write_text(data + "\n")
