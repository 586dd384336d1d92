"""Rules of the repository that no compiler checks: the fixed top level, links that lead somewhere, no outside hosts
in scripts, files of one noun, and no test that is switched off."""
import re
import subprocess
import sys
from pathlib import Path

TOP_LEVEL = {"CMakeLists.txt", "CMakePresets.json", "README.md", "target", "protocol", "engine", "config", "appliance",
             "tests", "docs"}
LONGEST_FILE = 600
CODE = {".h", ".cpp", ".py", ".sh"}


def tracked(root: Path) -> list[str]:
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True)
    if listed.returncode == 0:
        return [name for name in listed.stdout.split("\n") if name and (root / name).is_file()]
    return [p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file() and "build" not in p.parts]


def check(root: Path) -> list[str]:
    found = []
    for name in tracked(root):
        top = name.split("/")[0]
        if not top.startswith(".") and top not in TOP_LEVEL:
            found.append(f"{name}: the top level is fixed; \"{top}\" is not part of it")
        file = root / name
        if file.suffix not in CODE | {".md", ".txt", ".json", ".yaml", ""} or "/corpus/" in name:
            continue
        try:
            text = file.read_text()
        except UnicodeDecodeError:
            continue
        if file.suffix in CODE and text.count("\n") > LONGEST_FILE:
            found.append(f"{name}: {text.count(chr(10))} lines; a room is missing (at most {LONGEST_FILE})")
        for match in re.finditer(r"https?://[\w.-]*(?:debian|npmjs|ubuntu)\.\w+", text):
            found.append(f"{name}: names the host {match.group(0)}; take it from the machine's own apt sources")
        if file.suffix in {".h", ".cpp"} and name != "tests/architecture/repository_rules.py":
            for word in ("GTEST_SKIP", "DISABLED_", "TODO", "FIXME"):
                if word in text:
                    found.append(f"{name}: {word}")
        if file.suffix == ".md":
            for target in re.findall(r"\]\(([^)#\s]+)\)", text):
                if "://" not in target and not (file.parent / target).exists():
                    found.append(f"{name}: links to {target}, which is not there")
    return found


def main() -> int:
    found = check(Path(sys.argv[1]))
    print("\n".join(found))
    print(f"{len(found)} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
