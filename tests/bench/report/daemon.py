"""A forebayd with one volume in memory, on a processor of its own."""
import json
import pathlib
import signal
import socket
import subprocess
import time

import tools

SUBSYSTEM = "nqn.2026-11.com.example:bench"
START_SECONDS = 30
STOP_SECONDS = 15


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Daemon:
    """Started and listening inside the `with`; stopped after it."""

    def __init__(self, binary, work, size_mib):
        if not binary.exists():
            raise tools.Failed(f"{binary} is missing; build it, or leave out --no-build")
        self.port = free_port()
        self.config = work / "forebay.yaml"
        self.log = work / "forebayd.log"
        self.command = [str(binary), str(self.config)]
        # JSON is YAML, and quotes everything that needs it.
        self.config.write_text(json.dumps({
            "apiVersion": "forebay/v1",
            "node": "bench",
            "reactors": {"count": 1, "cpus": str(tools.TARGET_CPU)},
            "memory": "1GiB",
            "listeners": {"bench": {"protocol": "nvme-tcp", "address": "127.0.0.1", "port": self.port}},
            "pools": {"ram": {"kind": "memory"}},
            "volumes": {"bench": {"pool": "ram", "size": f"{size_mib}MiB", "block_size": 4096}},
            "subsystems": {SUBSYSTEM: {"listeners": ["bench"], "allow_any_host": True,
                                       "namespaces": {"1": {"volume": "bench"}}}},
            "control": {"socket": str(work / "control.sock")},
        }, indent=1).replace('"1": {', "1: {"))

    def __enter__(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(["taskset", "-c", str(tools.TARGET_CPU), *self.command],
                                            stdout=log, stderr=log)
        end = time.monotonic() + START_SECONDS
        while not self.listens():
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise tools.Failed(f"forebayd does not serve:\n{self.tail()}")
            time.sleep(0.01)
        return self

    def __exit__(self, kind, value, trace):
        code = self.stop()
        if kind is None and code != 0:
            raise tools.Failed(f"forebayd ended with {code}:\n{self.tail()}")

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    def tail(self):
        return "\n".join(pathlib.Path(self.log).read_text(errors="replace").splitlines()[-20:])

    def cpu_seconds(self):
        """Time on a processor of all its threads, since each began."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except (FileNotFoundError, ProcessLookupError):  # the thread has just ended
                continue
        return total / 1e9
