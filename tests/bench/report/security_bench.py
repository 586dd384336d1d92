"""What digests, TLS and authentication cost beside a plain connection, in one run: by I/O, and by connection that is set up.

Each kind of a case is measured directly after the others; a ratio is the median of the repeats' ratios to plain. Beside it stands what
the cipher alone takes on the target's core for the same bytes (`forebay-ceiling cipher`), which bounds what TLS can reach."""
import base64
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import zlib

import cases
import daemon
import profile
import tools

HOST = "nqn.2026-11.com.example:bench-host"
# Aims: digests cost at most this part of the rate at depth 32; what TLS adds to an I/O at depth 32 is at most what its cipher
# alone takes, but for what machines differ by from one second to the next.
AIM_DIGESTS = 0.10
AIM_TLS_NOISE = 0.05

ALL = [
    cases.Case("4 KiB random read, depth 1", "read", 4096, 1),
    cases.Case("4 KiB random read, depth 32", "read", 4096, 32),
    cases.Case("4 KiB random write, depth 1", "write", 4096, 1),
    cases.Case("4 KiB random write, depth 32", "write", 4096, 32),
    cases.Case("128 KiB sequential read, depth 16", "read", 131072, 16, "sequential"),
    cases.Case("128 KiB sequential write, depth 16", "write", 131072, 16, "sequential"),
]


# Of Diffie-Hellman in DH-HMAC-CHAP.
GROUPS = ("null", "ffdhe2048")


@dataclasses.dataclass(frozen=True)
class Kind:
    """How a host connects."""
    name: str
    arguments: tuple = ()
    cipher: str = ""  # of forebay-ceiling's figures, for one pass over an I/O's bytes
    listener: str = "plain"
    host: str = HOST


def key_text(size):
    """A TLS key as nvme-cli makes them, of `size` bytes; retained with the hash that goes with its size."""
    key = bytes(range(size))
    body = base64.b64encode(key + zlib.crc32(key).to_bytes(4, "little")).decode()
    return f"NVMeTLSkey-1:{'01' if size == 32 else '02'}:{body}:"


def dhchap_text():
    key = bytes(range(32))
    return f"DHHC-1:01:{base64.b64encode(key + zlib.crc32(key).to_bytes(4, 'little')).decode()}:"


class Served(daemon.Daemon):
    """The usual daemon of the benches, which has a listener with TLS too."""

    def __init__(self, binary, work, size_mib):
        super().__init__(binary, work, size_mib)
        self.tls_port = daemon.free_port()
        config = json.loads(self.config.read_text().replace("1: {", '"1": {'))
        config["listeners"]["tls"] = {"protocol": "nvme-tcp", "address": "127.0.0.1", "port": self.tls_port, "tls": "required"}
        config["subsystems"][daemon.SUBSYSTEM]["listeners"].append("tls")
        self.keys = {}
        for suite, size in (("128", 32), ("256", 48)):
            path = work / f"key-{suite}"
            path.write_text(key_text(size) + "\n")
            path.chmod(0o600)
            self.keys[suite] = path
        config["hosts"] = {"bench": {"nqn": HOST, "tls_psk": [f"file:{path}" for path in self.keys.values()]}}
        secret = work / "dhchap"
        secret.write_text(dhchap_text() + "\n")
        secret.chmod(0o600)
        self.keys["dhchap"] = secret
        for group in GROUPS:
            config["hosts"][group] = {"nqn": f"{HOST}-{group}", "dhchap": {"key": f"file:{secret}", "hash": "sha256",
                                                                            "dhgroup": "none" if group == "null" else group}}
        self.config.write_text(json.dumps(config, indent=1).replace('"1": {', "1: {"))

    def kinds(self):
        """Of I/O, plain first. DH-HMAC-CHAP is none: a queue that has proved itself is a plain one from there on."""
        return [Kind("plain"),
                Kind("digests", ("--digests", "header,data"), "crc32c"),
                Kind("TLS, AES-128-GCM", ("--tls-key", str(self.keys["128"])), "aes_128_gcm", "tls"),
                Kind("TLS, AES-256-GCM", ("--tls-key", str(self.keys["256"])), "aes_256_gcm", "tls")]

    def set_ups(self):
        proving = [Kind(f"DH-HMAC-CHAP, SHA-256, {group}", ("--dhchap-key", str(self.keys["dhchap"]), "--dhchap-group", group), host=f"{HOST}-{group}")
                   for group in GROUPS]
        plain, _, *tls = self.kinds()
        return [plain, *proving, *tls]


class Measure:
    def __init__(self, folder, served, seconds):
        self.tools = tools.Tools(folder)
        self.served = served
        self.seconds = seconds

    def arguments(self, kind):
        port = self.served.tls_port if kind.listener == "tls" else self.served.port
        return ["--hostnqn", kind.host, "--port", str(port), *kind.arguments]

    def io(self, case, kind):
        target = self.served.cpu_seconds()
        report = tools.Tools.run_json(self.tools.case_command(case, self.served, self.seconds) + self.arguments(kind))
        figures = report[case.direction]
        return {"per_second": figures["iops"], "mib_per_s": figures["mib_per_s"], "p50_us": figures["latency_us"]["p50"],
                "p99_us": figures["latency_us"]["p99"],
                "target_busy": 100 * (self.served.cpu_seconds() - target) / (self.seconds + tools.WARMUP_SECONDS)}

    def set_up(self, kind, count):
        """One after the other: a second, and what each takes of the target's core."""
        target = self.served.cpu_seconds()
        command = ["taskset", "-c", str(tools.CLIENT_CPU), *self.tools.load_command(self.served), *self.arguments(kind), "--setups", str(count)]
        rate = tools.Tools.run_json(command)["setups_per_second"]
        return {"per_second": rate, "target_us": 1e6 * (self.served.cpu_seconds() - target) / count}

    def cipher(self, block_bytes, total_mib):
        return tools.Tools.run_json(["taskset", "-c", str(tools.TARGET_CPU), self.tools.ceiling_binary, "cipher",
                                     "--block-size", str(block_bytes), "--bytes", f"{total_mib}MiB"])


@dataclasses.dataclass
class Row:
    case: cases.Case
    samples: dict  # by kind's name
    ciphers: list  # forebay-ceiling's figures of the same repeats

    def median(self, kind, figure):
        return statistics.median(sample[figure] for sample in self.samples[kind.name])

    def ratio(self, kind, figure):
        """To plain."""
        return statistics.median(ours[figure] / plain[figure] for ours, plain in zip(self.samples[kind.name], self.samples["plain"]))

    def cipher_us(self, kind):
        return statistics.median(figures[f"{kind.cipher}_ns"] for figures in self.ciphers) / 1000

    def implied(self, kind):
        """What part of plain's rate is left if an I/O takes longer by its cipher alone; the median of the repeats."""
        return statistics.median(1 / (1 + plain["per_second"] * figures[f"{kind.cipher}_ns"] / 1e9)
                                 for plain, figures in zip(self.samples["plain"], self.ciphers))


@dataclasses.dataclass(frozen=True)
class Verdict:
    text: str
    holds: bool
    case: cases.Case
    kind: Kind
    profile: list = dataclasses.field(default_factory=list)  # of a missed aim


def judge(rows, kinds):
    verdicts = []
    for row in rows:
        if row.case.depth != 32:
            continue
        for kind in kinds[1:]:
            ratio, implied = row.ratio(kind, "per_second"), row.implied(kind)
            if kind.name == "digests":
                verdicts.append(Verdict(f"{row.case.name}: digests leave {100 * ratio:.0f} % of the rate, aim {100 * (1 - AIM_DIGESTS):.0f} %",
                                        ratio >= 1 - AIM_DIGESTS, row.case, kind))
            else:
                verdicts.append(Verdict(f"{row.case.name}: {kind.name} leaves {100 * ratio:.0f} % of the rate, its cipher alone would leave "
                                        f"{100 * implied:.0f} %", ratio >= implied * (1 - AIM_TLS_NOISE), row.case, kind))
    return verdicts


def as_text(rows, kinds, set_ups, verdicts, machine):
    lines = [f"Security, {machine['cpu']}, {machine['processors']} processors, kernel {machine['kernel']}, load before {machine['load_average_before']}", "",
             "| case | connection | rate | p50 / p99 us | of plain | cipher alone, us | that would leave |", "| --- | --- | ---: | ---: | ---: | ---: | ---: |"]
    for row in rows:
        large = row.case.block_bytes > 4096
        rate, unit, scale = ("mib_per_s", "MiB/s", 1) if large else ("per_second", "K/s", 1000)
        for kind in kinds:
            latency = f"{row.median(kind, 'p50_us'):.0f} / {row.median(kind, 'p99_us'):.0f}"
            cells = [row.case.name, kind.name, f"{row.median(kind, rate) / scale:.1f} {unit}", latency, f"{100 * row.ratio(kind, 'per_second'):.0f} %"]
            cells += [f"{row.cipher_us(kind):.2f}", f"{100 * row.implied(kind):.0f} %"] if kind.cipher else ["", ""]
            lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| connections set up one after the other | a second | of the target's core, us each |", "| --- | ---: | ---: |"]
    for name, samples in set_ups.items():
        lines.append(f"| {name} | {statistics.median(s['per_second'] for s in samples):.0f} | {statistics.median(s['target_us'] for s in samples):.0f} |")
    lines.append("")
    for verdict in verdicts:
        lines.append(f"{'holds' if verdict.holds else 'missed aim'}: {verdict.text}")
        lines += [f"    {line}" for line in verdict.profile]
    return "\n".join(lines)


def run(folder, arguments, say):
    machine = tools.machine(os.getloadavg()[0])
    size = 64 if arguments.smoke else arguments.size
    seconds = 0.2 if arguments.smoke else arguments.seconds
    total_mib, count = (16, 20) if arguments.smoke else (256, 500)
    chosen = [ALL[1], ALL[5]] if arguments.smoke else ALL
    with tempfile.TemporaryDirectory(prefix="forebay-bench-") as work:
        with Served(folder / "target/forebayd", pathlib.Path(work), size) as served:
            measure = Measure(folder, served, seconds)
            measure.tools.fill(served, size)
            kinds = served.kinds()
            rows = [Row(case, {kind.name: [] for kind in kinds}, []) for case in chosen]
            set_ups = {kind.name: [] for kind in served.set_ups()}
            for repeat in range(arguments.repeats):
                for row in rows:
                    say(f"repeat {repeat + 1} of {arguments.repeats}: {row.case.name}")
                    row.ciphers.append(measure.cipher(row.case.block_bytes, total_mib))
                    for kind in kinds:
                        row.samples[kind.name].append(measure.io(row.case, kind))
                for kind in served.set_ups():
                    say(f"repeat {repeat + 1} of {arguments.repeats}: set up, {kind.name}")
                    set_ups[kind.name].append(measure.set_up(kind, count))
            verdicts = judge(rows, kinds)
            for verdict in verdicts:
                if not verdict.holds and not arguments.smoke:
                    say(f"profile: {verdict.case.name}, {verdict.kind.name}")
                    verdict.profile.extend(profile.take(measure.tools, served, verdict.case, *measure.arguments(verdict.kind)))
    say("")
    text = as_text(rows, kinds, set_ups, verdicts, machine)
    if arguments.json != "-":
        print(text)
    if arguments.text:
        pathlib.Path(arguments.text).write_text(text + "\n")
    data = json.dumps({"machine": machine, "rows": [dataclasses.asdict(row) for row in rows], "set_ups": set_ups,
                       "judged": [dataclasses.asdict(verdict) for verdict in verdicts]}, indent=1)
    if arguments.json == "-":
        print(data)
    elif arguments.json:
        pathlib.Path(arguments.json).write_text(data + "\n")
