"""Rules of the repository that no compiler checks: the fixed top level, links and named files that exist, no outside
hosts, files of one noun, no test that is switched off, and a package behind every tool. Each rule is also shown a
planted violation: the test tests itself."""
import fnmatch
import json
import re
import subprocess
import sys
from pathlib import Path

TOP_LEVEL = {"CMakeLists.txt", "CMakePresets.json", "README.md", "target", "protocol", "engine", "config", "appliance",
             "tests", "docs"}
LONGEST_FILE = 600
CODE = {".h", ".cpp", ".py", ".sh"}

# Where packages, images and sources come from is the machine's business (its apt sources), never written down here.
HOSTS = re.compile(r"(?<![\w.-])(?:[\w-]+\.)*(?:debian|ubuntu|launchpad|npmjs|pypi|pythonhosted|crates|golang|docker|quay|"
                   r"ghcr|kernel|github|githubusercontent|gitlab|rubygems|maven|anaconda|fedoraproject|archlinux|"
                   r"alpinelinux)\.(?:org|com|io|net)(?![\w-])", re.I)

# What presets and scripts call, and the Debian package that has it.
TOOLS = {
    "clang++": "clang", "llvm-symbolizer": "llvm", "clang-format": "clang-format", "clang-tidy": "clang-tidy",
    "g++": "g++", "cmake": "cmake", "Ninja": "ninja-build", "ccache": "ccache",
    "qemu-system-x86_64": "qemu-system-x86", "tshark": "tshark", "mke2fs": "e2fsprogs", "mkfs.ext4": "e2fsprogs",
    "zstd": "zstd", "depmod": "kmod", "taskset": "util-linux", "iscsi-test-cu": "libiscsi-bin",
    "bison": "bison", "flex": "flex", "promtool": "prometheus", "jsonnet": "jsonnet", "jsonnetfmt": "jsonnet",
    "systemd-analyze": "systemd",
}

PATH = re.compile(r"`([\w.*-]+(?:/[\w.*-]+)*/?)`")
SUFFIXES = (".h", ".cpp", ".py", ".md", ".yaml", ".json", ".toml", ".service", ".txt")


def tracked(root: Path) -> list[str]:
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True)
    if listed.returncode == 0:
        return [name for name in listed.stdout.split("\n") if name and (root / name).is_file()]
    return [p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file() and "build" not in p.parts]


class Repository:
    def __init__(self, root: Path):
        self.root = root
        self.files = tracked(root)
        self.places = set(self.files)
        for name in self.files:
            self.places.update(parent.as_posix() for parent in Path(name).parents)

    def has(self, path: str) -> bool:
        """A path or glob from the root or from tests/; one that begins with */ anywhere."""
        path = path.rstrip("/")
        return any(fnmatch.fnmatch(place, pattern) for place in self.places for pattern in (path, "tests/" + path))

    def has_one(self, name: str) -> bool:
        return sum(place.rpartition("/")[2] == name for place in self.places) == 1


def hosts(name: str, text: str) -> list[str]:
    return [f"{name}: names the host {match.group(0)}; take it from the machine's own sources" for match in HOSTS.finditer(text)]


def named_paths(name: str, text: str, repository: Repository) -> list[str]:
    """Back-ticked paths of a document that lead nowhere. What is no path of ours (a setting, an expression) is left alone."""
    found = []
    for line in text.split("\n"):
        folders = []  # of what stands before it in the line: `a/x.h`, `y.h` means a/y.h
        for path in PATH.findall(line):
            folder, _, last = path.rstrip("/").rpartition("/")
            first = path.split("/")[0]
            is_ours = path.endswith(SUFFIXES) or (folder and (first in TOP_LEVEL or f"tests/{first}" in repository.places))
            if not is_ours:
                continue
            known = any(repository.has(one) for one in
                        ([path] if folder else [f"{before}/{last}" for before in folders] or [last, f"*/{last}"]))
            if not known and (folder or not repository.has_one(last)):
                found.append(f"{name}: names {path}, which is not there")
            if folder:
                folders.append(folder)
    return found


def packages_of(installer: str) -> set[str]:
    table = installer[installer.index("declare -A packages"):installer.index("\n)")]
    return {word for listed in re.findall(r'="([^"]*)"', table) for word in listed.split()}


def tools_of(presets: str) -> set[str]:
    named = set()
    for preset in json.loads(presets)["configurePresets"]:
        named.update(value for key, value in preset.get("cacheVariables", {}).items() if key.endswith("_COMPILER"))
        named.update([preset["generator"]] if "generator" in preset else [])
    return named


def missing_packages(named: set[str], packages: set[str]) -> list[str]:
    return [f"{tool}: {'is in no package of ' if tool not in TOOLS else 'needs ' + TOOLS[tool] + ', which is not in '}"
            "appliance/install-packages (and this test's TOOLS)"
            for tool in sorted(named) if TOOLS.get(tool) not in packages]


def called(text: str) -> set[str]:
    return {tool for tool in TOOLS if re.search(rf"(?<![\w./+-]){re.escape(tool)}(?![\w.+-])", text)}


def merge_marks(name: str, text: str) -> list[str]:
    return [f"{name}: has the marks of a merge"] if re.search(r"^(<{7}|>{7}) ", text, re.M) else []


def check_text(name: str, text: str, repository: Repository) -> list[str]:
    found = hosts(name, text) + merge_marks(name, text)
    file = repository.root / name
    if file.suffix in CODE and text.count("\n") > LONGEST_FILE:
        found.append(f"{name}: {text.count(chr(10))} lines; a room is missing (at most {LONGEST_FILE})")
    if file.suffix in {".h", ".cpp"}:
        found += [f"{name}: {word}" for word in ("GTEST_SKIP", "DISABLED_", "TODO", "FIXME") if word in text]
    if file.suffix == ".md":
        for target in re.findall(r"\]\(([^)#\s]+)\)", text):
            if "://" not in target and not (file.parent / target).exists():
                found.append(f"{name}: links to {target}, which is not there")
    if name.startswith("docs/") and name != "docs/acceptance.md":  # that one is generated, and names tests
        found += named_paths(name, text, repository)
    return found


def check(root: Path) -> list[str]:
    found, named = [], tools_of((root / "CMakePresets.json").read_text())
    repository = Repository(root)
    for name in repository.files:
        top = name.split("/")[0]
        if not top.startswith(".") and top not in TOP_LEVEL:
            found.append(f"{name}: the top level is fixed; \"{top}\" is not part of it")
        if "/corpus/" in name:
            continue
        try:
            text = (root / name).read_text()
        except UnicodeDecodeError:
            continue  # no text
        found += check_text(name, text, repository)
        is_script = Path(name).suffix in {".py", ".sh"} or text.startswith("#!")
        if is_script and not name.startswith("tests/architecture/") and name != "appliance/install-packages":
            named |= called(text)
    return found + missing_packages(named, packages_of((root / "appliance/install-packages").read_text()))


def planted_not_found(root: Path) -> list[str]:
    repository = Repository(root)
    dot = "."
    missed = []
    for host in ("deb" + dot + "debian" + dot + "org", "https://pypi" + dot + "org/simple", "ghcr" + dot + "io"):
        if len(hosts("planted", f"from {host} it comes")) != 1:
            missed.append(host)
    if hosts("planted", "iqn.1993-08.org" + dot + "debian:01 a kernel. It"):
        missed.append("a name that is no host")
    for path in ("`target/nvmf/nowhere.h`", "`nowhere_test.cpp`", "`protocol/nvme/*nowhere.h`", "`engine/nowhere/`"):
        if len(named_paths("planted", path, repository)) != 1:
            missed.append(path)
    if named_paths("planted", "`engine/media` `tests/run` `nqn.h` `AND/OR` `memory:`", repository):
        missed.append("paths that are there")
    if len(merge_marks("planted", "<" * 7 + " HEAD")) != 1 or merge_marks("planted", "=======\n<<<<<<"):
        missed.append("the marks of a merge")
    if len(missing_packages({"clang++"}, {"clang-14"})) != 1 or len(missing_packages({"icpx"}, {"clang"})) != 1:
        missed.append("a tool without its package")
    return missed


def main() -> int:
    root = Path(sys.argv[1])
    missed = planted_not_found(root)
    if missed:
        print("planted violations were judged wrongly:", *missed, sep="\n")
        return 1
    found = check(root)
    print("\n".join(found))
    print(f"{len(found)} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
