"""What counting costs: the instructions of the daemon that callgrind finds in the counters' own code, of all that a command takes.

The difference of a long and a short run, so that the start and the connecting count as nothing. User side only: what the kernel does
for a command is not in the total, so the share of all instructions is smaller than the one that is printed."""
import pathlib
import re
import subprocess
import tempfile

import daemon
import tools

# Code that is there for figures alone, by its file; it is inlined where commands are answered.
COUNTERS = ("target/reactor/latency_counters.h", "target/block/stage_counters.h", "target/block/volume_counters.h")
# And functions that do nothing else, whatever file of theirs the compiler names.
FUNCTIONS = ("count_answered", "count_stages", "count_endings", "count_at_turn_end", "begin_command")
FEW, MANY = 2000, 10000
MOST_SHARE = 0.01
START_SECONDS = 180


class CountedDaemon(daemon.Daemon):
    """Under callgrind."""

    def __init__(self, binary, work, counts):
        super().__init__(binary, work, 64)
        self.command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={counts}", "--dump-line=yes", *self.command]


def run(folder, say):
    """True: the bound holds."""
    say("the cost of counters, a few commands")
    few = measure(folder, FEW)
    say("the cost of counters, many commands")
    many = measure(folder, MANY)
    counters, total = ((b - a) / (MANY - FEW) for a, b in zip(few, many))
    share = counters / total
    say("")
    print(f"counters: {counters:.0f} of {total:.0f} instructions of a 4 KiB command, user side: {100 * share:.2f} % (at most {100 * MOST_SHARE:.0f} %)")
    return share <= MOST_SHARE


def measure(folder, commands):
    """Instructions of the counters, and of all."""
    with tempfile.TemporaryDirectory(prefix="forebay-bench-") as work:
        counts = pathlib.Path(work) / "callgrind.out"
        daemon.START_SECONDS = daemon.STOP_SECONDS = START_SECONDS
        with CountedDaemon(folder / "target/forebayd", pathlib.Path(work), counts) as served:
            command = [str(folder / "tests/bench/forebay-load"), "--address", "127.0.0.1", "--port", str(served.port), "--subsystem", daemon.SUBSYSTEM,
                       "--nsid", "1", "--block-size", "4096", "--mix", "50", "--depth", "16", "--queues", "1", "--warmup", "0", "--count", str(commands),
                       "--range", "16MiB", "--quiet"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise tools.Failed(f"forebay-load: exit code {done.returncode}: {done.stdout}{done.stderr}")
        return of_counters(counts.read_text(errors="replace"))


def of_counters(text):
    """Of callgrind's file (valgrind's manual, "Callgrind Format Specification"): what each line costs by itself. A call's cost, on the
    line behind `calls=`, is the callee's."""
    names = {"file": {}, "function": {}}
    file = function = ""
    counters = total = 0
    skip = False
    for line in text.split("\n"):
        if found := re.match(r"(fl|fi|fe|fn)=(?:\((\d+)\))?\s*(.*)", line):
            kind, number, name = found.groups()
            known = names["function" if kind == "fn" else "file"]
            if name and number:
                known[number] = name
            name = name or known.get(number, "")
            if kind == "fn":
                function = name
            else:
                file = name
        elif line.startswith("calls="):
            skip = True
        elif re.match(r"[+*\-\d]", line):
            if skip:
                skip = False
                continue
            cost = line.split()
            if len(cost) < 2:
                continue
            total += int(cost[1])
            if file.endswith(COUNTERS) or any(f"::{name}(" in function for name in FUNCTIONS):
                counters += int(cost[1])
        elif found := re.match(r"c(fi|fl|fn|ob)=\((\d+)\)\s+(.+)", line):
            names["function" if found.group(1) == "fn" else "file"].setdefault(found.group(2), found.group(3))
    return counters, total
