"""What `forebayctl plan` says that hosts will see, against what stock kernels then see: neither more nor less."""

import json
import re
from pathlib import Path
from collections.abc import Callable
from dataclasses import dataclass, field

from lab.agent import Answer
from lab.errors import Failed
from lab.host import Host
from lab.initiator import Initiator
from lab.lab import Lab
from lab.namespace import ADDRESS, SECOND_ADDRESS
from lab.target import IO_PORT, ISCSI_TARGET, MIB, SUBSYSTEM, Target

OTHER = "nqn.2026-11.com.example:other"
SECRET = "a-hosts-secret-0123"
# As the kernel traces them: type, information and log page of the completion. With a namespace its ANA state comes and goes.
NVME_EVENTS = {"0x040002": "namespace-attribute-changed", "0x0c0302": "ana-changed"}
# As it tells udev, in SDEV_UA.
SCSI_EVENTS = {"CAPACITY_DATA_HAS_CHANGED": "capacity-changed", "REPORTED_LUNS_DATA_HAS_CHANGED": "reported-luns-changed",
               "ASYMMETRIC_ACCESS_STATE_CHANGED": "access-state-changed", "INQUIRY_DATA_HAS_CHANGED": "inquiry-data-changed"}
# What it says when a LUN or a size is another one.
COMPLAINTS = r"sd .*(capacity|Capacity|LUN assignments|Warning)|scsi .*LUN assignments|iscsi: "
TRACE = "/sys/kernel/debug/tracing"


@dataclass
class Change:
    what: str
    make: Callable[[dict], None]
    disconnect: list[str] = field(default_factory=list)


def plans_come_true(lab: Lab) -> None:
    """Each class of change, with one host by NVMe, one by iSCSI and one that uses another subsystem, whom none concerns."""
    lab.allowed_complaints = COMPLAINTS
    target = lab.target
    target.create_pool()
    target.create_cache()
    target.add_volume(1, "data", 64 * MIB, 4096)
    target.add_volume(2, "more", 16 * MIB, 4096)
    target.add_volume(3, "lun", 16 * MIB, 4096)
    target.add_volume(4, "theirs", 16 * MIB, 4096)
    for name in ("more", "lun", "theirs"):
        del target.config["volumes"][name]["cache"]  # there is room for one
    spaces = target.config["subsystems"][SUBSYSTEM]["namespaces"]
    del spaces[2], spaces[3], spaces[4]
    target.config["subsystems"][OTHER] = {"listeners": list(target.config["subsystems"][SUBSYSTEM]["listeners"]),
                                          "allow_any_host": True, "namespaces": {1: {"volume": "theirs"}}}
    target.offer_by_iscsi({0: "lun"}, ADDRESS)
    target.start()

    initiator = lab.initiator(0)
    hosts = [Watched(lab.host(0)), Watched(lab.host(1))]
    both, bystander = hosts
    both.host.connect("-i", "2")
    both.host.device(1)
    bystander.host.connect("-i", "2", nqn=OTHER)
    bystander.host.device(1, OTHER)
    initiator.host.start_udev()
    initiator.discover()
    initiator.set()
    both.disk = initiator.log_in()
    for watched in hosts:
        watched.begin()

    secret = lab.folder / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    for change in _changes(both.host, initiator, secret):
        planned = _plan(target, change)
        predicted = _events_by_identity(planned)
        _apply(target, change)
        for watched, identities in ((both, (both.host.nqn, initiator.iqn)), (bystander, (bystander.host.nqn,))):
            expected = set().union(*(predicted.get(identity, set()) for identity in identities))
            seen = watched.await_events(expected)
            lab.require(seen == expected, f"{change.what}: {watched.host.nqn} was to see {sorted(expected)} and saw {sorted(seen)}:\n"
                                          f"{json.dumps(planned['hosts'], indent=1)}")
        lab.require(not predicted.get(bystander.host.nqn), f"{change.what}: {predicted} of a host that is not concerned")
    lab.require(target.log().count("host connected ") == 2, "a host has connected again")


def _changes(host: Host, initiator: Initiator, secret: Path) -> list[Change]:
    def spaces(config: dict) -> dict:
        return config["subsystems"][SUBSYSTEM]["namespaces"]

    def luns(config: dict) -> dict:
        return config["targets"][ISCSI_TARGET]["luns"]

    def add_listener(config: dict) -> None:
        config["listeners"]["io2"] = {"protocol": "nvme-tcp", "address": SECOND_ADDRESS, "port": IO_PORT}
        config["subsystems"][SUBSYSTEM]["listeners"].append("io2")

    def name_hosts(config: dict) -> None:
        config["hosts"] = {"nvme0": {"nqn": host.nqn}, "scsi0": {"iqn": initiator.iqn}}
        config["subsystems"][SUBSYSTEM].pop("allow_any_host")
        config["subsystems"][SUBSYSTEM]["hosts"] = ["nvme0"]
        config["targets"][ISCSI_TARGET].pop("allow_any_host")
        config["targets"][ISCSI_TARGET]["hosts"] = ["scsi0"]

    return [
        Change("a volume grows", lambda c: c["volumes"]["data"].update(size="96MiB")),
        Change("the volume of a LUN grows", lambda c: c["volumes"]["lun"].update(size="32MiB")),
        Change("a namespace comes", lambda c: spaces(c).update({2: {"volume": "more"}})),
        Change("a LUN comes", lambda c: luns(c).update({1: {"volume": "more"}})),
        Change("a listener comes", add_listener),
        Change("the cache's mode", lambda c: c["volumes"]["data"]["cache"].update(mode="write-through")),
        Change("a mode that goes past the cache", lambda c: c["volumes"]["data"]["cache"].update(mode="write-around")),
        Change("and back", lambda c: c["volumes"]["data"]["cache"].update(mode="write-back")),
        Change("limits", lambda c: c["volumes"]["data"].update(qos={"iops": 20000})),
        Change("only hosts that are named", name_hosts),
        Change("a host's secret", lambda c: c["hosts"]["scsi0"].update(chap={"user": "scsi0", "secret": f"file:{secret}"})),
        Change("a LUN goes", lambda c: luns(c).pop(1), ["scsi0"]),
        Change("a namespace goes", lambda c: spaces(c).pop(2), ["nvme0"]),
    ]


class Watched:
    """A host, and what its kernel hears."""

    def __init__(self, host: Host):
        self.host = host
        self.disk = ""  # of iSCSI, if it has one

    def begin(self) -> None:
        self.host.run(f"cd {TRACE} && echo > trace && echo 1 > events/nvme/nvme_async_event/enable")
        if self.disk:
            self.host.start("udevadm monitor --kernel --property --subsystem-match=scsi >> /run/uevents")
            self.host.await_true("[ -s /run/uevents ]")
            self._take()

    def await_events(self, expected: set[str]) -> set[str]:
        """All since the last call. What was not expected has time to come: as long as what was, and then a command of each disk."""
        if expected:
            for code in (code for code, name in NVME_EVENTS.items() if name in expected):
                self.host.await_true(f"grep -q {code} {TRACE}/trace")
            for ua in (ua for ua, name in SCSI_EVENTS.items() if name in expected):
                self.host.await_true(f"{self._use()}; grep -q SDEV_UA={ua} /run/uevents")
        self.host.run(f"{self._use()}; udevadm settle || true")
        # A keep-alive's time is not waited for: an admin command comes behind any event that was sent before.
        self.host.run("for c in /dev/nvme?; do nvme id-ctrl $c > /dev/null; done")
        return self._take()

    def _use(self) -> str:
        """A unit attention waits for a command."""
        return f"dd if={self.disk} of=/dev/null bs=4k count=1 iflag=direct status=none" if self.disk else "true"

    def _take(self) -> set[str]:
        trace = self.host.run(f"grep -o 'NVME_AEN=0x[0-9a-f]*' {TRACE}/trace || true; echo > {TRACE}/trace")
        events = {NVME_EVENTS.get(code, code) for code in re.findall(r"0x[0-9a-f]+", trace)}
        if self.disk:
            told = self.host.run("grep -o 'SDEV_UA=.*' /run/uevents || true; : > /run/uevents")
            events |= {SCSI_EVENTS.get(ua, ua) for ua in re.findall(r"SDEV_UA=(\S+)", told)}
        return events


def _plan(target: Target, change: Change) -> dict:
    change.make(target.config)
    path = target.folder / "next.yaml"
    path.write_text(target.yaml())
    done = _ctl(target, "plan", str(path), "-o", "json")
    if done.code != (3 if change.disconnect else 2):
        raise Failed(f"{change.what}: plan ends with {done.code}: {done.output}")
    return json.loads(done.output)


def _apply(target: Target, change: Change) -> None:
    named = [word for host in change.disconnect for word in ("--disconnect", host)]
    done = _ctl(target, "apply", str(target.folder / "next.yaml"), *named)
    if done.code != 0:
        raise Failed(f"{change.what}: apply ends with {done.code}: {done.output}")


def _ctl(target: Target, *arguments: str) -> Answer:
    return target.execute("forebayctl", *arguments, "--socket", target.config["control"]["socket"])


def _events_by_identity(planned: dict) -> dict[str, set[str]]:
    events: dict[str, set[str]] = {}
    for host in planned["hosts"]:
        events.setdefault(host["identity"], set()).update(host["events"])
    return events
