"""The daemon watched as an operator watches it, by Debian's Prometheus with the rules and the dashboards that ship: under load no
panel is empty, and alerts fire on faults of their own kind. In the rules only the time that a fault has to last is shorter."""
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

PATIENCE_S = 90.0
SUBSYSTEM = "nqn.2026-11.com.example:watched"
HOST = "nqn.2026-11.com.example:host"
# An address of nobody.
ABSENT = "192.0.2.77"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def await_holds(holds: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S:.0f} s in vain: {what()}"
        time.sleep(0.2)


class Daemon:
    """Over a pool in a directory and a cache in a file, with metrics."""

    def __init__(self, programs: dict[str, Path], folder: Path):
        self._programs, self._folder = programs, folder
        self.port, self.metrics_port = free_port(), free_port()
        self.process: subprocess.Popen | None = None
        for name in ("pool", "state"):
            (folder / name).mkdir()
        self._tool("forebayctl", "pool", "init", folder / "pool")
        self._tool("forebay-media", "format", "--size", "64MiB", "--checksums", folder / "front")
        self.config: dict = {
            "apiVersion": "forebay/v1", "node": "watched", "reactors": {"count": 1}, "memory": "256MiB",
            "listeners": {"io": {"protocol": "nvme-tcp", "address": "127.0.0.1", "port": self.port}},
            "cache_devices": {"front": {"path": str(folder / "front")}},
            "pools": {"files": {"kind": "file", "directory": str(folder / "pool")}},
            "volumes": {"data": {"pool": "files", "size": "96MiB", "cache": {"device": "front", "max_dirty_age": "1s"}}},
            "subsystems": {SUBSYSTEM: {"listeners": ["io"], "allow_any_host": True, "namespaces": {1: {"volume": "data"}}}},
            "metrics": {"address": "127.0.0.1", "port": self.metrics_port, "stages": ["data"]},
            "control": {"socket": str(folder / "control.sock")}}

    def start(self) -> None:
        path = self._folder / "forebay.yaml"
        # JSON is YAML, too; but an NSID is no string.
        path.write_text(re.sub(r'"(\d+)": ', r'\1: ', json.dumps(self.config)))
        with open(self._folder / "forebayd.log", "ab") as log:
            self.process = subprocess.Popen([self._programs["forebayd"], path], stdout=log, stderr=log,
                                            env=os.environ | {"STATE_DIRECTORY": str(self._folder / "state")})
        await_holds(lambda: self.get("/healthz") is not None or self.process.poll() is not None, self.log)
        assert self.process.poll() is None, self.log()

    def end(self, how: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def get(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}{path}", timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def load(self, *options: str, subsystem: str = SUBSYSTEM, host: str = HOST) -> subprocess.Popen:
        return subprocess.Popen([self._programs["forebay-load"], "--port", str(self.port), "--subsystem", subsystem, "--hostnqn", host,
                                 "--quiet", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def log(self) -> str:
        return (self._folder / "forebayd.log").read_text()[-4000:]

    def _tool(self, name: str, *arguments: str | Path) -> None:
        done = subprocess.run([self._programs[name], *arguments], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{name} {arguments}: {done.stdout}{done.stderr}"


class Prometheus:
    """As appliance/prometheus has it, but for the address, a scrape each second, and faults that count at once."""

    def __init__(self, root: Path, folder: Path, target_port: int):
        self.address = f"http://127.0.0.1:{free_port()}"
        config = (root / "appliance/prometheus/prometheus.yml").read_text()
        rules = (root / "appliance/prometheus/forebay.rules.yaml").read_text()
        (folder / "prometheus.yml").write_text(config.replace("15s", "1s").replace("127.0.0.1:9930", f"127.0.0.1:{target_port}"))
        (folder / "forebay.rules.yaml").write_text(re.sub(r"(?m)^( *for:) \w+$", r"\1 1s", rules))
        self._log = folder / "prometheus.log"
        with open(self._log, "wb") as log:
            self.process = subprocess.Popen(["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
                                             f"--web.listen-address={self.address.removeprefix('http://')}", "--log.level=warn"],
                                            stdout=log, stderr=log)

    def firing(self) -> set[str]:
        return {one["metric"]["alertname"] for one in self.query('ALERTS{alertstate="firing"}')}

    def query(self, query: str) -> list[dict]:
        try:
            with urllib.request.urlopen(f"{self.address}/api/v1/query?{urllib.parse.urlencode({'query': query})}", timeout=10) as answer:
                return json.load(answer)["data"]["result"]
        except OSError:
            return []

    def await_firing(self, *alerts: str) -> None:
        await_holds(lambda: set(alerts) <= self.firing(), lambda: f"{sorted(set(alerts) - self.firing())} do not fire\n{self.log()}")

    def log(self) -> str:
        return self._log.read_text()


def check_panels(root: Path, daemon: Daemon, prometheus: Prometheus) -> str:
    """While a host reads and writes."""
    load = daemon.load("--mix", "60", "--depth", "8", "--duration", "60", "--range", "48MiB", "--rate", "2000")
    drawn = [root / "tests/appliance/draw_dashboards.py", "--prometheus", prometheus.address, "--last", "10", "--rate-interval", "5s", "--require"]
    told = ""

    def nothing_is_empty() -> bool:
        nonlocal told
        daemon.load("--count", "1").wait(30)  # one that comes and goes
        done = subprocess.run([sys.executable, *drawn], capture_output=True, text=True, timeout=60, check=False)
        told = done.stdout + done.stderr
        return done.returncode == 0

    try:
        await_holds(lambda: bool(prometheus.query("rate(forebay_volume_reads_total[5s]) > 0")), prometheus.log)
        await_holds(nothing_is_empty, lambda: told)
        assert load.poll() is None, f"the load has ended\n{daemon.log()}"
    finally:
        load.terminate()
        load.wait()
    assert not prometheus.firing() & {"ForebayDown", "ForebayNotReady", "ForebayVolumeNotServed", "ForebayProtocolErrors"}, prometheus.firing()
    return told.splitlines()[0]


def check_alerts(folder: Path, daemon: Daemon, prometheus: Prometheus) -> int:
    fired: list[str] = []

    def expect(*alerts: str) -> None:
        prometheus.await_firing(*alerts)
        fired.extend(alerts)

    def expect_while(act: Callable[[], object], alert: str) -> None:
        def fires() -> bool:
            act()
            return alert in prometheus.firing()
        await_holds(fires, lambda: f"{alert} does not fire")
        fired.append(alert)

    # Hosts that are none, are refused, come again and again.
    expect_while(lambda: _send_garbage(daemon.port), "ForebayProtocolErrors")
    expect_while(lambda: daemon.load("--count", "1", subsystem=SUBSYSTEM + ".not").wait(30), "ForebayLoginsRefused")
    expect_while(lambda: daemon.load("--count", "1").wait(30), "ForebayHostReconnects")
    # One that falls silent.
    silent = daemon.load("--idle", "--keep-alive", "1", "--duration", "120", host=f"{HOST}.silent")
    await_holds(lambda: bool(prometheus.query(f'forebay_host_sessions{{host="{HOST}.silent"}} > 0')), prometheus.log)
    silent.send_signal(signal.SIGSTOP)
    expect("ForebayHostVanished")
    silent.kill()
    silent.wait()
    open_now = len(os.listdir(f"/proc/{daemon.process.pid}/fd"))
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (open_now + 1, open_now + 1))
    expect("ForebayDescriptorsNearLimit")

    daemon.end()
    expect("ForebayDown")
    # What is not there: a pool, a cache, an address.
    daemon.config["pools"]["gone"] = {"kind": "file", "directory": str(folder / "nowhere")}
    daemon.config["volumes"]["late"] = {"pool": "gone", "size": "16MiB"}
    daemon.config["cache_devices"]["lost"] = {"path": str(folder / "no-cache")}
    daemon.config["listeners"]["absent"] = {"protocol": "nvme-tcp", "address": ABSENT, "port": daemon.port}
    daemon.start()
    expect("ForebayPoolNotOpen", "ForebayVolumeNotServed", "ForebayNotReady", "ForebayCacheNotOpen", "ForebayListenerDown")
    for _ in range(2):
        before = prometheus.query("process_start_time_seconds")
        daemon.end(signal.SIGKILL)
        daemon.start()
        await_holds(lambda: any(one["value"][1] != before[0]["value"][1] for one in prometheus.query("process_start_time_seconds")),
                    prometheus.log)
    expect("ForebayRestarting")
    return len(fired)


def _send_garbage(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as stream:
        stream.sendall(b"GET / HTTP/1.0\r\n\r\n" * 8)
        try:
            stream.recv(1)
        except OSError:
            pass


def main() -> int:
    root = Path(sys.argv[1]).resolve()
    programs = {Path(path).name: Path(path) for path in sys.argv[2:]}
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        daemon = Daemon(programs, folder)
        prometheus = None
        try:
            daemon.start()
            prometheus = Prometheus(root, folder, daemon.metrics_port)
            panels = check_panels(root, daemon, prometheus)
            alerts = check_alerts(folder, daemon, prometheus)
        finally:
            daemon.end(signal.SIGKILL)
            if prometheus:
                prometheus.process.kill()  # asked to end, it takes its time
                prometheus.process.wait(30)
    print(f"watched: {panels}; {alerts} alerts fired on a fault of their own kind; {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
