"""Medians, ratios, the verdicts on bounds and aims, and how all of it is printed."""
import dataclasses
import statistics

import cases


class Row:
    """All repeats of one case; kinds are echo, plain and digests."""

    def __init__(self, case, samples):
        self.case = case
        self.samples = samples

    def values(self, kind, figure):
        return [sample[figure] for sample in self.samples[kind]]

    def median(self, kind, figure):
        return statistics.median(self.values(kind, figure))

    def ratio(self, kind, figure):
        """Median of the ratios to the echo measured just before: both saw the same machine."""
        pairs = zip(self.values(kind, figure), self.values("echo", figure))
        return statistics.median(ours / echo if echo else 0.0 for ours, echo in pairs)


@dataclasses.dataclass(frozen=True)
class Judgement:
    text: str
    stated_bound: bool  # a bound fails --check, an aim is only reported
    holds: bool
    case: cases.Case | None = None  # whose profile explains a missed aim


def judge_saturation(samples):
    """`samples`: of cases.SATURATION."""
    target, client, per_second = (statistics.median(sample[figure] for sample in samples)
                                  for figure in ("target_busy", "client_busy", "per_second"))
    ratio = client / target if target else 9.99
    return Judgement(f"one core of the client saturates one core of the target: {cases.SATURATION.name}: "
                     f"{per_second / 1000:.0f} K/s with the target's core {target:.0f} % and the client's {client:.0f} % "
                     f"busy, ratio {ratio:.2f}, aim {cases.AIM_CLIENT_TO_TARGET}",
                     False, ratio <= cases.AIM_CLIENT_TO_TARGET, cases.SATURATION)


def judge_neighbour(alone, beside):
    """`beside` and `alone`: of cases.NEIGHBOUR, with stuck hosts and without any, of the same repeats."""
    slowest, percentile = (statistics.median(sample[figure] for sample in beside) for figure in ("max_us", "p999_us"))
    ratio, ratio_alone = (statistics.median(sample["max_us"] / sample["p999_us"] for sample in samples)
                          for samples in (beside, alone))
    return Judgement(f"{cases.NEIGHBOUR.name}: max {slowest:.0f} us, p99.9 {percentile:.0f} us, ratio {ratio:.1f} "
                     f"(alone {ratio_alone:.1f}), aim {cases.AIM_NEIGHBOUR_MAX_TO_P999}",
                     False, ratio <= cases.AIM_NEIGHBOUR_MAX_TO_P999, cases.NEIGHBOUR)


def judge(rows, idle):
    judged = [Judgement(f"idle with {cases.IDLE_BOUND_HOSTS} connected hosts: "
                        f"{idle[cases.IDLE_BOUND_HOSTS]:.2f} % of a core, bound {cases.IDLE_BOUND_PERCENT} %",
                        True, idle[cases.IDLE_BOUND_HOSTS] < cases.IDLE_BOUND_PERCENT)]
    for row in rows:
        if row.case.depth == 1:
            ratio = row.ratio("plain", "p50_us")
            judged.append(Judgement(f"{row.case.name}: p50 {ratio:.2f} x the bare echo, "
                                    f"aim {cases.AIM_DEPTH_1_LATENCY} x",
                                    False, ratio <= cases.AIM_DEPTH_1_LATENCY, row.case))
        if row.case.depth == 32:
            ratio = row.ratio("plain", "per_second")
            judged.append(Judgement(f"{row.case.name}: {100 * ratio:.0f} % of the bare echo, "
                                    f"aim {100 * cases.AIM_DEPTH_32_RATE:.0f} %",
                                    False, ratio >= cases.AIM_DEPTH_32_RATE, row.case))
    return judged


def rate_text(row, kind):
    figure = "mib_per_s" if row.case.block_bytes > 4096 else "per_second"
    scale, unit = (1, "MiB/s") if row.case.block_bytes > 4096 else (1000, "K/s")
    values = [value / scale for value in row.values(kind, figure)]
    return f"{statistics.median(values):.0f} ({min(values):.0f}-{max(values):.0f}) {unit}"


def case_line(row):
    line = f"| {row.case.name} | {rate_text(row, 'echo')} |"
    for kind in ("plain", "digests"):
        line += f" {rate_text(row, kind)} | {100 * row.ratio(kind, 'per_second'):.0f} % |"
    return line + f" {row.median('plain', 'target_busy'):.0f} / {row.median('plain', 'client_busy'):.0f} % |"


def latency_line(row):
    line = f"| {row.case.name} | {row.median('echo', 'p50_us'):.1f} / {row.median('echo', 'p99_us'):.1f} |"
    for kind in ("plain", "digests"):
        line += (f" {row.median(kind, 'p50_us'):.1f} / {row.median(kind, 'p99_us'):.1f} |"
                 f" {row.ratio(kind, 'p50_us'):.2f} |")
    return line


def verdict(judgement):
    if judgement.holds:
        return "holds"
    return "FAILED BOUND" if judgement.stated_bound else "missed aim"


def as_text(rows, idle, copy, judged, machine, profiles):
    """`profiles`: lines by case name."""
    repeats = len(rows[0].samples["echo"]) if rows else 0
    lines = [f"{machine['cpu']}, {machine['processors']} processors, kernel {machine['kernel']}, "
             f"load average before {machine['load_average_before']}",
             f"Median (lowest-highest) of {repeats} interleaved repeats; ratios are to the bare echo of the same repeat.",
             "",
             "| rate | bare echo | forebayd | of echo | with digests | of echo | CPU of target / polling client |",
             "|---|---|---|---|---|---|---|",
             *[case_line(row) for row in rows],
             "",
             "| latency p50 / p99, us | bare echo | forebayd | p50 to echo | with digests | p50 to echo |",
             "|---|---|---|---|---|---|",
             *[latency_line(row) for row in rows if row.case.depth == 1],
             "",
             "CPU when idle: " + ", ".join(f"{percent:.2f} % of a core with {hosts} connected hosts"
                                           for hosts, percent in idle.items()),
             f"4 KiB copy to mapped memory with a fence: {copy['sequential_ns']:.0f} ns sequential, "
             f"{copy['sequential_with_crc_ns']:.0f} ns with CRC-32C, {copy['random_ns']:.0f} ns random",
             ""]
    for judgement in judged:
        lines.append(f"{verdict(judgement)}: {judgement.text}")
        if not judgement.holds and judgement.case is not None:
            lines += [f"    {line}" for line in profiles.get(judgement.case.name, [])]
    if machine["load_average_before"] > 0.5:
        lines.append("The machine was not quiet when this began: trust the ratios more than the figures, and neither much.")
    return "\n".join(lines)


def as_data(rows, idle, copy, judged, machine, profiles):
    return {
        "machine": machine,
        "cases": [{**dataclasses.asdict(row.case), "samples": row.samples,
                   "ratio_to_echo": {kind: {"per_second": round(row.ratio(kind, "per_second"), 4),
                                            "p50": round(row.ratio(kind, "p50_us"), 4)}
                                     for kind in ("plain", "digests")}}
                  for row in rows],
        "idle_cpu_percent": {str(hosts): round(percent, 4) for hosts, percent in idle.items()},
        "copy": copy,
        "judged": [dataclasses.asdict(judgement) for judgement in judged],
        "profiles": profiles,
    }
