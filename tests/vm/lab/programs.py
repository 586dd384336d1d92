"""The project's programs as they were built: for this machine, and on a disk for a guest whose user land is another."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from lab.errors import CannotRun
from lab.shell import run

NAMES = ("forebayd", "forebayctl", "forebay-media")


@dataclass(frozen=True)
class Programs:
    build: Path  # a preset's folder

    def path(self, name: str) -> Path:
        return self.build / {"forebayd": "target", "forebayctl": "appliance/cli", "forebay-media": "appliance/media",
                             "forebay-load": "tests/bench"}[name] / name

    def write_disk(self, image: Path) -> None:
        """An ext4 image with all of them in /bin, to be mounted at /programs. Each brings the libraries that it was built
        with, and their loader: a guest has others."""
        tree = _new_tree(image)
        for name in NAMES:
            libraries = self._copy_libraries(name, tree / "lib")
            loader = next(library for library in libraries if library.startswith("ld-linux"))
            shutil.copy(self.path(name), tree / "lib" / name)
            start = tree / "bin" / name
            start.write_text(f'#!/bin/sh\nexec /programs/lib/{loader} --library-path /programs/lib /programs/lib/{name} "$@"\n')
            start.chmod(0o755)
        _make_image(tree, image)

    def write_installation(self, image: Path) -> None:
        """An ext4 image with what `cmake --install` puts in place in /root, and the libraries that it was built with in /lib: of
        those, a guest takes what its own user land has not."""
        tree = _new_tree(image)
        run("env", f"DESTDIR={tree / 'root'}", "cmake", "--install", self.build, "--prefix", "/usr", "--strip")
        for name in NAMES:
            self._copy_libraries(name, tree / "lib")
        _make_image(tree, image)

    def _copy_libraries(self, name: str, to: Path) -> list[str]:
        listed = run("ldd", self.path(name))
        if "not found" in listed:
            raise CannotRun(f"{name} lacks a library:\n{listed}")
        libraries = [Path(found) for found in re.findall(r"(?:=> )?(/\S+) \(0x", listed)]
        for library in libraries:
            shutil.copy(library, to / library.name)
        return [library.name for library in libraries]


def _new_tree(image: Path) -> Path:
    tree = image.with_suffix(".tree")
    shutil.rmtree(tree, ignore_errors=True)
    for folder in ("bin", "lib"):
        (tree / folder).mkdir(parents=True)
    return tree


def _make_image(tree: Path, image: Path) -> None:
    size = sum(path.lstat().st_blocks * 512 for path in tree.rglob("*"))
    image.unlink(missing_ok=True)
    run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "no_copy_xattrs", "-m", "0", "-d", tree, image,
        f"{size * 5 // 4 // 1024 // 1024 + 8}M")
    shutil.rmtree(tree)
