"""The systemd unit gives the daemon what it needs: a place to remember volumes, one for its control socket, readiness,
a check before the start, and enough descriptors and locked memory."""
import sys
from pathlib import Path

WANTED = {
    "StateDirectory": "forebay", "RuntimeDirectory": "forebay", "Type": "notify", "Restart": "on-failure",
    "LimitMEMLOCK": "infinity", "ExecStartPre": "/usr/sbin/forebayd --check /etc/forebay/forebay.yaml",
    "ExecStart": "/usr/sbin/forebayd /etc/forebay/forebay.yaml",
}


def settings(text: str) -> dict[str, str]:
    """Of the section [Service]; a setting that stands twice is a failure."""
    found, section = {}, ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            assert key not in found, f"{key} stands twice"
            found[key] = value
    return found


def main() -> int:
    root = Path(sys.argv[1])
    found = settings((root / "appliance/systemd/forebay.service").read_text())
    for key, value in WANTED.items():
        assert found.get(key) == value, f"{key}={found.get(key)}, expected {value}"
    # What the program and the example call these places.
    assert "/var/lib/forebay" in (root / "target/daemon.cpp").read_text()
    assert "/run/forebay/control.sock" in (root / "config/example.yaml").read_text()
    # SIGTERM is answered within 10 s; systemd must not kill before.
    assert int(found["TimeoutStopSec"]) > 10 and int(found["LimitNOFILE"]) >= 65536
    print(f"{len(found)} settings of the service")
    return 0


if __name__ == "__main__":
    sys.exit(main())
