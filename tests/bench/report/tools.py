"""Calls of forebay-load and forebay-ceiling, and what is read from the machine."""
import json
import os
import pathlib
import platform
import resource
import subprocess
import time

TARGET_CPU = 0
CLIENT_CPU = 1
WARMUP_SECONDS = 0.2
CONNECT_SECONDS = 60


class Failed(Exception):
    """Something did not work; the text is for the person at the terminal."""


def machine(load_before):
    model = "unknown"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return {"cpu": model, "processors": os.cpu_count(), "kernel": platform.release(),
            "load_average_before": round(load_before, 2)}


def established(port):
    """TCP connections to a local port, counted on the server's side."""
    wanted = f":{port:04X}"
    count = 0
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        count += fields[1].endswith(wanted) and fields[3] == "01"
    return count


def children_cpu_seconds():
    """Of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Tools:
    def __init__(self, folder):
        self.load_binary = str(folder / "tests/bench/forebay-load")
        self.ceiling_binary = str(folder / "tests/bench/forebay-ceiling")

    @staticmethod
    def run_json(command):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}{done.stdout}")
        return json.loads(done.stdout)

    def echo(self, case, seconds):
        return self.run_json([self.ceiling_binary, "echo", "--direction", case.direction,
                              "--block-size", str(case.block_bytes), "--depth", str(case.depth),
                              "--seconds", str(seconds), "--warmup", str(WARMUP_SECONDS),
                              "--server-cpu", str(TARGET_CPU), "--client-cpu", str(CLIENT_CPU)])

    def copy(self):
        return self.run_json([self.ceiling_binary, "copy"])

    def load_command(self, served):
        return [self.load_binary, "--address", "127.0.0.1", "--port", str(served.port),
                "--subsystem", "nqn.2026-11.com.example:bench", "--json", "-", "--quiet"]

    def case_command(self, case, served, seconds, digests=False, poll=True):
        return self.load_command(served) + [
            "--cpu", str(CLIENT_CPU), "--depth", str(case.depth),
            "--block-size", str(case.block_bytes), "--pattern", case.pattern,
            "--mix", "100" if case.direction == "read" else "0",
            "--warmup", str(WARMUP_SECONDS), "--duration", str(seconds),
        ] + (["--poll"] if poll else []) + (["--digests", "header,data"] if digests else [])

    def load(self, case, served, seconds, digests, poll=True):
        target, client, start = served.cpu_seconds(), children_cpu_seconds(), time.monotonic()
        report = self.run_json(self.case_command(case, served, seconds, digests, poll))
        took = time.monotonic() - start
        figures = report[case.direction]
        return {"per_second": figures["iops"], "mib_per_s": figures["mib_per_s"],
                "p50_us": figures["latency_us"]["p50"], "p99_us": figures["latency_us"]["p99"],
                "p999_us": figures["latency_us"]["p99.9"], "max_us": figures["latency_us"]["max"],
                "target_busy": 100 * (served.cpu_seconds() - target) / took,
                "client_busy": 100 * (children_cpu_seconds() - client) / took}

    def fill(self, served, size_mib):
        """Every block of the volume is written once, so that reads touch real pages."""
        self.run_json(self.load_command(served) + [
            "--depth", "16", "--block-size", "128KiB", "--pattern", "sequential", "--mix", "0",
            "--count", str(size_mib * 8)])

    def idle_cpu_percent(self, served, hosts, seconds):
        hold = None
        if hosts != 0:
            hold = subprocess.Popen(
                self.load_command(served) + ["--idle", "--connections", str(hosts), "--keep-alive", "5",
                                             "--duration", "3600"],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            end = time.monotonic() + CONNECT_SECONDS
            while hold is not None and established(served.port) < 2 * hosts:  # admin and one I/O queue each
                if hold.poll() is not None or time.monotonic() > end:
                    raise Failed(f"{hosts} idle hosts did not connect: {hold.communicate(timeout=5)[1]}")
                time.sleep(0.05)
            before, start = served.cpu_seconds(), time.monotonic()
            time.sleep(seconds)
            used, took = served.cpu_seconds() - before, time.monotonic() - start
            if hold is not None and hold.poll() is not None:
                raise Failed(f"idle hosts lost their connection: {hold.communicate()[1]}")
            return 100 * used / took
        finally:
            if hold is not None:
                hold.terminate()
                hold.communicate(timeout=CONNECT_SECONDS)
