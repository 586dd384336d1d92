"""Whoever asks a mirror for packages asks again when it hiccups, and does not wait for ever."""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

WANTED = {"Acquire::Retries": "3", "Acquire::http::Timeout": "30", "Acquire::https::Timeout": "30"}
# Stands for apt-get and sudo, and for a dpkg-query that knows of no package.
FAKES = {
    "apt-get": '#!/bin/sh\nprintf "%s\\n" "$*" >>"$CALLS"\n',
    "sudo": '#!/bin/sh\nexec "$@"\n',
    "dpkg-query": "#!/bin/sh\nexit 1\n",
}


def options(arguments: list[str]) -> dict[str, str]:
    return dict(setting.split("=", 1) for flag, setting in zip(arguments, arguments[1:]) if flag == "-o")


def expect_wanted(arguments: list[str]) -> None:
    found = options(arguments)
    for key, value in WANTED.items():
        assert found.get(key) == value, f"{key}={found.get(key)} in: {arguments}"


def calls_of(script: Path, folder: Path) -> list[list[str]]:
    for name, text in FAKES.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    calls = folder / "calls"
    subprocess.run([script, "build", "test"], check=True, stdout=subprocess.DEVNULL, timeout=30,
                   env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "CALLS": str(calls)})
    return [line.split() for line in calls.read_text().splitlines()]


def main() -> int:
    root = Path(sys.argv[1])
    sys.path.insert(0, str(root / "tests/vm"))
    from lab.packages import Packages  # pylint: disable=import-outside-toplevel

    with tempfile.TemporaryDirectory() as folder:
        calls = calls_of(root / "appliance/install-packages", Path(folder))
        assert ["update" in call for call in calls] == [True, False], calls
        assert "install" in calls[1] and "g++" in calls[1] and "libgtest-dev" in calls[1], calls
        for call in calls:
            expect_wanted(call)
        expect_wanted(Packages("bookworm", Path(folder))._options())  # pylint: disable=protected-access
    # Nobody else calls apt.
    for place in ("appliance", "tests", ".ci"):
        for path in (root / place).rglob("*"):
            if not path.is_file() or path.resolve() == Path(__file__).resolve() or path.name in ("install-packages", "packages.py"):
                continue
            text = path.read_bytes()
            assert b"apt-get update" not in text and b'run("apt-get"' not in text, f"{path} calls apt itself"
    print("apt asks three times, and waits half a minute for an answer")
    return 0


if __name__ == "__main__":
    sys.exit(main())
