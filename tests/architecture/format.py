"""Every C++ source is as clang-format leaves it (.clang-format; Debian's version). It repairs itself with:
    python3 tests/architecture/format.py . --fix"""
import subprocess
import sys
from pathlib import Path


def sources(root: Path) -> list[str]:
    listed = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard", "*.h", "*.cpp"],
                            capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\n") if name and (root / name).is_file()]


def main() -> int:
    root = Path(sys.argv[1])
    files = sources(root)
    assert files, "no source was found"
    planted = subprocess.run(["clang-format", "--dry-run", "-Werror", "--assume-filename=planted.cpp"], cwd=root,
                             input="int  planted( ){return 0 ;}\n", capture_output=True, text=True)
    assert planted.returncode != 0, "badly formatted text was not noticed"
    way = ["-i"] if "--fix" in sys.argv else ["--dry-run", "-Werror"]
    found = subprocess.run(["clang-format", *way, *files], cwd=root, capture_output=True, text=True)
    print(found.stdout + found.stderr)
    print(f"{len(files)} sources")
    return found.returncode


if __name__ == "__main__":
    sys.exit(main())
