"""The target under test, wherever its daemon runs: its configuration, and what its command-line tools are asked."""

import json
import re
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from lab.agent import Answer
from lab.errors import CannotRun, Failed
from lab.guest import Guest

IO_PORT = 4420
DISCOVERY_PORT = 8009
# Of listeners where TLS is permitted, and where there is nothing else; all are among TLS_PORTS of lab/pdu_stream.py.
TLS_PERMITTED_PORT, TLS_REQUIRED_PORT, TLS_DISCOVERY_PORT = 4421, 4422, 8010
DISCOVERY_NQN = "nqn.2014-08.org.nvmexpress.discovery"
SUBSYSTEM = "nqn.2026-11.com.example:guests"
ISCSI_PORT = 3260
ISCSI_TARGET = "iqn.2026-11.com.example:guests"
MIB = 1 << 20
CACHE_MIB = 16
WRITE_BACK_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Pool:
    form: dict  # in the configuration
    init: list[str]  # what forebayctl pool init is told


def directory_pool(directory: Path) -> Pool:
    return Pool({"kind": "file", "directory": str(directory)}, [str(directory)])


class Target(ABC):
    """One daemon over one pool. Its whole configuration is `config`: change it, then `start`. What is abstract depends on
    where the daemon runs: paths and commands are of there."""

    def __init__(self, pool: Pool, cache: Path, socket: Path):
        self._pool, self.cache = pool, cache
        # Of each volume that is added when there is a cache.
        self.cache_options = {"max_dirty_age": "1s"}
        self.config: dict = {
            "apiVersion": "forebay/v1",
            "node": "guest-test",
            "reactors": {"count": 1},
            "memory": "256MiB",
            "listeners": {"disc": {"protocol": "nvme-tcp", "address": "*", "port": DISCOVERY_PORT, "discovery": "only"}},
            "pools": {"files": pool.form},
            "volumes": {},
            "subsystems": {SUBSYSTEM: {"listeners": [], "allow_any_host": True, "namespaces": {}}},
            "control": {"socket": str(socket)},
        }

    def make_thin(self) -> None:
        """Volumes that are made from now on give back what is trimmed."""
        self.config["pools"]["files"].update(provisioning="thin", reserve="16MiB")

    @abstractmethod
    def execute(self, program: str, *arguments: str) -> Answer:
        """One of the project's command-line tools."""

    @abstractmethod
    def start(self) -> None:
        """Returns when the daemon serves."""

    @abstractmethod
    def kill(self) -> None:
        """No warning, nothing finished."""

    @abstractmethod
    def stop(self) -> None:
        """The orderly way."""

    @abstractmethod
    def pause(self) -> None:
        """Silent, but still connected."""

    @abstractmethod
    def resume(self) -> None:
        """After a pause."""

    @abstractmethod
    def running(self) -> bool: ...

    @abstractmethod
    def check(self) -> None:
        """Raises if it ended by itself."""

    @abstractmethod
    def log(self) -> str:
        """Of the running daemon, or of the last one that ran."""

    @abstractmethod
    def close(self) -> None:
        """Ends whatever still runs; never fails."""

    def guests(self) -> list[Guest]:
        """That run, and are no hosts: their kernels must not complain either."""
        return []

    def add_listener(self, name: str, address: str) -> None:
        self.config["listeners"][name] = {"protocol": "nvme-tcp", "address": address, "port": IO_PORT}
        self.config["subsystems"][SUBSYSTEM]["listeners"].append(name)

    def drop_listeners(self) -> None:
        """All by which hosts reach the subsystem."""
        for name in self.config["subsystems"][SUBSYSTEM]["listeners"]:
            del self.config["listeners"][name]
        self.config["subsystems"][SUBSYSTEM]["listeners"] = []

    def add_tls_listener(self, name: str, address: str, policy: str) -> None:
        self.add_listener(name, address)
        port = TLS_REQUIRED_PORT if policy == "required" else TLS_PERMITTED_PORT
        self.config["listeners"][name].update(port=port, tls=policy)

    def demand_tls_of_discovery(self, address: str) -> None:
        self.config["listeners"]["disc"].update(address=address, port=TLS_DISCOVERY_PORT, tls="required")

    def admit_alone(self, name: str, identity: dict) -> None:
        """That host to the subsystem, and no other."""
        self.config["hosts"] = {name: identity}
        subsystem = self.config["subsystems"][SUBSYSTEM]
        del subsystem["allow_any_host"]
        subsystem["hosts"] = [name]

    def permits_tls(self) -> bool:
        return any("tls" in listener for listener in self.config["listeners"].values())

    def offer_by_iscsi(self, luns: dict[int, str], *addresses: str) -> None:
        """Volumes by their LUN, over one portal for each address, to every initiator."""
        names = [f"scsi{number}" for number in range(len(addresses))]
        for name, address in zip(names, addresses):
            self.config["listeners"][name] = {"protocol": "iscsi", "address": address, "port": ISCSI_PORT}
        self.config["targets"] = {ISCSI_TARGET: {"listeners": names, "allow_any_host": True,
                                                 "luns": {lun: {"volume": volume} for lun, volume in luns.items()}}}

    def add_host(self, name: str, identity: dict) -> None:
        """From the first of them on, others may not use the iSCSI target."""
        self.config.setdefault("hosts", {})[name] = identity
        target = self.config["targets"][ISCSI_TARGET]
        target.pop("allow_any_host", None)
        target.setdefault("hosts", []).append(name)

    def add_volume(self, nsid: int, name: str, size: int, block_size: int, allow_format: bool = False) -> None:
        self.config["volumes"][name] = {"pool": "files", "size": f"{size // MIB}MiB", "block_size": block_size}
        if allow_format:
            self.config["volumes"][name]["allow_format"] = True
        if "cache_devices" in self.config:
            self.config["volumes"][name]["cache"] = {"device": "front", **self.cache_options}
        self.config["subsystems"][SUBSYSTEM]["namespaces"][nsid] = {"volume": name}

    def create_pool(self) -> None:
        done = self.execute("forebayctl", "pool", "init", *self._pool.init)
        if done.code != 0:
            raise CannotRun(f"forebayctl pool init: {done.output}")

    def create_cache(self, *options: str) -> None:
        """The volumes that are added from now on are served through it. `options`: more of them for its format."""
        done = self.execute("forebay-media", "format", "--checksums", *options, str(self.cache))
        if done.code != 0:
            raise CannotRun(f"forebay-media format: {done.output}")
        self.config["cache_devices"] = {"front": {"path": str(self.cache)}}

    def yaml(self) -> str:
        return _yaml(self.config)

    def status(self) -> str:
        """What forebayctl shows; whatever it is, as text."""
        return self._ctl("status").output

    def status_list(self, name: str) -> list[dict]:
        """Of what forebayctl tells programs: the connected "hosts", "volumes", "caches", "pools"."""
        done = self._ctl("status", "--json")
        try:
            return json.loads(done.output)[name]
        except (ValueError, KeyError) as error:
            raise Failed(f"forebayctl status --json: exit code {done.code}: {done.output}") from error

    def await_written_back(self) -> None:
        """Nothing waits in a cache any more; at once where there is none."""
        deadline = time.monotonic() + WRITE_BACK_TIMEOUT_S
        while any(cache["dirty_bytes"] for cache in self.status_list("caches")):
            if time.monotonic() > deadline:
                raise Failed(f"still dirty after {WRITE_BACK_TIMEOUT_S:.0f} s:\n{self.status()}")
            time.sleep(0.1)

    def grow(self, volume: str, size: int) -> None:
        """What an administrator types; the configuration follows, as it must before the next start."""
        done = self._ask_to_grow(volume, size)
        if done.code != 0:
            raise Failed(f"forebayctl volume grow: exit code {done.code}: {done.output}")
        self.config["volumes"][volume]["size"] = f"{size // MIB}MiB"

    def refusal_to_grow(self, volume: str, size: int) -> str:
        done = self._ask_to_grow(volume, size)
        if done.code == 0:
            raise Failed(f"forebayctl volume grow {volume}: not refused: {done.output}")
        return done.output

    def detach(self, volume: str) -> None:
        """From now on it is served from its pool alone."""
        done = self._ctl("detach", volume)
        if done.code != 0:
            raise Failed(f"forebayctl detach: exit code {done.code}: {done.output}")

    def connect_lines(self, host: str) -> dict:
        """What an operator is told to type on a host to attach it by NVMe/TCP."""
        done = self._ctl("connect-line", host, "-o", "json")
        if done.code != 0:
            raise Failed(f"forebayctl connect-line: exit code {done.code}: {done.output}")
        return next(lines for lines in json.loads(done.output) if lines["protocol"] == "nvme-tcp")

    def set_access(self, path: str, state: str) -> None:
        """How hosts are to reach everything by this listener."""
        done = self._ctl("ana", path, state)
        if done.code != 0:
            raise Failed(f"forebayctl ana: exit code {done.code}: {done.output}")

    def _ask_to_grow(self, volume: str, size: int) -> Answer:
        return self._ctl("volume", "grow", volume, f"{size // MIB}MiB")

    def _ctl(self, *arguments: str) -> Answer:
        return self.execute("forebayctl", *arguments, "--socket", self.config["control"]["socket"])


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
