"""What counting costs: the instructions of the daemon that are there for figures alone, of all that a command takes.

Callgrind counts how often each instruction of the daemon ran; the difference of a long and a short run is a command's, so that the start and
the connecting count as nothing. Each instruction then has a chain of lines that it was made of, inlined calls with it (addr2line), and is
the counters' if any link of that chain is: what is inlined into other code, also the standard library's atomics, does not hide there. User side only:
what the kernel does for a command is not in the total, so the share of all instructions is smaller than the one that is printed."""
import collections
import functools
import pathlib
import re
import subprocess
import tempfile

import daemon
import tools

ROOT = pathlib.Path(__file__).resolve().parents[3]
# Code that is there for figures alone, by its file.
FILES = ("target/reactor/latency_counters.h", "target/block/stage_counters.h", "target/block/volume_counters.h", "target/net/command_tally.h",
         "target/net/command_tally.cpp", "target/nvmf/command_outcome.h", "target/nvmf/command_outcome.cpp")
# Functions that do nothing else, whatever file they stand in.
FUNCTIONS = re.compile(r"\b(count_answered|count_for_itself|count_stages|count_dropped|count_for_host|answered_well|Connection::count|count_turn|count_endings|"
                       r"count_at_turn_end|publish_holdings|begin_command|begin_timed_command|forget_times|note_timed_beginning|BlockVolume::counters|BlockVolume::stages|"
                       r"last_received|add_commit|add_backing)\(")
# And lines among others, by what they say: times that are kept to be counted, bytes of sockets, the figures of turns.
LINES = re.compile(r"begin_command\(|is_timed|tells_its_times|asked_backing|\.started =|bytes_(received|sent)\.fetch_add|request\.counters|count_turn\(|publish_holdings\(|"
                   r"\bturns_|\bbusy_ns_|\bpolling_ns_|\basleep_ns_|\bsleeps_|turn_ended_ =|const Instant end = ")
FEW, MANY = 2000, 10000
SMOKE_FEW, SMOKE_MANY = 500, 2500
# What holds; AIM is what is aimed at.
MOST_SHARE = 0.03
AIM = 0.01
START_SECONDS = 180
# Commands under way: a host that keeps its queue filled, and one that waits for each.
DEPTHS = (16, 1)


class CountedDaemon(daemon.Daemon):
    """Under callgrind."""

    def __init__(self, binary, work, counts):
        super().__init__(binary, work, 64)
        self.command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={counts}", "--dump-instr=yes", *self.command]


def run(folder, say, smoke=False, lines=False):
    """True: the bound holds, which is that of the filled queue."""
    holds = True
    few, many = (SMOKE_FEW, SMOKE_MANY) if smoke else (FEW, MANY)
    for depth in DEPTHS[:1] if smoke else DEPTHS:
        say(f"the cost of counters at depth {depth}, a few commands")
        before = measure(folder, few, depth)
        say(f"the cost of counters at depth {depth}, many commands")
        after = measure(folder, many, depth)
        say("")
        cost = {address: (count - before[address]) / (many - few) for address, count in after.items() if count != before[address]}
        total = sum(cost.values())
        ours = of_counters(folder / "target/forebayd", cost)
        counters = sum(ours.values())
        share = counters / total
        bound = f" (bound {100 * MOST_SHARE:.1f} %, aim {100 * AIM:.0f} %)" if depth == DEPTHS[0] else ""
        print(f"counters: {counters:.1f} of {total:.0f} instructions of a 4 KiB command at depth {depth}, user side: {100 * share:.2f} %{bound}")
        if lines:
            for place, count in ours.most_common():
                print(f"  {count:6.2f}  {place}")
        if depth == DEPTHS[0]:
            holds = share <= MOST_SHARE
    return holds


def measure(folder, commands, depth):
    """How often each instruction of the daemon's own file ran, by its address there; those of libraries by None."""
    with tempfile.TemporaryDirectory(prefix="forebay-bench-") as work:
        counts = pathlib.Path(work) / "callgrind.out"
        daemon.START_SECONDS = daemon.STOP_SECONDS = START_SECONDS
        with CountedDaemon(folder / "target/forebayd", pathlib.Path(work), counts) as served:
            command = [str(folder / "tests/bench/forebay-load"), "--address", "127.0.0.1", "--port", str(served.port), "--subsystem", daemon.SUBSYSTEM,
                       "--nsid", "1", "--block-size", "4096", "--mix", "50", "--depth", str(depth), "--queues", "1", "--warmup", "0", "--count", str(commands),
                       "--range", "16MiB", "--quiet"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise tools.Failed(f"forebay-load: exit code {done.returncode}: {done.stdout}{done.stderr}")
        return by_instruction(counts.read_text(errors="replace"))


def by_instruction(text):
    """Of callgrind's file (valgrind's manual, "Callgrind Format Specification"): what each instruction costs by itself. A call's cost, on
    the line behind `calls=`, is the callee's. Addresses may be relative to the line before."""
    counts = collections.Counter()
    objects = {}
    is_daemon = skip = False
    address = 0
    for line in text.split("\n"):
        if found := re.match(r"(c?ob)=\((\d+)\)\s*(.*)", line):
            kind, number, name = found.groups()
            if name:
                objects[number] = name.endswith("/forebayd")
            if kind == "ob":
                is_daemon = objects[number]
        elif line.startswith("calls="):
            skip = True
        elif re.match(r"[+*\-\d]", line):
            fields = line.split()
            if fields[0].startswith("0x"):
                address = int(fields[0], 16)
            elif fields[0] != "*":
                address += int(fields[0])
            if skip:
                skip = False
            elif len(fields) > 2:
                counts[address if is_daemon else None] += int(fields[2])
    return counts


def of_counters(binary, cost):
    """What the counters' instructions cost, by the line that is theirs."""
    addresses = [address for address in cost if address is not None]
    told = subprocess.run(["addr2line", "-a", "-i", "-f", "-C", "-e", str(binary)], input="\n".join(hex(address) for address in addresses),
                          capture_output=True, text=True, check=True).stdout
    ours = collections.Counter()
    address, is_ours, lines = None, False, iter(told.split("\n"))
    for line in lines:
        if re.fullmatch(r"0x[0-9a-f]+", line):
            address, is_ours = int(line, 16), False
            continue
        place = next(lines, "")
        if address is not None and not is_ours and is_counting(line, place):
            is_ours = True
            ours[f"{line.split('(')[0]} {source_of(place)}"] += cost[address]
    return ours


def source_of(place):
    found = re.search(r".*/((?:engine|protocol|target)/\S+:\d+)", place)
    return found.group(1) if found else ""


@functools.lru_cache(maxsize=None)
def is_counting(function, place):
    source = source_of(place)
    if not source:
        return False
    file, number = source.split(":")
    if file in FILES or FUNCTIONS.search(function):
        return True
    return bool(LINES.search(text_of(file)[int(number) - 1]))


@functools.lru_cache(maxsize=None)
def text_of(file):
    return (ROOT / file).read_text().split("\n")
