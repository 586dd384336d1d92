"""Where this machine gets Debian from: its own apt sources, one-line and deb822 style alike."""

import glob
import os
import re
from dataclasses import dataclass

from lab.errors import CannotRun


@dataclass(frozen=True)
class Source:
    """One `deb` entry for one suite."""
    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str

    def line(self) -> str:
        option = f"[signed-by={self.signed_by}] " if self.signed_by else ""
        return f"deb {option}{self.uri} {self.suite} {' '.join(self.components)}"


def parse_one_line(text: str) -> list[Source]:
    sources = []
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]*)", line)
        if not match:
            continue
        options, uri, suite, components = match.groups()
        signed = re.search(r"signed-by=(\S+)", options or "")
        sources.append(Source(uri, suite, tuple(components.split()), signed.group(1) if signed else ""))
    return sources


def parse_deb822(text: str) -> list[Source]:
    sources = []
    for stanza in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n?", "", text)):
        fields = {}
        for match in re.finditer(r"(?m)^([A-Za-z-]+):[ \t]*(.*(?:\n[ \t]+.*)*)", stanza):
            fields[match.group(1).lower()] = match.group(2)
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() == "no":
            continue
        signed = fields.get("signed-by", "").strip()
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                sources.append(Source(uri, suite, tuple(fields.get("components", "").split()),
                                      signed if signed.startswith("/") else ""))
    return sources


def machine_sources(folder: str = "/etc/apt") -> list[Source]:
    sources = []
    for path in [f"{folder}/sources.list", *sorted(glob.glob(f"{folder}/sources.list.d/*"))]:
        if not os.path.isfile(path):
            continue
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if path.endswith(".sources"):
            sources += parse_deb822(text)
        elif path.endswith(".list"):
            sources += parse_one_line(text)
    return sources


def own_codename() -> str:
    with open("/etc/os-release", encoding="utf-8") as file:
        match = re.search(r'(?m)^VERSION_CODENAME="?(\w+)', file.read())
    if not match:
        raise CannotRun("/etc/os-release names no Debian suite (VERSION_CODENAME)")
    return match.group(1)


def sources_for(suite: str) -> list[Source]:
    """The entries through which `suite` and its security updates are reached from this machine."""
    own = own_codename()
    found = machine_sources()
    result = []
    for tail in ("", "-security"):
        for source in found:
            if source.suite == own + tail:
                result.append(Source(source.uri, suite + tail, ("main",), source.signed_by))
                break
    if not result or result[0].suite != suite:
        raise CannotRun(f"no entry for Debian {own} in the apt sources of this machine")
    return result
