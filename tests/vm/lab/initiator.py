"""A guest as an iSCSI initiator: open-iscsi as an administrator uses it, and what the kernel then shows."""

import re
import shlex

from lab.agent import Answer
from lab.errors import Failed
from lab.host import Host
from lab.namespace import ADDRESS
from lab.target import ISCSI_PORT, ISCSI_TARGET

MODULES = "iscsi_tcp sd_mod sg scsi_dh_alua dm_multipath dm_round_robin dm_service_time"
# Above what a killed target needs to come back beside an emulated host.
REPLACEMENT_TIMEOUT_S = 900
# Far above the five seconds of the field, for the same reason.
PING_TIMEOUT_S = 60
DEVICE_TIMEOUT_S = 60


class Initiator:
    """Initiator number `index`: its own name, the same each time."""

    def __init__(self, host: Host, index: int):
        self.host = host
        self.iqn = f"iqn.2026-11.com.example:host{index}"
        host.run(f"modprobe -a {MODULES} && mkdir -p /run/lock/iscsi /etc/iscsi/nodes /etc/iscsi/send_targets /etc/iscsi/ifaces")
        host.write("/etc/iscsi/initiatorname.iscsi", f"InitiatorName={self.iqn}\n")
        # It says what it does to syslog only, unless it stays in the foreground.
        host.start("iscsid -f -d 2 > /run/iscsid.log 2>&1")
        host.await_true("iscsiadm -m session 2>&1 | grep -q 'No active sessions'")

    def discover(self, address: str = ADDRESS) -> list[tuple[str, str]]:
        """(address:port,tag; target) of each record."""
        output = self.host.run(f"iscsiadm -m discovery -t sendtargets -p {address}:{ISCSI_PORT}")
        found = [tuple(line.split()) for line in output.splitlines()]
        if not all(len(record) == 2 for record in found):
            raise Failed(f"discovery printed {output}")
        return found

    def set(self, address: str = ADDRESS, **settings: str) -> None:
        """Of the record that discovery has made; names as in open-iscsi, with __ for a dot and _0_ for [0]."""
        defaults = {"node.session.timeo.replacement_timeout": str(REPLACEMENT_TIMEOUT_S),
                    "node.conn[0].timeo.noop_out_timeout": str(PING_TIMEOUT_S)}
        for name, value in (defaults | {_setting(key): value for key, value in settings.items()}).items():
            self.host.run(f"{self._node(address)} -o update -n {shlex.quote(name)} -v {shlex.quote(value)}")

    def log_in(self, address: str = ADDRESS) -> str:
        """The disk of LUN 0 over this portal, such as /dev/sda."""
        answer = self.attempt_login(address)
        if answer.code != 0:
            raise Failed(f"login at {address}: exit code {answer.code}: {answer.output}")
        return self.disk(address)

    def attempt_login(self, address: str = ADDRESS) -> Answer:
        return self.host.attempt(f"{self._node(address)} --login")

    def log_out(self) -> None:
        self.host.run("if iscsiadm -m session; then iscsiadm -m node --logoutall=all; fi")

    def disk(self, address: str = ADDRESS, lun: int = 0) -> str:
        """The block device, as soon as it is there."""
        return self.host.run(
            f"for i in $(seq {DEVICE_TIMEOUT_S * 5}); do for c in /sys/class/iscsi_connection/connection*; do "
            f'[ "$(cat $c/persistent_address)" = {address} ] || continue; s=${{c##*/connection}}; s=${{s%%:*}}; '
            f"for b in /sys/class/iscsi_session/session$s/device/target*/*:{lun}/block/sd*; do "
            "[ -b /dev/${b##*/} ] && { echo /dev/${b##*/}; exit 0; }; done; done; sleep 0.2; done; "
            "iscsiadm -m session -P 3; exit 1").strip()

    def session(self) -> str:
        """All that iscsiadm knows of its sessions."""
        return self.host.run("iscsiadm -m session -P 3")

    def negotiated(self, key: str) -> str:
        found = re.search(rf"(?m)^\s*{key}: (\S+)", self.session())
        if not found:
            raise Failed(f"no {key} in what iscsiadm shows:\n{self.session()}")
        return found.group(1)

    def _node(self, address: str) -> str:
        return f"iscsiadm -m node -T {ISCSI_TARGET} -p {address}:{ISCSI_PORT}"


def _setting(key: str) -> str:
    return key.replace("_0_", "[0].").replace("__", ".")
