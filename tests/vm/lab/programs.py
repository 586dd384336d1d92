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
        return self.build / {"forebayd": "target", "forebayctl": "appliance/cli", "forebay-media": "appliance/media"}[name] / name

    def write_disk(self, image: Path) -> None:
        """An ext4 image with all of them in /bin, to be mounted at /programs. Each brings the libraries that it was built
        with, and their loader: a guest has others."""
        tree = image.with_suffix(".tree")
        shutil.rmtree(tree, ignore_errors=True)
        for folder in ("bin", "lib"):
            (tree / folder).mkdir(parents=True)
        for name in NAMES:
            listed = run("ldd", self.path(name))
            if "not found" in listed:
                raise CannotRun(f"{name} lacks a library:\n{listed}")
            libraries = [Path(found) for found in re.findall(r"(?:=> )?(/\S+) \(0x", listed)]
            loader = next(library.name for library in libraries if library.name.startswith("ld-linux"))
            for library in libraries:
                shutil.copy(library, tree / "lib" / library.name)
            shutil.copy(self.path(name), tree / "lib" / name)
            start = tree / "bin" / name
            start.write_text(f'#!/bin/sh\nexec /programs/lib/{loader} --library-path /programs/lib /programs/lib/{name} "$@"\n')
            start.chmod(0o755)
        size = sum(path.lstat().st_blocks * 512 for path in tree.rglob("*"))
        image.unlink(missing_ok=True)
        run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "no_copy_xattrs", "-m", "0", "-d", tree, image,
            f"{size * 5 // 4 // 1024 // 1024 + 8}M")
        shutil.rmtree(tree)
