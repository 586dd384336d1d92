"""Fails when an include runs against the arrows of docs/architecture.md, or when a CMake DEPENDS does.

It also plants a forbidden include in memory and fails if that is not found: the test tests itself.
"""
import re
import sys
from pathlib import Path

PROTOCOL = {"protocol/wire", "protocol/nvme", "protocol/nvme_tcp", "protocol/iscsi", "protocol/scsi", "protocol/auth"}
TARGET = {"target", "target/reactor", "target/net", "target/block", "target/nvmf", "target/iscsi", "target/control",
          "target/metrics"}

# layer -> layers it may include directly (itself always); the layers below those come along.
ARROWS = {
    "engine/foundation": set(),
    "engine/format": {"engine/foundation"},
    "engine/media": {"engine/foundation"},
    "engine/cache": {"engine/format", "engine/media"},
    "engine/pool": {"engine/format", "engine/media"},
    "engine/volume": {"engine/cache", "engine/pool"},
    "protocol/wire": {"engine/foundation"},
    "protocol/nvme": {"protocol/wire"},
    "protocol/nvme_tcp": {"protocol/wire"},
    "protocol/iscsi": {"protocol/wire"},
    "protocol/scsi": {"protocol/wire"},
    "protocol/auth": {"protocol/wire"},
    "config": {"engine/foundation"},
    "target/reactor": {"engine/volume"},
    "target/net": {"target/reactor"},
    "target/block": {"target/reactor", "engine/volume"},
    "target/nvmf": PROTOCOL | {"target/reactor", "target/net", "target/block", "engine/volume"},
    "target/iscsi": PROTOCOL | {"target/reactor", "target/net", "target/block", "engine/volume"},
    "target/control": TARGET - {"target"} | {"engine/volume", "config"},
    "target/metrics": TARGET - {"target", "target/control"} | {"engine/volume"},
    "target": TARGET | PROTOCOL | {"engine/volume", "config"},
    # forebayctl talks to the daemon over its socket; `pool init` writes a label without one.
    "appliance/cli": {"engine/pool", "engine/foundation", "config"},
}

# A package's headers may be included from these files only (regular expressions over the path).
PACKAGES = {
    r"liburing\.h": r"^engine/media/uring_lane\.cpp$",
    r"libpmem2\.h": r"^engine/media/open_pmem\.cpp$",
    r"yaml-cpp/": r"^config/parse\w*\.cpp$",
    r"openssl/": r"^(target/net/tls_\w+|protocol/auth/\w+)\.(cpp|h)$",
    r"prometheus/": r"^target/metrics/",
    r"isa-l/": r"^engine/foundation/crc32c\.cpp$",
    r"boost/asio": r"^(target|appliance/cli)/",
    r"boost/beast": r"^(target/control|appliance/cli)/",
    r"systemd/": r"^target/",
}


def layer_of(path: str) -> str | None:
    folder = path.rsplit("/", 1)[0] if "/" in path else ""
    while folder:
        if folder in ARROWS:
            return folder
        folder = folder.rpartition("/")[0]
    return None


def reachable(layer: str) -> set[str]:
    seen, todo = set(), [layer]
    while todo:
        here = todo.pop()
        if here not in seen:
            seen.add(here)
            todo.extend(ARROWS[here])
    return seen


INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.M)


def violations(path: str, text: str) -> list[str]:
    found = []
    layer = layer_of(path)
    for match in INCLUDE.finditer(text):
        kind, name = match.groups()
        line = text.count("\n", 0, match.start()) + 1
        for package, allowed in PACKAGES.items():
            if re.match(package, name) and layer is not None and not re.match(allowed, path):
                found.append(f"{path}:{line}: <{name}> may only be included by {allowed}")
        if kind == "<":
            continue
        target = layer_of(name)
        if layer is None:
            continue
        if target is None:
            found.append(f"{path}:{line}: \"{name}\" is not written from the root of the repository")
        elif target not in reachable(layer):
            found.append(f"{path}:{line}: {layer} may not include {target} (\"{name}\")")
    return found


def cmake_violations(path: str, text: str) -> list[str]:
    found = []
    for call in re.finditer(r"forebay_library\(\s*(\S+)(.*?)\)", text, re.S):
        layer, body = call.groups()
        depends = re.search(r"\bDEPENDS\b(.*?)(?:\bLINKS\b|\bSOURCES\b|$)", body, re.S)
        for name in depends.group(1).split() if depends else []:
            if layer in ARROWS and name not in reachable(layer):
                found.append(f"{path}: {layer} may not depend on {name}")
    return found


def main() -> int:
    root = Path(sys.argv[1])
    planted = violations("engine/media/planted.cpp", '#include "target/net/tcp_stream.h"\n#include <yaml-cpp/yaml.h>\n')
    if len(planted) != 2:
        print("a planted forbidden include was not found:", planted)
        return 1
    found, files = [], 0
    for top in ("engine", "protocol", "config", "target", "appliance"):
        for file in sorted((root / top).rglob("*")):
            path = file.relative_to(root).as_posix()
            if file.suffix in (".h", ".cpp"):
                files += 1
                found += violations(path, file.read_text())
                if layer_of(path) is None:
                    found.append(f"{path}: is in no layer of docs/architecture.md")
            elif file.name == "CMakeLists.txt":
                found += cmake_violations(path, file.read_text())
    print("\n".join(found))
    print(f"{files} sources, {len(found)} violations")
    return 1 if found or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
