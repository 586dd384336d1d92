"""What a pool's backing does on a file or block device, beside Debian's fio with io_uring on the same one, each measurement
of the one directly after that of the other."""
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile

import cases
import tools

MIB = 1 << 20
SMOKE_MIB, SMOKE_SECONDS = 16, 0.05


@dataclasses.dataclass
class PoolCase:
    case: cases.Case
    least: float  # aim: this part of fio's rate


ALL = [
    PoolCase(cases.Case("1 MiB sequential read, depth 8", "read", MIB, 8, "sequential"), 0.95),
    PoolCase(cases.Case("1 MiB sequential write, depth 8", "write", MIB, 8, "sequential"), 0.95),
    PoolCase(cases.Case("4 KiB random read, depth 32", "read", 4096, 32), 0.90),
    PoolCase(cases.Case("4 KiB random write, depth 32", "write", 4096, 32), 0.90),
]


@dataclasses.dataclass
class Row:
    wanted: PoolCase
    place: str
    ours: list  # operations a second
    theirs: list

    def ratio(self):
        """Median of the ratios of measurements that followed each other: both saw the same machine."""
        return statistics.median(a / b for a, b in zip(self.ours, self.theirs)) if self.theirs else None


def measure_ours(binary, path, size, case, seconds):
    command = [str(binary), str(path), "--size", str(size), "--block", str(case.block_bytes), "--depth", str(case.depth), "--seconds", str(seconds)]
    command += ["--write"] if case.direction == "write" else []
    command += ["--random"] if case.pattern != "sequential" else []
    measured = tools.Tools.run_json(command)
    if not measured["direct"]:
        raise tools.Failed(f"{path}: no O_DIRECT there; name a directory on a disk: --disk DIRECTORY")
    return measured["iops"]


def measure_fio(path, size, case, seconds):
    kind = case.direction if case.pattern == "sequential" else f"rand{case.direction}"
    measured = tools.Tools.run_json(
        ["fio", "--name=pools", f"--filename={path}", f"--size={size}", "--ioengine=io_uring", "--direct=1", f"--rw={kind}", f"--bs={case.block_bytes}",
         f"--iodepth={case.depth}", f"--runtime={max(seconds, 1):.0f}", "--time_based", "--norandommap", "--randrepeat=0", "--invalidate=0",
         "--fallocate=none", "--output-format=json"])
    return measured["jobs"][0][case.direction]["iops"]


@contextlib.contextmanager
def file_on_disk(folder, size):
    """Written once, so that nothing is allocated while it is measured."""
    with tempfile.TemporaryDirectory(prefix="forebay-bench-", dir=folder) as place:
        path = pathlib.Path(place) / "member"
        piece = os.urandom(MIB)
        with open(path, "wb") as file:
            for _ in range(size // MIB):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        yield path


@contextlib.contextmanager
def loop_in_memory(size):
    """A block device over a file in memory; None where nobody may make one."""
    with tempfile.TemporaryDirectory(prefix="forebay-bench-", dir="/dev/shm") as place:
        path = pathlib.Path(place) / "member"
        path.write_bytes(b"\5" * size)
        made = subprocess.run(["losetup", "--find", "--show", str(path)], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            yield None
            return
        device = made.stdout.strip()
        try:
            yield device
        finally:
            subprocess.run(["losetup", "--detach", device], check=False)


def as_text(rows, machine, lacks_fio):
    lines = [f"Pools, {machine['cpu']}, {machine['processors']} processors, load before {machine['load_average_before']}", "",
             "| case | on | forebayd's backing | fio | ratio | aim |", "| --- | --- | ---: | ---: | ---: | --- |"]
    for row in rows:
        case = row.wanted.case
        unit, scale = ("MiB/s", MIB / case.block_bytes) if case.block_bytes >= MIB else ("K/s", 1000)
        shown = [f"{statistics.median(side) / scale:.1f} {unit}" if side else "-" for side in (row.ours, row.theirs)]
        ratio = row.ratio()
        aim = "" if ratio is None else f"at least {row.wanted.least:.2f}, {'reached' if ratio >= row.wanted.least else 'MISSED'}"
        lines.append(f"| {case.name} | {row.place} | {' | '.join(shown)} | {'-' if ratio is None else f'{ratio:.2f}'} | {aim} |")
    if lacks_fio:
        lines.append("\nfio is not installed (appliance/install-packages bench): nothing stands beside these figures.")
    return "\n".join(lines)


def measure_place(binary, path, name, arguments, size, has_fio, say):
    rows = [Row(wanted, name, [], []) for wanted in ALL]
    for repeat in range(arguments.repeats):
        for row in rows:
            say(f"repeat {repeat + 1} of {arguments.repeats}: {row.wanted.case.name}, {name}")
            if has_fio:
                row.theirs.append(measure_fio(path, size, row.wanted.case, arguments.seconds))
            row.ours.append(measure_ours(binary, path, size, row.wanted.case, arguments.seconds))
    return rows


def run(folder, arguments, say):
    """Prints the table."""
    if arguments.smoke:
        arguments.repeats, arguments.seconds, arguments.size = 1, SMOKE_SECONDS, SMOKE_MIB
    binary = folder / "tests/bench/forebay-pool-bench"
    has_fio = shutil.which("fio") is not None and not arguments.smoke
    size = arguments.size * MIB
    machine = tools.machine(os.getloadavg()[0])
    rows = []
    with file_on_disk(arguments.disk or str(folder), size) as path:
        rows += measure_place(binary, path, "a file", arguments, size, has_fio, say)
    if not arguments.smoke:
        with loop_in_memory(size) as device:
            if device is not None:
                rows += measure_place(binary, device, "a loop device in memory", arguments, size, has_fio, say)
    say("")
    shown = as_text(rows, machine, not has_fio and not arguments.smoke)
    print(shown)
    if arguments.text:
        pathlib.Path(arguments.text).write_text(shown + "\n")
    if arguments.json:
        data = [{"case": row.wanted.case.name, "on": row.place, "iops": row.ours, "fio_iops": row.theirs} for row in rows]
        pathlib.Path(arguments.json).write_text(json.dumps({"machine": machine, "rows": data}, indent=1) + "\n")
