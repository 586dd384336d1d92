"""appliance/quickstart --check ends with 0 when everything holds, twice on the same folder, and not when its port is
taken or its load fails; without --check it serves until Ctrl-C, and leaves no process behind.
Uses the binaries of this build, so that nothing is built here."""
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PATIENCE_S = 120


def command(root: Path, port: int, directory: Path, *options: str, iscsi_port: int | None = None) -> list:
    return [root / "appliance/quickstart", *options, "--port", str(port), "--iscsi-port", str(iscsi_port or free_port()),
            "--directory", directory]


def environment(build: Path) -> dict[str, str]:
    return {**os.environ, "FOREBAY_QUICKSTART_BUILD": str(build)}


def run(root: Path, build: Path, directory: Path, port: int, cwd: Path | None = None,
        iscsi_port: int | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(command(root, port, directory, "--check", iscsi_port=iscsi_port), env=environment(build), cwd=cwd,
                          capture_output=True, text=True, timeout=PATIENCE_S)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def processes_of(directory: Path) -> list[str]:
    """Command lines that name the folder: what a quick start there has left."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(directory) in line and "quickstart_test" not in line:
            found.append(line)
    return found


def holds_twice(root: Path, build: Path, scratch: Path) -> None:
    uuids = []
    for _ in range(2):
        port, iscsi_port = free_port(), free_port()
        # A relative folder means one below where the command was given.
        ran = run(root, build, Path("q"), port, cwd=scratch, iscsi_port=iscsi_port)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "HEALTHY" in ran.stdout and "everything held" in ran.stdout, ran.stdout
        assert f"nvme connect --transport=tcp --traddr=127.0.0.1 --trsvcid={port} --nqn=" in ran.stdout, ran.stdout
        portal = f"--portal 127.0.0.1:{iscsi_port}"
        assert f"iscsiadm --mode discovery --type sendtargets {portal}\n" in ran.stdout, ran.stdout
        assert f"iscsiadm --mode node --targetname iqn.2026-11.org.example:quickstart {portal} --login\n" in ran.stdout, ran.stdout
        # Of the first entry (docs/pool-format.md); nobody but the demo volume is there.
        uuids.append((scratch / "q/state/known-volumes").read_bytes()[520:536])
    assert any(uuids[0]) and uuids[0] == uuids[1], f"the volume's identity changed: {uuids}"
    assert "nothing is remembered" not in (scratch / "q/forebayd.log").read_text()
    # A name that YAML would read otherwise, and longer than a socket's may be.
    odd = scratch / ("it's: #1 " + "x" * 120)
    ran = run(root, build, odd, free_port())
    assert ran.returncode == 0, ran.stdout + ran.stderr


def refuses_a_taken_port(root: Path, build: Path, scratch: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        for name, port, iscsi_port in (("r", number, free_port()), ("i", free_port(), number)):
            refused = run(root, build, scratch / name, port, iscsi_port=iscsi_port)
            assert refused.returncode != 0, "a taken port went unnoticed:\n" + refused.stdout
            assert "another process has this port" in refused.stdout + refused.stderr, refused.stdout + refused.stderr
            assert not processes_of(scratch / name), processes_of(scratch / name)


def fails_with_its_load(root: Path, build: Path, scratch: Path) -> None:
    """The same binaries, but for a load that finds a difference."""
    fake = scratch / "fake"
    for name in ("target/forebayd", "appliance/cli/forebayctl", "appliance/media/forebay-media"):
        (fake / name).parent.mkdir(parents=True)
        (fake / name).symlink_to(build / name)
    load = fake / "tests/bench/forebay-load"
    load.parent.mkdir(parents=True)
    load.write_text("#!/bin/sh\necho 'block 7 is not what was written'\nexit 1\n")
    load.chmod(0o755)
    ran = run(root, fake, scratch / "f", free_port())
    assert ran.returncode != 0, "a failing load went unnoticed:\n" + ran.stdout
    assert "quickstart: failed" in ran.stdout and "everything held" not in ran.stdout, ran.stdout
    assert not processes_of(scratch / "f"), processes_of(scratch / "f")


def serves_until_interrupted(root: Path, build: Path, scratch: Path) -> None:
    directory = scratch / "s"
    # In a session of its own, so that Ctrl-C reaches all of it, as from a terminal, and nobody else.
    started = subprocess.Popen(command(root, free_port(), directory), env=environment(build),
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    seen, deadline = "", time.monotonic() + PATIENCE_S
    try:
        while "Serving until Ctrl-C" not in seen:
            ready, _, _ = select.select([started.stdout], [], [], max(0, deadline - time.monotonic()))
            assert ready, "it does not serve:\n" + seen
            piece = os.read(started.stdout.fileno(), 65536)
            assert piece, "it ended before it served:\n" + seen
            seen += piece.decode()
        assert processes_of(directory), "nothing serves"
        os.killpg(started.pid, signal.SIGINT)
        seen += started.communicate(timeout=PATIENCE_S)[0].decode()
        assert started.returncode == 0, f"exit code {started.returncode} after Ctrl-C:\n{seen}"
        assert "stopping" in seen, seen
        assert not processes_of(directory), processes_of(directory)
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)


def main() -> int:
    root, build = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    for check in (holds_twice, refuses_a_taken_port, fails_with_its_load, serves_until_interrupted):
        with tempfile.TemporaryDirectory() as scratch:
            check(root, build, Path(scratch))
        print(check.__name__)
    print("quick start holds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
