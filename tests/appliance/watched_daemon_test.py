"""The daemon watched as an operator watches it, by Debian's Prometheus with the rules and the dashboards that ship: under load no
panel is empty, each panel of what goes wrong shows a fault that is made, and alerts fire on faults of their own kind. In the rules
only the time that a fault has to last is shorter."""
import json
import mmap
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

import draw_dashboards

PATIENCE_S = 90.0
SUBSYSTEM = "nqn.2026-11.com.example:watched"
HOST = "nqn.2026-11.com.example:host"
SECURED = "nqn.2026-11.com.example:secured"
# As forebay-load --verify stamps each block: a number of its own, the run, the LBA, the generation.
STAMP = struct.Struct("<QQQ")
STAMP_MAGIC = 0x6C6F61647374616D
# What no fault made here brings about. Not fired either: a cache that is full of dirty data, memory or a reactor that
# is all used, commands sent back, a cache too small for days. Their alerts have cases in alert_cases.yaml.
NOT_MADE = {"Commands that waited"}
# What a disk says by SMART that is about to fail.
ILL_DISK = {"smart_status": {"passed": False}, "temperature": {"current": 71}, "power_on_time": {"hours": 9},
            "ata_smart_attributes": {"table": [{"id": 5, "raw": {"value": 8}}, {"id": 197, "raw": {"value": 3}}]},
            "nvme_smart_health_information_log": {"percentage_used": 97}}
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

    def __init__(self, programs: dict[str, Path], folder: Path, environment: dict[str, str] | None = None):
        self._programs, self._folder, self._environment = programs, folder, environment or {}
        self._path = folder / "forebay.yaml"
        self.port, self.metrics_port = free_port(), free_port()
        self.process: subprocess.Popen | None = None
        for name in ("pool", "state"):
            (folder / name).mkdir()
        self.tool("forebayctl", "pool", "init", folder / "pool")
        self.tool("forebay-media", "format", "--size", "64MiB", "--checksums", folder / "front")
        self.config: dict = {
            "apiVersion": "forebay/v1", "node": "watched", "reactors": {"count": 1}, "memory": "256MiB",
            "listeners": {"io": {"protocol": "nvme-tcp", "address": "127.0.0.1", "port": self.port}},
            "cache_devices": {"front": {"path": str(folder / "front")}},
            "pools": {"files": {"kind": "file", "directory": str(folder / "pool")}},
            "volumes": {"data": {"pool": "files", "size": "96MiB", "cache": {"device": "front", "max_dirty_age": "1s", "maximum": "32MiB"}},
                        "large": {"pool": "files", "size": "16MiB", "cache": {"device": "front", "max_dirty_age": "1s", "guaranteed": "16MiB"}},
                        "bare": {"pool": "files", "size": "8MiB"}, "old": {"pool": "files", "size": "1MiB"}},
            "subsystems": {SUBSYSTEM: {"listeners": ["io"], "allow_any_host": True, "namespaces": {1: {"volume": "data"}, 2: {"volume": "large"}, 3: {"volume": "bare"}}}},
            "metrics": {"address": "127.0.0.1", "port": self.metrics_port, "stages": ["data"]},
            "control": {"socket": str(folder / "control.sock")}}
        # A disk is asked for its health by whoever is called so on the way there.
        (folder / "bin").mkdir()
        tells = folder / "bin/smartctl"
        tells.write_text(f"#!/bin/sh\necho '{json.dumps(ILL_DISK)}'\n")
        tells.chmod(0o755)

    def start(self) -> None:
        self.write_config()
        self.start_as_it_is()

    def write_config(self) -> None:
        # JSON is YAML, too; but an NSID is no string.
        self._path.write_text(re.sub(r'"(\d+)": ', r'\1: ', json.dumps(self.config)))

    def start_with(self, text: str) -> None:
        self._path.write_text(text)
        self.start_as_it_is()

    def start_as_it_is(self) -> None:
        with open(self._folder / "forebayd.log", "ab") as log:
            self.process = subprocess.Popen([self._programs["forebayd"], self._path], stdout=log, stderr=log,
                                            env=os.environ | {"STATE_DIRECTORY": str(self._folder / "state"),
                                                              "PATH": f"{self._folder}/bin:{os.environ['PATH']}"} | self._environment)
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

    def ctl(self, *arguments: str) -> int:
        return subprocess.run([self._programs["forebayctl"], *arguments, "--socket", self._folder / "control.sock"], timeout=60, check=False,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode

    def events(self) -> set[str]:
        told = subprocess.run([self._programs["forebayctl"], "events", "-n", "0", "-o", "json", "--socket", self._folder / "control.sock"],
                              timeout=60, check=True, capture_output=True, text=True)
        return {event["name"] for event in json.loads(told.stdout)["events"]}

    def expect_events(self, *names: str) -> None:
        await_holds(lambda: set(names) <= self.events(), lambda: f"{sorted(set(names) - self.events())} are not told\n{self.log()}")

    def write(self, nsid: int) -> None:
        """Its first 64 blocks, each so that it is known again."""
        done = self.load("--nsid", str(nsid), "--mix", "0", "--count", "64", "--pattern", "sequential", "--range", "256KiB", "--verify").wait(60)
        assert done == 0, self.log()

    def read_first(self, nsid: int, count: int) -> None:
        """Block 0, whatever becomes of it."""
        self.load("--nsid", str(nsid), "--mix", "100", "--count", str(count), "--range", "4KiB").wait(60)

    def rot(self) -> None:
        """One bit of each copy of block 0 that the cache has: of every volume that was written as above."""
        with open(self._folder / "front", "r+b") as file, mmap.mmap(file.fileno(), 0) as cache:
            found = [at for at in range(0, len(cache) - 4096, 512)
                     if STAMP.unpack_from(cache, at)[0] == STAMP_MAGIC and STAMP.unpack_from(cache, at)[2] == 0]
            assert found, "the cache has no block 0"
            for at in found:
                cache[at + 100] ^= 1

    def log(self) -> str:
        return (self._folder / "forebayd.log").read_text()[-4000:]

    def tool(self, name: str, *arguments: str | Path) -> None:
        done = subprocess.run([self._programs[name], *arguments], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{name} {arguments}: {done.stdout}{done.stderr}"


class Prometheus:
    """As appliance/prometheus has it, but for the address, a scrape each second, and faults that count at once."""

    def __init__(self, root: Path, folder: Path, ports: list[int]):
        self.address = f"http://127.0.0.1:{free_port()}"
        config = (root / "appliance/prometheus/prometheus.yml").read_text()
        rules = (root / "appliance/prometheus/forebay.rules.yaml").read_text()
        (folder / "prometheus.yml").write_text(config.replace("15s", "1s").replace('"127.0.0.1:9930"', ", ".join(f'"127.0.0.1:{port}"' for port in ports)))
        # Of dirty data and of the pool's moment the age is such a time.
        rules = re.sub(r"(_age_seconds > )3600\b", r"\g<1>2", rules)
        (folder / "forebay.rules.yaml").write_text(re.sub(r"(?m)^( *for:) \w+$", r"\1 1s", rules))
        self._log = folder / "prometheus.log"
        with open(self._log, "wb") as log:
            self.process = subprocess.Popen(["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
                                             f"--web.listen-address={self.address.removeprefix('http://')}", "--log.level=warn"],
                                            stdout=log, stderr=log)

    def firing(self, port: int) -> set[str]:
        """Of the daemon with that metrics port."""
        return {one["metric"]["alertname"] for one in self.query(f'ALERTS{{alertstate="firing", instance="127.0.0.1:{port}"}}')}

    def query(self, query: str) -> list[dict]:
        try:
            with urllib.request.urlopen(f"{self.address}/api/v1/query?{urllib.parse.urlencode({'query': query})}", timeout=10) as answer:
                return json.load(answer)["data"]["result"]
        except OSError:
            return []

    def log(self) -> str:
        return self._log.read_text()


class SilentDaemon:
    """Another one, whose disks answer nothing from some moment on, and whose cache cannot be written any more."""

    def __init__(self, programs: dict[str, Path], folder: Path, preload: Path):
        folder.mkdir()
        self._hung, self._bad = folder / "hung", folder / "front.bad"
        self.daemon = Daemon(programs, folder, {"LD_PRELOAD": str(preload), "FOREBAY_TEST_HUNG_DISK": str(self._hung)})
        del self.daemon.config["volumes"]["data"]["cache"]
        self._loads: list[subprocess.Popen] = []

    def start(self) -> None:
        self.daemon.start()
        for switch in (self._hung, self._bad):
            switch.write_text("")
        self._loads = [self.daemon.load("--mix", "100", "--count", "1"), self.daemon.load("--nsid", "2", "--mix", "0", "--count", "1")]

    def end(self) -> None:
        for load in self._loads:
            load.kill()
            load.wait()
        self._hung.unlink(missing_ok=True)
        self.daemon.end(signal.SIGKILL)


class Panels:
    """Of all dashboards, by "board: panel"; those that have had a sample other than 0 at some time."""

    def __init__(self, prometheus: Prometheus):
        self._prometheus = prometheus
        self.all: set[str] = set()
        self.alive: set[str] = set()

    def look(self) -> None:
        for _, board, panels in draw_dashboards.boards_with_panels(draw_dashboards.Prometheus(self._prometheus.address, 10, "5s")):
            names = {f"{board['title']}: {panel.panel['title']}": panel for panel in panels}
            self.all |= set(names)
            self.alive |= {name for name, panel in names.items() if panel.is_alive()}

    def dead(self, without: set[str]) -> list[str]:
        return sorted(name for name in self.all - self.alive if name.partition(": ")[2] not in without)


def check_panels(daemon: Daemon, prometheus: Prometheus, panels: Panels) -> None:
    """While hosts read and write; those of what goes wrong wait for the faults."""
    loads = [daemon.load("--mix", "60", "--depth", "8", "--duration", "60", "--rate", "2000"),
             daemon.load("--nsid", "2", "--mix", "80", "--block-size", "128KiB", "--duration", "60", "--range", "4MiB", "--rate", "50",
                         host=f"{HOST}.reader"),
             # So that the disk is at work whenever somebody looks.
             daemon.load("--nsid", "3", "--mix", "0", "--block-size", "128KiB", "--duration", "60", "--range", "8MiB", "--rate", "150",
                         host=f"{HOST}.writer")]

    def nothing_is_empty() -> bool:
        daemon.load("--count", "1").wait(30)  # one that comes and goes
        panels.look()
        return not panels.dead(draw_dashboards.OF_TROUBLE)

    try:
        await_holds(lambda: bool(prometheus.query("rate(forebay_volume_reads_total[5s]) > 0")), prometheus.log)
        await_holds(nothing_is_empty, lambda: f"{panels.dead(draw_dashboards.OF_TROUBLE)} show nothing")
        assert all(load.poll() is None for load in loads), f"the load has ended\n{daemon.log()}"
    finally:
        for load in loads:
            load.terminate()
            load.wait()
    firing = prometheus.firing(daemon.metrics_port)
    assert not firing & {"ForebayDown", "ForebayNotReady", "ForebayVolumeNotServed", "ForebayProtocolErrors"}, firing


class Alerts:
    """Those of one daemon that have fired."""

    def __init__(self, prometheus: Prometheus, panels: Panels, daemon: Daemon):
        self._prometheus, self._panels, self._daemon = prometheus, panels, daemon
        self.fired: set[str] = set()

    def expect(self, *alerts: str) -> None:
        self.expect_while(lambda: None, *alerts)

    def expect_while(self, act: Callable[[], object], *alerts: str) -> None:
        wanted = {f"Forebay{name}" for name in alerts} - self.fired

        def fire() -> bool:
            act()
            self.fired |= self._prometheus.firing(self._daemon.metrics_port)
            return wanted <= self.fired

        await_holds(fire, lambda: f"{sorted(wanted - self.fired)} do not fire\n{self._prometheus.log()}")
        self._panels.look()


def check_hosts(daemon: Daemon, prometheus: Prometheus, alerts: Alerts) -> None:
    """Hosts that are none, are refused, change bytes on the way, come again and again."""
    alerts.expect_while(lambda: _send_garbage(daemon.port), "ProtocolErrors")
    alerts.expect_while(lambda: daemon.load("--count", "1", subsystem=SUBSYSTEM + ".not").wait(30), "LoginsRefused")
    alerts.expect_while(lambda: daemon.load("--count", "1").wait(30), "HostReconnects")
    alerts.expect_while(lambda: _send_a_wrong_digest(daemon.port), "DigestErrors")
    # One that falls silent.
    silent = daemon.load("--idle", "--keep-alive", "1", "--duration", "120", host=f"{HOST}.silent")
    await_holds(lambda: bool(prometheus.query(f'forebay_host_sessions{{host="{HOST}.silent"}} > 0')), prometheus.log)
    silent.send_signal(signal.SIGSTOP)
    alerts.expect("HostVanished")
    silent.kill()
    silent.wait()
    open_now = len(os.listdir(f"/proc/{daemon.process.pid}/fd"))
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (open_now + 1, open_now + 1))
    alerts.expect("DescriptorsNearLimit")
    daemon.end()
    alerts.expect("Down")


def configure_trouble(folder: Path, daemon: Daemon) -> None:
    """What is not there (a pool, a cache, an address), what is full, what is slow, what ends soon, who has another key."""
    config = daemon.config
    (folder / "thin").mkdir()
    daemon.tool("forebayctl", "pool", "init", folder / "thin")
    config["pools"]["gone"] = {"kind": "file", "directory": str(folder / "nowhere")}
    config["pools"]["thin"] = {"kind": "file", "directory": str(folder / "thin"), "provisioning": "thin", "reserve": "1000TiB", "warn_at": "1%"}
    del config["volumes"]["old"]
    dirty = {"cache": {"device": "front", "max_dirty_age": "1h", "guaranteed": "4MiB"}}
    config["volumes"] |= {"late": {"pool": "gone", "size": "16MiB"}, "rotten": {"pool": "files", "size": "4MiB"} | dirty,
                          "clean": {"pool": "files", "size": "4MiB"} | dirty, "slow": {"pool": "files", "size": "4MiB", "qos": {"iops": 10}},
                          "full": {"pool": "thin", "size": "4MiB"}, "cut": {"pool": "files", "size": "4MiB"}}
    config["cache_devices"]["lost"] = {"path": str(folder / "no-cache")}
    config["listeners"]["absent"] = {"protocol": "nvme-tcp", "address": ABSENT, "port": daemon.port}
    (folder / "key").write_text("DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:\n")
    (folder / "key").chmod(0o600)
    (folder / "other-key").write_text("DHHC-1:00:/1lLVcS8jF9MEHr/ZY4HD7yYM/O3rvqAOKxw+hXXFYc8Ppdm:\n")
    config["hosts"] = {"proven": {"nqn": f"{HOST}.proven", "dhchap": {"key": f"file:{folder}/key"}}}
    names = ["data", "large", "rotten", "clean", "slow", "full", "cut"]
    config["subsystems"][SUBSYSTEM]["namespaces"] = {number + 1: {"volume": name} for number, name in enumerate(names)}
    config["subsystems"][SECURED] = {"listeners": ["io"], "hosts": ["proven"], "namespaces": {1: {"volume": "late"}}}
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "5", "-subj",
                    "/CN=watched", "-keyout", folder / "control.key", "-out", folder / "control.pem"], check=True, capture_output=True, timeout=60)
    (folder / "control.key").chmod(0o600)
    config["control"] |= {"listen": [f"127.0.0.1:{free_port()}"], "certificate": f"file:{folder}/control.pem", "key": f"file:{folder}/control.key"}


def check_trouble(folder: Path, daemon: Daemon, alerts: Alerts) -> None:
    rotten, clean, slow, full, cut = range(3, 8)
    daemon.start()
    slowly = daemon.load("--nsid", str(slow), "--mix", "50", "--depth", "8", "--duration", "120")
    for nsid in (rotten, clean):
        daemon.write(nsid)
    assert daemon.ctl("flush", "clean") == 0, daemon.log()
    daemon.rot()
    os.truncate(folder / "pool/cut.raw", 0)

    def use_all() -> None:
        for nsid in (rotten, clean, cut):
            daemon.read_first(nsid, 4)
        daemon.load("--nsid", str(full), "--mix", "0", "--count", "1").wait(30)
        daemon.load("--count", "1", "--dhchap-key", str(folder / "other-key"), subsystem=SECURED, host=f"{HOST}.proven").wait(30)

    daemon.ctl("scrub", "rotten")
    daemon.ctl("flush", "rotten", "--no-wait")
    alerts.expect_while(use_all, "PoolNotOpen", "VolumeNotServed", "NotReady", "CacheNotOpen", "ListenerDown", "CertificateExpires",
                        "VolumeMediaErrors", "CacheLostReads", "CacheRots", "ScrubFoundBad", "ScrubFoundLost", "WriteBackFails",
                        "VolumeDegraded", "DirtyDataOld", "ConsistentPointOld", "VolumeErrorBudgetBurnsFast",
                        "VolumeErrorBudgetBurnsSlowly", "VolumeOutOfSpace", "PoolFilling", "PoolAtItsReserve", "PoolFullSoon", "DiskErrors",
                        "DiskUnhealthy", "DiskSmartFailed", "DiskPendingSectors", "DiskWornOut", "DiskHot", "AuthenticationFails",
                        "VolumeReadLatencyHigh", "VolumeWriteLatencyHigh")
    slowly.kill()
    slowly.wait()
    daemon.expect_events("daemon.started", "volume.late", "volume.degraded", "pool.unavailable", "pool.filling", "disk.ailing",
                         "cache.unavailable", "listener.waiting", "host.connected", "host.refused", "host.disconnected", "scrub.found",
                         "task.started", "task.ended", "change.done")
    daemon.ctl("give-up-lost", "rotten")
    daemon.expect_events("volume.blocks-lost")
    (folder / "forebay.yaml").write_text("node: [")
    assert daemon.ctl("reload") == 1
    alerts.expect("VolumeLostData", "ReloadFailed")
    daemon.expect_events("config.refused", "change.refused")


def check_mending(folder: Path, daemon: Daemon) -> None:
    """What comes, is put right or changed back is told as well."""
    daemon.write(3)  # rotten
    assert daemon.ctl("flush", "rotten") == 0, daemon.log()
    daemon.expect_events("volume.blocks-mended")
    (folder / "nowhere").mkdir()
    daemon.tool("forebayctl", "pool", "init", folder / "nowhere")
    daemon.expect_events("pool.open", "volume.online")
    daemon.tool("forebay-media", "format", "--size", "16MiB", folder / "no-cache")
    daemon.expect_events("cache.open")
    assert daemon.ctl("retire", "lost") == 0
    daemon.expect_events("cache.retired")
    for words in (("ana", "io", "non-optimized"), ("ana", "io", "--clear"), ("write-protection", "clean", "on"), ("write-protection", "clean", "off")):
        assert daemon.ctl(*words) == 0, words
    daemon.expect_events("path.changed", "override.set", "override.cleared", "volume.write-protected", "volume.writable")
    daemon.config["pools"]["thin"]["warn_at"] = "100%"
    daemon.write_config()
    assert daemon.ctl("reload") == 0, daemon.log()
    daemon.expect_events("config.applied", "pool.filling-over")


def check_restarts(folder: Path, daemon: Daemon, prometheus: Prometheus, alerts: Alerts) -> None:
    def starts() -> set[str]:
        told = prometheus.query(f'process_start_time_seconds{{instance="127.0.0.1:{daemon.metrics_port}"}}')
        return {one["value"][1] for one in told}

    for _ in range(3):
        before = starts()
        daemon.end(signal.SIGKILL)
        daemon.start_with("node: [")
        await_holds(lambda seen=before: bool(starts() - seen), prometheus.log)
    alerts.expect("Restarting", "ConfigFallback")
    daemon.expect_events("config.fallback")
    # The cache that has the newest of it is away.
    daemon.write(3)
    daemon.end()
    (folder / "front").rename(folder / "away")
    daemon.start()
    daemon.expect_events("volume.cache-missing")


def _send_garbage(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as stream:
        stream.sendall(b"GET / HTTP/1.0\r\n\r\n" * 8)
        try:
            stream.recv(1)
        except OSError:
            pass


def _send_a_wrong_digest(port: int) -> None:
    """NVMe/TCP 1.1: ICReq that wants header digests, then a capsule whose digest is not its header's."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as stream:
        stream.sendall(struct.pack("<BBBBIHBBI112x", 0, 0, 128, 0, 128, 0, 0, 1, 0))
        answer = b""
        while len(answer) < 128 and (piece := stream.recv(128 - len(answer))):
            answer += piece
        stream.sendall(struct.pack("<BBBBI64xI", 4, 1, 72, 0, 76, 0))
        try:
            stream.recv(1)
        except OSError:
            pass


def main() -> int:
    root = Path(sys.argv[1]).resolve()
    programs = {Path(path).name: Path(path) for path in sys.argv[2:]}
    preload = next(path for name, path in programs.items() if name.endswith(".so"))
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        daemon = Daemon(programs, folder)
        silent = SilentDaemon(programs, folder / "silent", preload)
        prometheus = None
        try:
            daemon.start()
            prometheus = Prometheus(root, folder, [daemon.metrics_port, silent.daemon.metrics_port])
            panels = Panels(prometheus)
            alerts, of_silent = (Alerts(prometheus, panels, one) for one in (daemon, silent.daemon))
            check_panels(daemon, prometheus, panels)
            silent.start()
            check_hosts(daemon, prometheus, alerts)
            configure_trouble(folder, daemon)
            check_trouble(folder, daemon, alerts)
            check_mending(folder, daemon)
            check_restarts(folder, daemon, prometheus, alerts)
            of_silent.expect("VolumeStalled", "DiskHangs", "CacheFailed")
            silent.daemon.expect_events("cache.failed")
            fired = alerts.fired | of_silent.fired
            assert not panels.dead(NOT_MADE), f"{panels.dead(NOT_MADE)} have never shown anything"
        finally:
            daemon.end(signal.SIGKILL)
            silent.end()
            if prometheus:
                prometheus.process.kill()  # asked to end, it takes its time
                prometheus.process.wait(30)
    print(f"watched: {len(panels.alive)} of {len(panels.all)} panels have shown what they are for; {len(fired)} alerts fired on a fault "
          f"of their own kind; {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
