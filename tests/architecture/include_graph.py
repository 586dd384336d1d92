"""Fails when an include runs against the arrows of docs/architecture.md, or when a CMake DEPENDS does.

It also plants forbidden includes and dependencies in memory and fails if one is not found: the test tests itself.
"""
import re
import sys
from pathlib import Path

FOUNDATION = "engine/foundation"  # the vocabulary of all
PROTOCOL = {"protocol/wire", "protocol/nvme", "protocol/nvme_tcp", "protocol/iscsi", "protocol/scsi", "protocol/auth",
            "protocol/tls"}
TARGET = {"target", "target/reactor", "target/net", "target/block", "target/nvmf", "target/scsi", "target/iscsi",
          "target/control", "target/metrics", "target/tls"}
# A reactor owns its lane, and commands hold its buffers: those two seams of engine/media are target's business.
ENGINE = {"engine/volume", "engine/media"}

# layer -> layers it may include, and whose library it may depend on, beside itself and FOUNDATION. What those include
# in turn does not come along.
ARROWS = {
    "engine/foundation": set(),
    "engine/format": set(),
    "engine/media": set(),
    "engine/cache": {"engine/format", "engine/media"},
    "engine/pool": {"engine/format", "engine/media"},
    "engine/volume": {"engine/cache", "engine/pool", "engine/media"},
    "protocol/wire": set(),
    "protocol/nvme": {"protocol/wire"},
    "protocol/nvme_tcp": {"protocol/wire"},
    # Login runs CHAP.
    "protocol/iscsi": {"protocol/wire", "protocol/auth"},
    "protocol/scsi": {"protocol/wire"},
    "protocol/auth": {"protocol/wire"},
    # Bytes as text.
    "protocol/tls": {"protocol/auth"},
    "config": set(),
    "target/reactor": ENGINE,
    "target/block": ENGINE | {"target/reactor"},
    # What connections of both protocols share holds buffers, and counts them for volumes.
    "target/net": ENGINE | {"target/reactor", "target/block"},
    # Data is sealed from where it lies in the cache.
    "target/tls": {"engine/media", "protocol/tls", "protocol/auth", "target/reactor", "target/net"},
    "target/scsi": ENGINE | {"protocol/scsi", "target/reactor", "target/block"},
    "target/nvmf": ENGINE | PROTOCOL | {"target/reactor", "target/net", "target/block"},
    "target/iscsi": ENGINE | PROTOCOL | {"target/reactor", "target/net", "target/block", "target/scsi"},
    "target/control": TARGET - {"target"} | {"config", "protocol/auth"},
    "target/metrics": TARGET - {"target", "target/control"} | {"engine/volume"},
    "target": ENGINE | TARGET | PROTOCOL | {"config"},
    # forebayctl talks to the daemon over its socket; `pool init` writes a label without one, and sizes are read and
    # written as in the configuration.
    "appliance/cli": {"engine/pool", "config"},
    # forebay-media works on a cache device that no daemon has open: there is no socket to ask. Sizes as above.
    "appliance/media": {"engine/cache", "engine/format", "engine/media", "config"},
    # What checks the target shares nothing with it: above all no encoder of protocol/.
    "tests/client": set(),
    "tests/bench": {"tests/client"},
}
# Folders whose sources are held against the arrows; of tests/ those that stand for a host.
SCANNED = ("engine", "protocol", "config", "target", "appliance", "tests/client", "tests/bench/load", "tests/bench/ceiling")

# A package's headers may be included from these files only (regular expressions over the path).
PACKAGES = {
    r"liburing\.h": r"^engine/media/uring_lane\.cpp$",
    r"libpmem2\.h": r"^engine/media/open_pmem\.cpp$",
    r"blkid/": r"^engine/pool/disk_signatures\.cpp$",
    r"yaml-cpp/": r"^config/parse\w*\.cpp$",
    r"openssl/": r"^(protocol/(auth|tls)/\w+|(target/control|appliance/cli|tests/bench/ceiling)/tls_\w+|tests/client/(tls|dhchap)_\w+)\.(cpp|h)$",
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


def allowed(layer: str) -> set[str]:
    return ARROWS[layer] | {layer, FOUNDATION}


INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.M)


def violations(path: str, text: str) -> list[str]:
    found = []
    layer = layer_of(path)
    for match in INCLUDE.finditer(text):
        kind, name = match.groups()
        line = text.count("\n", 0, match.start()) + 1
        for package, includers in PACKAGES.items():
            if re.match(package, name) and layer is not None and not re.match(includers, path):
                found.append(f"{path}:{line}: <{name}> may only be included by {includers}")
        if kind == "<":
            continue
        target = layer_of(name)
        if layer is None:
            continue
        if target is None:
            found.append(f"{path}:{line}: \"{name}\" is not written from the root of the repository")
        elif target not in allowed(layer):
            found.append(f"{path}:{line}: {layer} may not include {target} (\"{name}\")")
    return found


def cmake_violations(path: str, text: str) -> list[str]:
    found = []
    for call in re.finditer(r"forebay_library\(\s*(\S+)(.*?)\)", text, re.S):
        layer, body = call.groups()
        depends = re.search(r"\bDEPENDS\b(.*?)(?:\bLINKS\b|\bSOURCES\b|$)", body, re.S)
        for name in depends.group(1).split() if depends else []:
            if layer in ARROWS and name not in allowed(layer):
                found.append(f"{path}: {layer} may not depend on {name}")
    return found


# Each breaks one rule, and nothing else.
PLANTED_SOURCES = {
    "engine/media/planted.cpp": ['#include "target/net/tcp_stream.h"', "#include <yaml-cpp/yaml.h>", '#include "uring_lane.h"'],
    # engine/volume may include engine/pool, which may include engine/format: the arrows do not add up.
    "engine/volume/planted.cpp": ['#include "engine/format/pool_format.h"'],
    "target/nvmf/planted.cpp": ['#include "engine/pool/file_pool.h"', '#include "config/config.h"'],
    "appliance/media/planted.cpp": ['#include "engine/volume/volume.h"', '#include "target/control/status.h"'],
    "tests/client/planted.cpp": ['#include "protocol/nvme_tcp/pdu_encoder.h"'],
    "tests/bench/load/planted.cpp": ['#include "protocol/wire/endian.h"'],
}
PLANTED_CMAKE = {
    "engine/volume/CMakeLists.txt": "forebay_library(engine/volume\n  SOURCES a.cpp\n  DEPENDS engine/pool engine/format)",
    "protocol/nvme/CMakeLists.txt": "forebay_library(protocol/nvme DEPENDS protocol/wire engine/volume LINKS fmt::fmt)",
}


def planted_not_found() -> list[str]:
    missed = []
    for path, lines in PLANTED_SOURCES.items():
        for line in lines:
            if len(violations(path, line + "\n")) != 1:
                missed.append(f"{path}: {line}")
    for path, text in PLANTED_CMAKE.items():
        if len(cmake_violations(path, text)) != 1:
            missed.append(f"{path}: {text}")
    good = '#include "engine/media/io_lane.h"\n#include "engine/foundation/units.h"\n#include <vector>\n'
    return missed + violations("target/reactor/planted.cpp", good)


def main() -> int:
    root = Path(sys.argv[1])
    missed = planted_not_found()
    if missed:
        print("planted violations were not found, or a planted good include was refused:", *missed, sep="\n")
        return 1
    found, files = [], 0
    for top in SCANNED:
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
