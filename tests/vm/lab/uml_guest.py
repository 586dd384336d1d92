"""A User-mode Linux guest: a kernel as an ordinary process, at native speed, with one CPU."""

import os
import socket
import subprocess
from pathlib import Path

from lab.guest import Guest
from lab.shell import run

TAP_ADDRESS = "192.0.2.1/24"  # of this end; guest_start_uml.sh has the other


class UmlGuest(Guest):
    """Uses the root image of an emulated guest. One in a namespace: it has the one tap."""

    def __init__(self, kernel: Path, root: Path, folder: Path, name: str = "uml"):
        super().__init__(folder, name)
        self._kernel, self._root = kernel, root

    def boot(self) -> None:
        run("ip", "tuntap", "add", "tap0", "mode", "tap")
        run("ip", "addr", "add", TAP_ADDRESS, "dev", "tap0")
        run("ip", "link", "set", "tap0", "up")
        ours, theirs = socket.socketpair()
        (self.folder / "console").unlink(missing_ok=True)
        with open(self.folder / "console", "wb") as console:
            self._process = subprocess.Popen(
                [str(self._kernel), "mem=512M", f"umid=forebay{os.getpid()}", f"uml_dir={self.folder}",
                 f"ubd0r={self._root}", "root=/dev/ubda", "rootfstype=ext4", "ro",
                 "init=/forebay/start_uml.sh", "con=null", "con0=null,fd:1", "ssl=null",
                 f"ssl0=fd:{theirs.fileno()}", "vec0:transport=tap,ifname=tap0,depth=128,gro=1", "quiet"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, pass_fds=[theirs.fileno()],
                env={**os.environ, "TMPDIR": str(self.folder)})
        theirs.close()
        self._listen(ours)
        self._await_console("FOREBAY-VM up")
        self.run("true")

    def _last_words(self) -> str:
        return self.console()
