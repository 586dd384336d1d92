"""What helps to understand a scenario that failed: the state of host, target and wire at that moment."""

import subprocess
from collections import deque
from collections.abc import Callable, Iterator

from lab import pdu_stream
from lab.capture import Capture
from lab.guest import ends_of
from lab.host import Host
from lab.shell import tool
from lab.target import Target

LAST_PDUS = 60
# What tells a target that does not answer from a host that does not ask.
HOST_STATE = ("cd /sys/block; grep -H . /sys/class/nvme/nvme*/state nvme*/inflight nvme*/stat nvme*/ana_state; "
              "for p in $(busybox pidof fio dd nvme); do echo \"$p: $(cat /proc/$p/wchan)\"; done; "
              "cat /sys/kernel/debug/block/nvme*/hctx*/busy; grep -H . sd*/inflight sd*/device/state; "
              "tail -60 /run/iscsid.log; ss -tni; echo w > /proc/sysrq-trigger; dmesg | tail -120")


def describe(hosts: dict[int, Host], target: Target, capture: Capture | None) -> str:
    """Each part by itself: what cannot be found out must not hide the rest."""
    parts = []
    for index, host in hosts.items():
        parts += [_part(f"guest {index}: jobs", lambda: "\n".join(_jobs(host))),
                  _part(f"guest {index}: state", lambda: host.attempt(HOST_STATE, 60).output),
                  _part(f"guest {index}: console", lambda: host.guest.console()[-2000:])]
    for guest in target.guests():
        parts.append(_part(f"{guest.name}: console", lambda: guest.console()[-2000:]))
        parts.append(_part(f"{guest.name}: log", lambda: guest.attempt("dmesg | tail -60", 60).output))
    parts += [_part("forebayctl status", target.status),
              _part("connections", lambda: _output(tool("ss"), "-tnp")),
              _part("forebayd", lambda: target.log()[-4000:])]
    if capture:
        parts.append(_part(f"the last {LAST_PDUS} PDUs", lambda: "\n".join(_last_pdus(capture))))
    return "\n".join(parts)


def _part(title: str, text: Callable[[], str]) -> str:
    try:
        return f"--- {title}\n{text()}"
    except Exception as error:  # noqa: BLE001: the guest may be what failed
        return f"--- {title}: {type(error).__name__}: {error}"


def _jobs(host: Host) -> Iterator[str]:
    """Those that have not ended well."""
    for job in host.guest.jobs:
        answer = job.poll()
        if answer is None:
            yield f"still running: {job.command}\n{ends_of(job.output_so_far())}"
        elif answer.code != 0:
            yield f"exit code {answer.code}: {job.command}\n{ends_of(answer.output)}"


def _output(*command: str) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout + done.stderr


def _last_pdus(capture: Capture) -> Iterator[str]:
    capture.stop()
    for pdu in deque(pdu_stream.read(capture.path), LAST_PDUS):
        yield (f"{pdu.time:.6f} stream {pdu.stream} {'host' if pdu.from_host else 'target'} "
               f"{pdu_stream.NAMES.get(pdu.type, hex(pdu.type))} {len(pdu.data)} bytes: {pdu.data[8:40].hex(' ', 4)}")
