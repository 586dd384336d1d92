"""The systemd unit gives the daemon what it needs (a place to remember volumes, one for its control socket, readiness, a
watchdog, enough descriptors and locked memory, disks) and no more: systemd's own figure of what it is exposed to is bounded."""
import re
import subprocess
import sys
from pathlib import Path

WANTED = {
    "StateDirectory": "forebay", "RuntimeDirectory": "forebay", "Type": "notify", "Restart": "on-failure",
    "LimitMEMLOCK": "infinity", "ExecStart": "/usr/sbin/forebayd /etc/forebay/forebay.yaml",
    "ExecReload": "/usr/bin/forebayctl reload", "User": "forebay", "Group": "forebay", "SupplementaryGroups": "disk",
    "CapabilityBoundingSet": "", "DevicePolicy": "closed", "ProtectSystem": "strict", "ReadWritePaths": "-/srv/forebay",
}
# What may stand more than once: each adds to what stands before.
LISTS = {"DeviceAllow": ["block-* rw", "char-dax rw"],
         "SystemCallFilter": ["@system-service", "~@privileged @resources", "chown sched_setaffinity setpriority"]}
MOST_EXPOSURE = 2.5


def settings(text: str) -> dict[str, str]:
    """Of the section [Service]; a setting that stands twice is a failure."""
    found, section = {}, ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            if key in LISTS:
                value = f"{found[key]}\n{value}" if key in found else value
            else:
                assert key not in found, f"{key} stands twice"
            found[key] = value
    return found


def exposure(unit: Path) -> float:
    """As `systemd-analyze security` judges it: 0 is nothing, 10 everything."""
    told = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", unit], capture_output=True, text=True,
                          timeout=60, check=False).stdout
    figure = re.search(r"Overall exposure level for forebay\.service: ([\d.]+)", told)
    assert figure, f"no figure in: {told}"
    return float(figure.group(1))


def main() -> int:
    root = Path(sys.argv[1])
    unit = root / "appliance/systemd/forebay.service"
    found = settings(unit.read_text())
    for key, value in (WANTED | {key: "\n".join(lines) for key, lines in LISTS.items()}).items():
        assert found.get(key) == value, f"{key}={found.get(key)}, expected {value}"
    # What the program and the example call these places.
    assert "/var/lib/forebay" in (root / "target/applied_copy.cpp").read_text()
    assert "/run/forebay/control.sock" in (root / "config/example.yaml").read_text()
    # SIGTERM is answered within 10 s; systemd must not kill before.
    assert int(found["TimeoutStopSec"]) > 10 and int(found["LimitNOFILE"]) >= 65536
    assert int(found["WatchdogSec"]) > 0 and found["NoNewPrivileges"] == "yes"
    judged = exposure(unit)
    assert judged <= MOST_EXPOSURE, f"systemd-analyze security: {judged}, at most {MOST_EXPOSURE}"
    print(f"{len(found)} settings of the service; exposure {judged} (at most {MOST_EXPOSURE})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
