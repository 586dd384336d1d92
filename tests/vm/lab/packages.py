"""Debian packages of any suite, through an apt state of their own: the machine's is never touched."""

import re
import time
from pathlib import Path

from lab import mirror
from lab.errors import CannotRun
from lab.shell import run

# Between two attempts when a mirror does not deliver, after apt's own.
RETRY_AFTER_S = 10


class Packages:
    """Packages of one suite, cached under `folder`."""

    def __init__(self, suite: str, folder: Path):
        self.suite = suite
        self.folder = folder

    def update(self) -> None:
        for part in ("state/lists/partial", "cache/archives/partial"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").write_text("")
        lines = [source.line() for source in mirror.sources_for(self.suite)]
        (self.folder / "sources.list").write_text("\n".join(lines) + "\n")
        self._fetch("update", "--error-on=any")

    def download_closure(self, names: list[str]) -> list[Path]:
        """The packages and everything they depend on."""
        # Not --print-uris: it leaves out what is already here.
        plan = run("apt-get", *self._options(), "install", "--simulate", "-qq", "--no-install-recommends", *names)
        self._fetch("install", "--download-only", "-y", "--no-install-recommends", *names)
        chosen = re.findall(r"(?m)^Inst (\S+) \((\S+) .*\[(\w+)\]", plan)
        return [self.folder / "cache/archives" / self._file_name(*package) for package in chosen]

    def download(self, name: str) -> Path:
        """One package alone."""
        archives = self.folder / "cache/archives"
        self._fetch("download", "-q", name, folder=archives)
        return archives / self._file_name(name, self._show(name, "Version"), self._show(name, "Architecture"))

    def depends(self, name: str) -> list[str]:
        text = run("apt-cache", *self._options(), "depends", "--no-recommends", "--no-suggests", "--no-conflicts",
                   "--no-breaks", "--no-replaces", "--no-enhances", name)
        return re.findall(r"(?m)^\s*\|?Depends: (\S+)", text)

    def version(self, name: str) -> str:
        return self._show(name, "Version")

    def _fetch(self, *command: str, folder: Path | None = None) -> None:
        """What needs the mirror. One that hiccups must not fail a test."""
        for last in (False, True):
            try:
                run("apt-get", *self._options(), *command, timeout=1800, folder=folder)
                return
            except CannotRun as error:
                if last:
                    raise
                print(f"once more in {RETRY_AFTER_S} s: {error}", flush=True)
                time.sleep(RETRY_AFTER_S)

    def _show(self, name: str, field: str) -> str:
        text = run("apt-cache", *self._options(), "show", "--no-all-versions", name)
        return re.search(rf"(?m)^{field}: (\S+)", text).group(1)

    @staticmethod
    def _file_name(name: str, version: str, architecture: str) -> str:
        return f"{name}_{version.replace(':', '%3a')}_{architecture}.deb"

    def _options(self) -> list[str]:
        settings = {
            "Dir::State": self.folder / "state", "Dir::State::status": self.folder / "status",
            "Dir::Cache": self.folder / "cache", "Dir::Cache::archives": self.folder / "cache/archives",
            "Dir::Etc::sourcelist": self.folder / "sources.list", "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null", "Dir::Etc::preferencesparts": "/dev/null",
            "APT::Sandbox::User": "root", "APT::Get::List-Cleanup": "false", "APT::Keep-Downloaded-Packages": "true",
            "Acquire::Languages": "none", "APT::Install-Recommends": "false", "Debug::NoLocking": "true",
            "Acquire::Retries": "3", "Acquire::http::Timeout": "30", "Acquire::https::Timeout": "30",
        }
        return [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]
