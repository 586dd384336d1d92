"""clang-tidy over every source of a build: tidy.py ROOT BUILD [FOLDER...]. One finding fails; where the code means it, it
says NOLINT with its reason. Takes long, so it is part of --long."""
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def findings(root: Path, build: Path, file: str) -> str:
    ran = subprocess.run(["clang-tidy", "--quiet", "-p", build, "--extra-arg=-Wno-unknown-warning-option", file], cwd=root,
                         capture_output=True, text=True)
    return "" if ran.returncode == 0 else ran.stdout + ran.stderr


def main() -> int:
    root, build, folders = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), sys.argv[3:]
    commands = json.loads((build / "compile_commands.json").read_text())
    files = sorted({command["file"] for command in commands})
    files = [file for file in files if not folders or any(file.startswith(str(root / folder)) for folder in folders)]
    assert files, "no source was found"
    failed = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for file, text in zip(files, pool.map(lambda file: findings(root, build, file), files)):
            if text:
                failed += 1
                print(f"{Path(file).relative_to(root)}:\n{text}", flush=True)
    print(f"{len(files)} sources, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
