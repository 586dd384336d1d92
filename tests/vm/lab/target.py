"""The daemon under test: its configuration, its start, its death, and what it holds while it lives."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

from lab.errors import CannotRun, Failed
from lab.namespace import ADDRESS, ADDRESS6

IO_PORT = 4420
DISCOVERY_PORT = 8009
DISCOVERY_NQN = "nqn.2014-08.org.nvmexpress.discovery"
SUBSYSTEM = "nqn.2026-11.com.example:guests"
MIB = 1 << 20
CACHE_MIB = 16
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
WRITE_BACK_TIMEOUT_S = 60.0


class Target:
    """One daemon over one pool. Its whole configuration is `config`: change it, then `write` or `start`."""

    def __init__(self, binary: Path, tool: Path, media_tool: Path, folder: Path):
        self.binary, self.tool, self.media_tool, self.folder = binary, tool, media_tool, folder
        self.pool = folder / "pool"
        self._process: subprocess.Popen | None = None
        self._log_size = 0
        self.config: dict = {
            "apiVersion": "forebay/v1",
            "node": "guest-test",
            "reactors": {"count": 1},
            "memory": "256MiB",
            "listeners": {
                "io": {"protocol": "nvme-tcp", "address": ADDRESS, "port": IO_PORT},
                "io6": {"protocol": "nvme-tcp", "address": ADDRESS6, "port": IO_PORT},
                "disc": {"protocol": "nvme-tcp", "address": "*", "port": DISCOVERY_PORT, "discovery": "only"},
            },
            "pools": {"files": {"kind": "file", "directory": str(self.pool)}},
            "volumes": {},
            "subsystems": {SUBSYSTEM: {"listeners": ["io", "io6"], "allow_any_host": True, "namespaces": {}}},
            "control": {"socket": str(folder / "control.sock")},
        }

    def add_volume(self, nsid: int, name: str, size: int, block_size: int) -> None:
        self.config["volumes"][name] = {"pool": "files", "size": f"{size // MIB}MiB", "block_size": block_size}
        if "cache_devices" in self.config:
            self.config["volumes"][name]["cache"] = {"device": "front", "max_dirty_age": "1s"}
        self.config["subsystems"][SUBSYSTEM]["namespaces"][nsid] = {"volume": name}

    def create_pool(self) -> None:
        self.pool.mkdir(parents=True)
        done = subprocess.run([str(self.tool), "pool", "init", str(self.pool)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CannotRun(f"forebayctl pool init: {done.stdout}{done.stderr}")

    def create_cache(self) -> None:
        """In a file; the volumes that are added from now on are served through it."""
        path = self.folder / "cache"
        done = subprocess.run([str(self.media_tool), "format", "--size", f"{CACHE_MIB}MiB", "--checksums", str(path)],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CannotRun(f"forebay-media format: {done.stdout}{done.stderr}")
        self.config["cache_devices"] = {"front": {"path": str(path)}}

    def write(self) -> Path:
        path = self.folder / "forebay.yaml"
        path.write_text(_yaml(self.config))
        return path

    def start(self) -> None:
        """Returns when the daemon says that it serves."""
        config = self.write()
        notify = self.folder / "notify"
        notify.unlink(missing_ok=True)
        state = self.folder / "state"
        state.mkdir(exist_ok=True)
        environment = {**os.environ, "NOTIFY_SOCKET": str(notify), "STATE_DIRECTORY": str(state)}
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, open(self.folder / "forebayd.log", "ab") as log:
            ready.bind(str(notify))
            ready.settimeout(0.1)
            self._log_size = log.tell()
            self._process = subprocess.Popen([str(self.binary), str(config)], stdout=log, stderr=log,
                                             stdin=subprocess.DEVNULL, env=environment)
            deadline = time.monotonic() + READY_TIMEOUT_S
            while True:
                if self._process.poll() is not None:
                    raise Failed(f"forebayd ended with {self._process.returncode} at start:\n{self.log()}")
                if time.monotonic() > deadline:
                    raise Failed(f"forebayd is not ready after {READY_TIMEOUT_S:.0f} s:\n{self.log()}")
                try:
                    if "READY=1" in ready.recv(4096).decode().splitlines():
                        return
                except TimeoutError:
                    pass

    def log(self) -> str:
        """Of the running daemon, or of the last one that ran."""
        with open(self.folder / "forebayd.log", "rb") as file:
            file.seek(self._log_size)
            return file.read().decode(errors="replace")

    def status(self) -> str:
        """What forebayctl shows; whatever it is, as text."""
        done = subprocess.run([str(self.tool), "status", "--socket", self.config["control"]["socket"]],
                              capture_output=True, text=True, timeout=30, check=False)
        return done.stdout + done.stderr

    def hosts(self) -> list[dict]:
        """The connected ones."""
        return self._status_list("hosts")

    def await_written_back(self) -> None:
        """Nothing waits in a cache any more; at once where there is none."""
        deadline = time.monotonic() + WRITE_BACK_TIMEOUT_S
        while any(cache["dirty_bytes"] for cache in self._status_list("caches")):
            if time.monotonic() > deadline:
                raise Failed(f"still dirty after {WRITE_BACK_TIMEOUT_S:.0f} s:\n{self.status()}")
            time.sleep(0.1)

    def _status_list(self, name: str) -> list[dict]:
        """As forebayctl tells programs."""
        done = subprocess.run([str(self.tool), "status", "--json", "--socket", self.config["control"]["socket"]],
                              capture_output=True, text=True, timeout=30, check=False)
        try:
            return json.loads(done.stdout)[name]
        except (ValueError, KeyError) as error:
            raise Failed(f"forebayctl status --json: exit code {done.returncode}: {done.stdout}{done.stderr}") from error

    def grow(self, volume: str, size: int) -> None:
        """What an administrator types; the configuration follows, as it must before the next start."""
        done = subprocess.run([str(self.tool), "volume", "grow", "--socket", self.config["control"]["socket"], volume,
                               f"{size // MIB}MiB"], capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise Failed(f"forebayctl volume grow: exit code {done.returncode}: {done.stdout}{done.stderr}")
        self.config["volumes"][volume]["size"] = f"{size // MIB}MiB"

    def pool_bytes(self) -> int:
        """What the pool's files take of the disk: a hole takes nothing."""
        return sum(path.stat().st_blocks * 512 for path in self.pool.rglob("*") if path.is_file())

    def kill(self) -> None:
        """As the kernel does when memory runs out: no warning, nothing finished."""
        self._end(signal.SIGKILL, -signal.SIGKILL)

    def stop(self) -> None:
        """The orderly way."""
        self._end(signal.SIGTERM, 0)

    def pause(self) -> None:
        """Silent, but still connected."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def check(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            raise Failed(f"forebayd ended with {self._process.returncode}:\n{self.log()[-4000:]}")

    def resident_kib(self) -> int:
        text = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1))

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self._process.pid}/fd"))

    def _end(self, number: signal.Signals, expected: int) -> None:
        self.check()
        self._process.send_signal(number)
        code = self._process.wait(STOP_TIMEOUT_S)
        self._process = None
        if code != expected:
            raise Failed(f"forebayd ended with {code} after {number.name}, expected {expected}:\n{self.log()[-4000:]}")


def _yaml(value: object, indent: str = "") -> str:
    """Nested dicts as block mappings; anything else as JSON, which is YAML too."""
    lines = []
    for key, item in value.items():
        name = json.dumps(key) if isinstance(key, str) and not re.fullmatch(r"[A-Za-z][\w-]*", key) else key
        if isinstance(item, dict) and item:
            lines.append(f"{indent}{name}:\n{_yaml(item, indent + '  ')}")
        else:
            plain = isinstance(item, str) and re.fullmatch(r"[A-Za-z0-9/][\w./-]*", item)
            lines.append(f"{indent}{name}: {item if plain else json.dumps(item)}\n")
    return "".join(lines)
