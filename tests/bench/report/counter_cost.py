"""What counting costs: the instructions of the daemon that are there for figures alone, of all that a command takes.

Callgrind counts how often each instruction of the daemon ran; the difference of a long and a short run is a command's, so that the start and
the connecting count as nothing. Each instruction then has a chain of lines that it was made of, inlined calls with it (addr2line), and is
the counters' if any link of that chain is: what is inlined into other code, also the standard library's atomics, does not hide there. What such an
instruction calls of a library is the counters' too, with all that is called from there. User side only:
what the kernel does for a command is not in the total, so the share of all instructions is smaller than the one that is printed."""
import collections
import dataclasses
import functools
import pathlib
import re
import subprocess
import tempfile

import daemon
import iscsi_bench
import tools

ROOT = pathlib.Path(__file__).resolve().parents[3]
# Code that is there for figures alone, by its file.
FILES = ("target/reactor/latency_counters.h", "target/reactor/command_run.h", "target/block/stage_counters.h", "target/block/volume_counters.h",
         "target/net/command_tally.h", "target/net/command_tally.cpp", "target/nvmf/command_outcome.h", "target/nvmf/command_outcome.cpp",
         "target/scsi/command_outcome.h", "target/scsi/command_outcome.cpp", "target/scsi/task_counters.h", "engine/volume/cache_traffic.h")
# Functions that do nothing else, whatever file they stand in.
FUNCTIONS = re.compile(r"\b(count_answered|count_unlike|count_success|count_for_itself|count_stages|count_dropped|count_for_host|Connection::count|count_failure|count_turn|"
                       r"count_endings|count_at_turn_end|publish_usage|block::begin_command|begin_timed_command|begin_run|move_command|command_run|forget_times|"
                       r"note_timed_beginning|BlockVolume::counters|BlockVolume::stages|add_commit|add_backing)\(")
# And lines among others, by what they say: times that are kept to be counted, bytes of sockets, the figures of turns.
LINES = re.compile(r"block::begin_command\(|is_timed|tells_its_times|asked_backing|bytes_(received|sent)\.fetch_add|count_turn\(|publish_usage\(|TaskCounters::|"
                   r"\bturns_run_|\bspent_\[|\basleep_ns_|\bsleeps_,|command_run_|"
                   r"s_in_place_\.fetch_add|traffic(\(\)|_)\.count\(")
FEW, MANY = 2000, 10000
SMOKE_FEW, SMOKE_MANY = 500, 2500
# What holds for a host that keeps its queue filled; AIM is what is aimed at.
MOST_SHARE = 0.02
AIM = 0.01
START_SECONDS = 180
FILLED_BYTES = 4 << 20


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    depth: int
    protocol: str = "nvme"
    reads: int = 50  # percent
    cached: bool = False
    bounded: bool = False


# What is measured first is what is held to the bound, and all that the short form measures.
CASES = (Case("NVMe, half reads, half writes", 16, bounded=True), Case("NVMe, half reads, half writes", 32, bounded=True),
         Case("NVMe, half reads, half writes", 1), Case("NVMe, reads that the cache has", 16, reads=100, cached=True),
         Case("iSCSI, reads", 16, "iscsi", 100), Case("iSCSI, writes", 16, "iscsi", 0))


class CountedDaemon(iscsi_bench.Forebay):
    """Under callgrind; its volume is an iSCSI LUN, too."""

    def __init__(self, binary, work, counts, case, media):
        super().__init__(binary, work, 64)
        if case.cached:
            front, pool = work / "front", work / "pool"
            pool.mkdir()
            subprocess.run([str(media), "format", "--size", "64MiB", "--checksums", str(front)], check=True, capture_output=True)
            subprocess.run([str(media.parent.parent / "cli/forebayctl"), "pool", "init", str(pool)], check=True, capture_output=True)
            text = self.config.read_text()
            text = text.replace('"kind": "memory"', f'"kind": "file", "directory": "{pool}", "provisioning": "thin", "reserve": "1MiB"')
            text = text.replace('"volumes": {', f'"cache_devices": {{"front": {{"path": "{front}"}}}}, "volumes": {{')
            text = text.replace('"pool": "ram"', '"pool": "ram", "cache": {"device": "front", "max_dirty_age": "1h"}')
            self.config.write_text(text)
        self.command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={counts}", "--dump-instr=yes", *self.command]


def run(folder, say, smoke=False, lines=False):
    """True: the bound holds where it is stated."""
    holds = True
    few, many = (SMOKE_FEW, SMOKE_MANY) if smoke else (FEW, MANY)
    for case in CASES[:1] if smoke else CASES:
        say(f"the cost of counters: {case.name}, depth {case.depth}, a few commands")
        before, called_before = measure(folder, few, case)
        say(f"the cost of counters: {case.name}, depth {case.depth}, many commands")
        after, called_after = measure(folder, many, case)
        say("")
        cost = per_command(before, after, many - few)
        total = sum(cost.values())
        ours = of_counters(folder / "target/forebayd", cost, per_command(called_before, called_after, many - few))
        counters = sum(ours.values())
        share = counters / total
        bound = f" (bound {100 * MOST_SHARE:.1f} %, aim {100 * AIM:.0f} %)" if case.bounded else ""
        print(f"{case.name}, depth {case.depth}: counting takes {counters:.1f} of {total:.0f} instructions of a 4 KiB command, user side: {100 * share:.2f} %{bound}")
        if lines:
            for place, count in ours.most_common():
                if count >= 0.05:
                    print(f"  {count:6.2f}  {place}")
        if case.bounded and share > MOST_SHARE:
            holds = False
    return holds


def per_command(before, after, commands):
    return {address: (count - before[address]) / commands for address, count in after.items() if count != before[address]}


def measure(folder, commands, case):
    """How often each instruction of the daemon's own file ran, by its address there, those of libraries by None; and what calls of libraries cost,
    by the address of the call."""
    memory = "/dev/shm" if case.cached else None
    with tempfile.TemporaryDirectory(prefix="forebay-bench-", dir=memory) as work:
        counts = pathlib.Path(work) / "callgrind.out"
        daemon.START_SECONDS = daemon.STOP_SECONDS = START_SECONDS
        with CountedDaemon(folder / "target/forebayd", pathlib.Path(work), counts, case, folder / "appliance/media/forebay-media") as served:
            if case.cached:
                load(folder, served, dataclasses.replace(case, reads=0), FILLED_BYTES // 4096, "sequential")
            load(folder, served, case, commands, "random")
        return by_instruction(counts.read_text(errors="replace"))


def load(folder, served, case, commands, pattern):
    if case.protocol == "iscsi":
        command = [str(folder / "tests/bench/forebay-iscsi-load"), "--url", served.url, "--direction", "read" if case.reads else "write",
                   "--depth", str(case.depth), "--warmup", "0", "--count", str(commands)]
    else:
        command = [str(folder / "tests/bench/forebay-load"), "--address", "127.0.0.1", "--port", str(served.port), "--subsystem", daemon.SUBSYSTEM,
                   "--nsid", "1", "--block-size", "4096", "--mix", str(case.reads), "--depth", str(case.depth), "--queues", "1", "--warmup", "0",
                   "--count", str(commands), "--pattern", pattern, "--range", str(FILLED_BYTES if case.cached else 16 << 20), "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise tools.Failed(f"{pathlib.Path(command[0]).name}: exit code {done.returncode}: {done.stdout}{done.stderr}")


def by_instruction(text):
    """Of callgrind's file (valgrind's manual, "Callgrind Format Specification"): what each instruction costs by itself, and what its calls of
    libraries cost, which stand on the line behind `calls=`. Addresses may be relative to the line before."""
    counts, called = collections.Counter(), collections.Counter()
    objects = {}
    is_daemon = calls_daemon = is_call = False
    address = 0
    for line in text.split("\n"):
        if found := re.match(r"(c?ob)=\((\d+)\)\s*(.*)", line):
            kind, number, name = found.groups()
            if name:
                objects[number] = name.endswith("/forebayd")
            if kind == "ob":
                is_daemon = calls_daemon = objects[number]
            else:
                calls_daemon = objects[number]
        elif line.startswith("calls="):
            is_call = True
        elif re.match(r"[+*\-\d]", line):
            fields = line.split()
            if fields[0].startswith("0x"):
                address = int(fields[0], 16)
            elif fields[0] != "*":
                address += int(fields[0])
            if is_call:
                if is_daemon and not calls_daemon and len(fields) > 2:
                    called[address] += int(fields[2])
                is_call, calls_daemon = False, is_daemon
            elif len(fields) > 2:
                counts[address if is_daemon else None] += int(fields[2])
    return counts, called


def of_counters(binary, cost, called):
    """What the counters' instructions cost, with what they call of libraries, by the line that is theirs."""
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
            ours[f"{line.split('(')[0]} {source_of(place)}"] += cost[address] + called.get(address, 0)
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
