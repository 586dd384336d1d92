"""The rows of the engine's table: what, its figure, what is aimed at, and whether it is reached."""
import dataclasses
import statistics

import engine_cases as cases

SOURCES = {"hot": "source in the CPU's cache", "cold": "source not in the CPU's cache"}


@dataclasses.dataclass(frozen=True)
class Row:
    what: str
    figure: str
    aim: str = ""
    holds: bool | None = None  # None: nothing is aimed at
    stated_bound: bool = False  # does not depend on the machine: fails --check
    measured: bool = True
    may_be_absent: bool = False  # not measured, because a program is not on this machine

    @property
    def is_wrong(self):
        """What --check fails for."""
        return (not self.measured and not self.may_be_absent) or (self.stated_bound and self.holds is False)

    @property
    def verdict(self):
        if not self.measured:
            return "NOT MEASURED"
        if self.holds is None:
            return ""
        return "holds" if self.holds else "FAILED BOUND" if self.stated_bound else "missed aim"


def spread(values, text):
    """The median, and from where to where the repeats went."""
    middle = text.format(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({text.format(min(values))}-{text.format(max(values))})"


def percent(ratios):
    return spread([100 * ratio for ratio in ratios], "{:.0f}") + " %"


class Rows:
    """Makes rows of figures; what is missing becomes a row that says so."""

    def __init__(self, figures):
        self.figures = figures
        self.rows = []

    def add(self, part, what, needed, make):
        if not self.figures.has(part, *needed):
            why = self.figures.troubles.get(part, "no figure was told")
            self.rows.append(Row(what, why, measured=False, may_be_absent=part in self.figures.absent))
            return
        self.rows.append(Row(what, **make()))

    def shown(self, part, what, figure, text, scale=1.0):
        self.add(part, what, [figure], lambda: {
            "figure": spread([value * scale for value in self.figures.of(part, figure)], text)})

    def rate(self, part, what, ours, bare, of, aim=None, text="{:.0f} ns"):
        """Both are times of one operation; the ratio is of rates."""
        def make():
            ratios = self.figures.ratios(part, bare, ours)
            figure = f"{spread(self.figures.of(part, ours), text)}, {percent(ratios)} of {of}"
            if aim is None:
                return {"figure": figure}
            return {"figure": figure, "aim": f"at least {100 * aim:.0f} %", "holds": statistics.median(ratios) >= aim}
        self.add(part, what, [ours, bare], make)


def write_rows(rows):
    for source, where in SOURCES.items():
        rows.add("writes", f"bare 4 KiB copy and fence, {where}",
                 [f"{source} bare sequential ns", f"{source} bare random ns", f"{source} bare p50 ns"],
                 lambda source=source: {"figure": ", ".join(
                     spread(rows.figures.of("writes", f"{source} bare {kind} ns"), "{:.0f}") + f" ns {name}"
                     for kind, name in (("sequential", "sequential"), ("random", "random places"), ("p50", "p50")))})
    for source, where in SOURCES.items():
        for kind, name in (("plain", ""), ("crc", ", checksums")):
            rows.add("writes", f"4 KiB write, depth 1, p50{name}, {where}",
                     [f"{source} {kind} depth 1 p50 ns", f"{source} bare p50 ns"],
                     lambda source=source, kind=kind: depth_1(rows.figures, "writes", f"{source} {kind} depth 1 p50 ns",
                                                              f"{source} bare p50 ns"))
    for source, where in SOURCES.items():
        rows.rate("writes", f"4 KiB write, depth 32, {where}", f"{source} plain depth 32 ns",
                  f"{source} bare sequential ns", "the bare copy's rate", cases.AIM_DEPTH_32)
        rows.rate("writes", f"4 KiB write, depth 32, checksums, {where}", f"{source} crc depth 32 ns",
                  f"{source} plain depth 32 ns", "the rate without", cases.AIM_CHECKSUMS)


def depth_1(figures, part, ours, bare):
    p50 = figures.median(part, ours) / 1000
    slower = max(1.0, figures.median(part, bare) / 1000 / cases.AIM_DEPTH_1_BARE_US)
    aim = cases.AIM_DEPTH_1_US * slower
    ratios = figures.ratios(part, ours, bare)
    return {"figure": f"{spread([value / 1000 for value in figures.of(part, ours)], '{:.2f}')} us, "
                      f"{statistics.median(ratios):.1f} times the bare copy",
            "aim": f"at most {aim:.1f} us", "holds": p50 <= aim}


def core_rows(rows):
    part, figures = "cores", rows.figures
    bare = ["bare one core ns", "bare two cores ns"]

    def factor(both, one):
        return figures.ratios(part, one, both)

    rows.shown(part, "a line of the CPU's cache, from one core to the other", "line handed over ns", "{:.0f} ns")
    rows.add(part, "bare copy, two cores against one", bare, lambda: {
        "figure": spread(factor("bare two cores ns", "bare one core ns"), "{:.2f}") + " times the rate"})
    for volumes, name in (("one volume", "one volume"), ("two volumes", "a volume each")):
        def make(volumes=volumes):
            ours = factor(f"{volumes} two cores ns", "one volume one core ns")
            ratios = [a / b for a, b in zip(ours, factor("bare two cores ns", "bare one core ns"))]
            return {"figure": f"{spread(ours, '{:.2f}')} times one core's rate, {percent(ratios)} of the bare copy's factor",
                    "aim": f"at least {100 * cases.AIM_TWO_CORES:.0f} %",
                    "holds": statistics.median(ratios) >= cases.AIM_TWO_CORES}
        rows.add(part, f"4 KiB write, depth 32, two cores, {name}",
                 [*bare, "one volume one core ns", f"{volumes} two cores ns"], make)


def instruction_rows(rows):
    for name in cases.COUNTED:
        rows.shown("instructions", f"instructions, {name}", name, "{:.0f}")


def read_rows(rows):
    rows.shown("reads", "bare 4 KiB copy out of the cache's memory", "bare read ns", "{:.0f} ns")
    for kind, name in (("plain", ""), ("crc", ", checksums")):
        rows.rate("reads", f"read hit{name}", f"{kind} read hit ns", "bare read ns", "the bare copy's rate",
                  cases.AIM_READ_HIT if kind == "plain" else None)
    for kind, name in (("plain", ""), ("crc", ", checksums")):
        figure = f"{kind} recovered keys/s"
        rows.add("reads", f"recovery, one core{name}", [figure], lambda figure=figure: {
            "figure": spread([value / 1e6 for value in rows.figures.of("reads", figure)], "{:.1f}") + " M keys/s",
            "aim": f"at least {cases.AIM_RECOVERY / 1e6:.0f} M",
            "holds": rows.figures.median("reads", figure) >= cases.AIM_RECOVERY})


def in_place_rows(rows):
    for kind, name in (("plain", ""), ("crc", ", checksums")):
        rows.rate("in-place", f"128 KiB read hit to a loopback socket, from where it lies{name}", f"{kind} in place ns",
                  f"{kind} copied ns", "the rate with a copy")


def joined_rows(rows):
    part = "joined"
    rows.add(part, "through Engine and Volume: 4 KiB write, depth 1, p50",
             ["joined write depth 1 p50 ns", "alone write depth 1 p50 ns"], lambda: {
                 "figure": f"{spread([ns / 1000 for ns in rows.figures.of(part, 'joined write depth 1 p50 ns')], '{:.2f}')} us, "
                           f"{percent(rows.figures.ratios(part, 'joined write depth 1 p50 ns', 'alone write depth 1 p50 ns'))} "
                           "of what the cache alone takes",
                 "aim": f"at most {cases.AIM_DEPTH_1_US} us",
                 "holds": rows.figures.median(part, "joined write depth 1 p50 ns") <= cases.AIM_DEPTH_1_US * 1000})
    rows.rate(part, "through Engine and Volume: 4 KiB write, depth 32", "joined write depth 32 ns",
              "alone write depth 32 ns", "the cache's rate alone")
    rows.rate(part, "through Engine and Volume: 4 KiB write, depth 32, beside the copy", "joined write depth 32 ns",
              "bare copy ns", "the bare copy's rate", cases.AIM_DEPTH_32)
    rows.rate(part, "through Engine and Volume: read hit", "joined read hit ns", "alone read hit ns",
              "the cache's rate alone")


def index_rows(rows):
    part, figures = "index", rows.figures
    sizes = [gib * cases.EXTENTS_OF_A_GIB for gib in cases.INDEX_GIB]
    full = [figure for (of, figure) in figures.values if of == part and figure.endswith(" highest")]
    rows.add(part, "index, bytes of memory for each cached 4 KiB, highest while it fills", full or ["none"], lambda: {
        "figure": ", ".join(f"{figures.median(part, figure):.1f} ({one_block_in(figure)})" for figure in sorted(full)),
        "aim": f"at most {cases.BOUND_INDEX_BYTES}", "stated_bound": True,
        "holds": max(figures.median(part, figure) for figure in full) <= cases.BOUND_INDEX_BYTES})
    for name, what in (("bare_random_line", "bare access to a random line of as much memory"),
                       ("look_up", "look-up"), ("publish_in_turns", "publish, turns of 32")):
        told = [f"{name}/{size} ns" for size in sizes if figures.has(part, f"{name}/{size} ns")]
        if not told and part not in figures.troubles:
            continue  # not of this form
        rows.add(part, f"index, {what}, {', '.join(map(str, cases.INDEX_GIB[:len(told)]))} GiB of cache", told or ["none"],
                 lambda name=name, told=told: growth(figures, name, told))


def one_block_in(figure):
    tenths = int(figure.split("/")[2].split(" ")[0])
    return "all blocks cached" if tenths == 10 else f"one block in {tenths // 10} cached"


def growth(figures, name, told):
    made = {"figure": " / ".join(f"{figures.median('index', figure):.0f}" for figure in told) + " ns"}
    if name == "bare_random_line" or len(told) < 2:
        return made

    def times(what):
        first, last = (figure.replace(name, what) for figure in (told[0], told[-1]))
        return figures.median("index", last) / figures.median("index", first)
    beyond = times(name) / max(1.0, times("bare_random_line"))
    made["figure"] += f", grows by {times(name):.2f} where a bare access grows by {times('bare_random_line'):.2f}"
    made.update(aim=f"flat: at most {cases.AIM_INDEX_GROWTH} times that", holds=beyond <= cases.AIM_INDEX_GROWTH)
    return made


def write_back_rows(rows):
    part = "write-back"
    rows.shown(part, "plain writer to the same file, 1 MiB at a time, O_DIRECT, in order, out of the cache's memory", "plain writer MB/s",
               "{:.0f} MB/s")
    rows.shown(part, "the same out of one MiB, which is in the CPU's cache", "plain writer out of the CPU's cache MB/s", "{:.0f} MB/s")
    for kind, checked in (("plain", ""), ("crc", ", checksums")):
        for pattern in ("128 KiB in order", "4 KiB in order", "4 KiB shuffled"):
            figure = f"{kind} {pattern} MB/s"

            def make(figure=figure, kind=kind):
                # The plain writer comes twice in a repeat: before those without checksums, and before those with.
                plain = rows.figures.of(part, "plain writer MB/s")[0 if kind == "plain" else 1::2]
                ratios = [ours / base for ours, base in zip(rows.figures.of(part, figure), plain)]
                return {"figure": f"{spread(rows.figures.of(part, figure), '{:.0f}')} MB/s, {percent(ratios)} of it, "
                                  f"{rows.figures.median(part, figure.replace('MB/s', 'CPU ms')):.0f} ms of CPU",
                        "aim": f"at least {100 * cases.AIM_WRITE_BACK:.0f} %",
                        "holds": statistics.median(ratios) >= cases.AIM_WRITE_BACK}
            rows.add(part, f"write-back of writes of {pattern}{checked}", [figure, "plain writer MB/s"], make)


def hit_ratio_rows(rows):
    part, figures = "hit ratio", rows.figures
    for skew in ("0.9", "1.1"):
        for when in ("before", "beside"):
            names = {who: figure for (of, figure) in figures.values if of == part
                     for who in ("fifo", "lru", "forebay") if f"zipf({skew})" in figure and f"{who} {when}" in figure}
            needed = list(names.values()) if len(names) == 3 else ["none"]

            def make(names=names):
                value = {who: figures.median(part, figure) for who, figure in names.items()}
                return {"figure": f"{value['forebay']:.1f} %; plain FIFO {value['fifo']:.1f}, LRU {value['lru']:.1f}",
                        "aim": "neither of them higher", "holds": value["forebay"] >= max(value["fifo"], value["lru"])}
            rows.add(part, f"hits of zipf({skew}) reads {when} a scan of everything", needed, make)


def page_rows(rows):
    part = "pages"
    for depth in (1, 32):
        ours, bare = (f"pages {who} depth {depth} writes/s" for who in ("cache", "bare"))
        rows.add(part, f"cache in an ordinary file, depth {depth}", [ours, bare], lambda ours=ours, bare=bare: {
            "figure": f"{spread(rows.figures.of(part, ours), '{:.0f}')} writes/s, "
                      f"{percent(rows.figures.ratios(part, ours, bare))} of pwrite and fdatasync"})


def published_rows(rows):
    ours = "hot plain depth 32 ns"
    ours_crc = "hot crc depth 32 ns"
    p50 = "hot plain depth 1 p50 ns"
    published = "; ".join(f"{name} {us:.0f} us, {iops / 1e6:.2f} M IOPS = {iops / cases.PUBLISHED_JOBS / 1e3:.0f} K a job"
                          for name, (us, iops) in cases.PUBLISHED.items())
    rows.add("writes", f"published, 4 KiB random write, {cases.PUBLISHED_JOBS} jobs: {published}", [ours, ours_crc, p50],
             lambda: {"figure": f"{rows.figures.median('writes', p50) / 1000:.2f} us at depth 1, "
                                f"{1e6 / rows.figures.median('writes', ours):.0f} K IOPS a core at depth 32 "
                                f"({1e6 / rows.figures.median('writes', ours_crc):.0f} K with checksums)"})


def rows_of(figures):
    rows = Rows(figures)
    for some in (write_rows, core_rows, joined_rows, instruction_rows, read_rows, in_place_rows, index_rows, write_back_rows,
                 hit_ratio_rows, page_rows, published_rows):
        some(rows)
    return rows.rows


def as_text(rows, figures, machine, repeats, kind_of_memory):
    missed = [row for row in rows if row.holds is False]
    unmeasured = [row for row in rows if not row.measured]
    lines = [f"{machine['cpu']}, {machine['processors']} processors, kernel {machine['kernel']}, "
             f"load average before {machine['load_average_before']}",
             f"Medians (lowest-highest) of {repeats} repeats; each ratio is of one repeat. Caches {kind_of_memory}; "
             "cache-line granularity forced.",
             "",
             "| what | figure | aim | |", "|---|---|---|---|",
             *[f"| {row.what} | {row.figure} | {row.aim} | {row.verdict} |" for row in rows],
             ""]
    lines += [f"{part}: {why}" for part, why in figures.troubles.items()]
    lines += [f"{row.verdict}: {row.what}: {row.figure}; {row.aim}" for row in missed]
    judged = sum(row.holds is not None for row in rows)
    lines.append(f"{judged - len(missed)} of {judged} aims hold, {len(missed)} missed, {len(unmeasured)} rows not measured.")
    if machine["load_average_before"] > 0.5:
        lines.append("The machine was not quiet when this began: trust the ratios more than the figures, and neither much.")
    return "\n".join(lines)


def as_data(rows, figures, machine):
    return {"machine": machine,
            "figures": [{"part": part, "figure": figure, "values": values}
                        for (part, figure), values in figures.values.items()],
            "rows": [{**dataclasses.asdict(row), "verdict": row.verdict} for row in rows],
            "troubles": figures.troubles}
