"""The first stage of a guest as a newc cpio archive."""

import stat
import tempfile
from pathlib import Path

from lab import kernel as kernels
from lab.packages import Packages
from lab.shell import run

HERE = Path(__file__).parent


class Cpio:
    """A cpio archive in the newc format, written entry by entry."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._inode = 0
        self._folders: set[str] = set()

    def folder(self, path: str) -> None:
        parts = path.split("/")
        for count in range(1, len(parts) + 1):
            name = "/".join(parts[:count])
            if name not in self._folders:
                self._folders.add(name)
                self._entry(name, stat.S_IFDIR | 0o755, b"")

    def file(self, path: str, data: bytes, mode: int = 0o755) -> None:
        if "/" in path:
            self.folder(path.rsplit("/", 1)[0])
        self._entry(path, stat.S_IFREG | mode, data)

    def link(self, path: str, to: str) -> None:
        self.folder(path.rsplit("/", 1)[0])
        self._entry(path, stat.S_IFLNK | 0o777, to.encode())

    def finish(self) -> bytes:
        self._entry("TRAILER!!!", 0, b"")
        return bytes(self._bytes)

    def _entry(self, name: str, mode: int, data: bytes) -> None:
        self._inode += 1
        encoded = name.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
        self._bytes += b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
        self._pad()
        self._bytes += data
        self._pad()

    def _pad(self) -> None:
        self._bytes += bytes(-len(self._bytes) % 4)


def build(packages: Packages, kernel: kernels.Kernel, target: Path) -> None:
    archive = Cpio()
    with tempfile.TemporaryDirectory() as folder:
        run("dpkg-deb", "-x", packages.download("busybox-static"), folder)
        busybox = next(path for path in (Path(folder, "usr/bin/busybox"), Path(folder, "bin/busybox")) if path.exists())
        archive.file("bin/busybox", busybox.read_bytes())
    archive.link("sbin/modprobe", "/bin/busybox")
    archive.file("init", (HERE / "guest_stage1.sh").read_bytes())
    lines = []
    for path in kernels.closure(kernel.modules, kernel.release, kernels.STAGE1_MODULES):
        archive.file(f"modules/{Path(path).name}",
                     (kernel.modules / "lib/modules" / kernel.release / path).read_bytes(), 0o644)
        lines.append(f"busybox insmod /modules/{Path(path).name}")
    archive.file("load-modules", ("\n".join(lines) + "\n").encode())
    target.write_bytes(archive.finish())
