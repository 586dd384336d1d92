"""A private network and process space for one scenario: many run at once, and nothing outlives its end.

Discovery must name an address that a guest can reach. A guest's packets leave through QEMU's user network, which
connects from here: the target listens on addresses that exist only in this namespace."""

import os
import sys

from lab.shell import run, tool

ADDRESS = "192.0.2.10"
SECOND_ADDRESS = "192.0.2.11"
ADDRESS6 = "2001:db8::10"
_INSIDE = "FOREBAY_VM_NAMESPACE"


def enter() -> None:
    """Runs this very program again inside a new namespace; returns only there."""
    if os.environ.get(_INSIDE) != "yes":
        argv = [tool("unshare"), "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        if os.geteuid() != 0:
            argv += ["--map-root-user"]
        sys.stdout.flush()
        os.execve(argv[0], [*argv, sys.executable, *sys.argv], {**os.environ, _INSIDE: "yes"})
    run("ip", "link", "set", "lo", "up")
    run("ip", "addr", "add", f"{ADDRESS}/32", "dev", "lo")
    run("ip", "addr", "add", f"{SECOND_ADDRESS}/32", "dev", "lo")
    run("ip", "-6", "addr", "add", f"{ADDRESS6}/128", "dev", "lo", "nodad")
