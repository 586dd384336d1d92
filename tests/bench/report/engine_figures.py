"""Runs the programs of engine_cases and keeps what they tell: a list of values, one for each repeat, by figure."""
import json
import os
import re
import shutil
import statistics
import subprocess

import engine_cases


class Figures:
    def __init__(self):
        self.values = {}  # by (part, figure)
        self.troubles = {}  # by part: why something of it is not there
        self.absent = set()  # parts whose program is not on this machine

    def add(self, part, figure, value):
        self.values.setdefault((part, figure), []).append(value)

    def has(self, part, *figures):
        return all(self.values.get((part, figure)) for figure in figures)

    def of(self, part, figure):
        return self.values[(part, figure)]

    def median(self, part, figure):
        return statistics.median(self.of(part, figure))

    def ratios(self, part, dividend, divisor):
        """Of the repeats, each measured in one go."""
        return [a / b for a, b in zip(self.of(part, dividend), self.of(part, divisor))]


class Programs:
    """`folder`: of the build; `sizes`: what the commands' {names} stand for."""

    def __init__(self, folder, sizes):
        self.folder = folder / "tests/bench"
        self.sizes = sizes

    def command(self, part):
        program, *options = (word.format(**self.sizes) for word in part.command)
        return [str(self.folder / program), *options]

    def measure(self, part, seconds, figures):
        command = self.command(part)
        if not os.access(command[0], os.X_OK):
            figures.troubles[part.name] = f"{part.command[0]} is not built (appliance/install-packages bench)"
            figures.absent.add(part.name)
            return
        code, out, err = run_for(command, seconds)
        if part.tells == "benchmark":
            take_benchmarks(part.name, out, figures)
        else:
            take_lines(part.name, out, figures)
        if code is None:
            figures.troubles[part.name] = f"ended after {seconds:.0f} s"
        elif code != 0:
            figures.troubles[part.name] = f"{part.command[0]} {part.name}: exit code {code}: {err.strip()[-300:]}"

    def count_instructions(self, seconds, figures):
        if shutil.which("valgrind") is None:
            figures.troubles["instructions"] = "valgrind is missing (appliance/install-packages bench)"
            figures.absent.add("instructions")
            return
        for name, options in engine_cases.COUNTED.items():
            counts = [self.count(options, count, seconds) for count in engine_cases.COUNTS]
            if None in counts:
                figures.troubles["instructions"] = f"valgrind could not count: {name}"
                continue
            few, many = engine_cases.COUNTS
            figures.add("instructions", name, (counts[1] - counts[0]) / (many - few))

    def count(self, options, writes, seconds):
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                   str(self.folder / "forebay-cache-bench"), "--memory", self.sizes["memory"], "--disk", self.sizes["disk"],
                   "--writes", str(engine_cases.COUNTS[-1]), "counted", *options, "--count", str(writes)]
        code, _, err = run_for(command, seconds)
        found = re.search(r"Collected : (\d+)", err)
        return int(found.group(1)) if code == 0 and found else None


def run_for(command, seconds):
    """Exit code, or None if it had to be ended; what it wrote until then."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, err = process.communicate(timeout=max(seconds, 1))
        return process.returncode, out, err
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        return None, out, err
    except BaseException:
        process.kill()
        process.wait()
        raise


def take_lines(part, out, figures):
    for line in out.splitlines():
        try:
            told = json.loads(line)
        except json.JSONDecodeError:  # cut off
            continue
        figures.add(part, told["figure"], told["value"])


def take_benchmarks(part, out, figures):
    try:
        benchmarks = json.loads(out)["benchmarks"]
    except (json.JSONDecodeError, KeyError):
        return
    for benchmark in benchmarks:
        if benchmark["run_type"] != "iteration":
            continue
        name = benchmark["run_name"]
        if "items_per_second" in benchmark:
            figures.add(part, f"{name} ns", 1e9 / benchmark["items_per_second"])
        for counter in ("highest", "full", "index_only"):
            if counter in benchmark:
                figures.add(part, f"{name} {counter}", benchmark[counter])
