"""appliance/quickstart --check ends with 0 when everything holds, twice on the same folder, and not when its port is
taken. Uses the binaries of this build, so that nothing is built here."""
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path


def run(root: Path, build: Path, directory: Path, port: int) -> subprocess.CompletedProcess:
    return subprocess.run(
        [root / "appliance/quickstart", "--check", "--port", str(port), "--directory", directory],
        env={**os.environ, "FOREBAY_QUICKSTART_BUILD": str(build)}, capture_output=True, text=True, timeout=300)


def main() -> int:
    root, build = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory() as scratch, socket.socket() as taken, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        directory = Path(scratch) / "q"
        uuids = []
        for _ in range(2):
            ran = run(root, build, directory, port)
            assert ran.returncode == 0, ran.stdout + ran.stderr
            assert "HEALTHY" in ran.stdout and "everything held" in ran.stdout, ran.stdout
            assert f"nvme connect --transport=tcp --traddr=127.0.0.1 --trsvcid={port} --nqn=" in ran.stdout, ran.stdout
            uuids.append([line.split()[-1] for line in ran.stdout.splitlines() if line.startswith("demo ")])
        assert uuids[0] and uuids[0] == uuids[1], f"the volume's identity changed: {uuids}"

        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused = run(root, build, Path(scratch) / "r", taken.getsockname()[1])
        assert refused.returncode != 0, "a taken port went unnoticed:\n" + refused.stdout
        assert "another process has this port" in refused.stdout + refused.stderr, refused.stdout + refused.stderr
    print("quick start holds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
