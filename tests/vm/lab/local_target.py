"""The target as a process of this machine: its start, its death, and what it holds while it lives."""

import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

from lab.agent import Answer
from lab.errors import Failed
from lab.namespace import ADDRESS, ADDRESS6
from lab.programs import Programs
from lab.target import CACHE_MIB, Target, directory_pool

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
TOOL_TIMEOUT_S = 60.0


class LocalTarget(Target):
    def __init__(self, programs: Programs, folder: Path):
        self.pool = folder / "pool"
        super().__init__(directory_pool(self.pool), folder / "cache", folder / "control.sock")
        self.programs, self.folder = programs, folder
        self._process: subprocess.Popen | None = None
        self._log_size = 0
        self._environment: dict[str, str] = {}
        self.add_listener("io", ADDRESS)
        self.add_listener("io6", ADDRESS6)

    def execute(self, program: str, *arguments: str) -> Answer:
        done = subprocess.run([str(self.programs.path(program)), *arguments], capture_output=True, text=True,
                              timeout=TOOL_TIMEOUT_S, check=False)
        return Answer(done.returncode, done.stdout + done.stderr)

    def create_pool(self) -> None:
        self.pool.mkdir(parents=True)
        super().create_pool()

    def create_cache(self, *options: str) -> None:
        """In a file."""
        super().create_cache("--size", f"{CACHE_MIB}MiB", *options)

    def start(self) -> None:
        """Returns when the daemon says that it serves."""
        config = self._write_configuration()
        notify = self.folder / "notify"
        notify.unlink(missing_ok=True)
        state = self.folder / "state"
        state.mkdir(exist_ok=True)
        environment = {**os.environ, "NOTIFY_SOCKET": str(notify), "STATE_DIRECTORY": str(state), **self._environment}
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, open(self.folder / "forebayd.log", "ab") as log:
            ready.bind(str(notify))
            ready.settimeout(0.1)
            self._log_size = log.tell()
            self._process = subprocess.Popen([str(self.programs.path("forebayd")), str(config)], stdout=log, stderr=log,
                                             stdin=subprocess.DEVNULL, env=environment)
            deadline = time.monotonic() + READY_TIMEOUT_S
            while True:
                if self._process.poll() is not None:
                    raise Failed(f"forebayd ended with {self._process.returncode} at start:\n{self.log()}")
                if time.monotonic() > deadline:
                    raise Failed(f"forebayd is not ready after {READY_TIMEOUT_S:.0f} s:\n{self.log()}")
                try:
                    if "READY=1" in ready.recv(4096).decode().splitlines():
                        return
                except TimeoutError:
                    pass

    def reload(self) -> None:
        """Takes over what `config` has become, while hosts are connected."""
        self._write_configuration()
        done = self._ctl("reload")
        if done.code != 0:
            raise Failed(f"forebayctl reload: exit code {done.code}: {done.output}")

    def write_secret(self, name: str, secret: str) -> str:
        """A reference to it for the configuration."""
        path = self.folder / name
        path.write_text(secret)
        path.chmod(0o600)
        return f"file:{path}"

    def log(self) -> str:
        with open(self.folder / "forebayd.log", "rb") as file:
            file.seek(self._log_size)
            return file.read().decode(errors="replace")

    def hang_disks_by(self, name: str) -> Path:
        """From the next start on: while that file is there, no disk answers anything."""
        hung = self.folder / name
        preload = self.programs.build / "tests/end_to_end/libhung_disk_preload.so"
        # A sanitizer wants to be the first, and is content with being told that it need not.
        self._environment = {"LD_PRELOAD": str(preload), "FOREBAY_TEST_HUNG_DISK": str(hung),
                             "ASAN_OPTIONS": "verify_asan_link_order=0"}
        return hung

    def pool_bytes(self) -> int:
        """What the pool's files take of the disk: a hole takes nothing."""
        return sum(path.stat().st_blocks * 512 for path in self.pool.rglob("*") if path.is_file())

    def kill(self) -> None:
        """As the kernel does when memory runs out."""
        self._end(signal.SIGKILL, -signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM, 0)

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def check(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            raise Failed(f"forebayd ended with {self._process.returncode}:\n{self.log()[-4000:]}")

    def close(self) -> None:
        if self.running():
            self._process.kill()
            self._process.wait()

    def resident_kib(self) -> int:
        text = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1))

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self._process.pid}/fd"))

    def _write_configuration(self) -> Path:
        path = self.folder / "forebay.yaml"
        path.write_text(self.yaml())
        return path

    def _end(self, number: signal.Signals, expected: int) -> None:
        self.check()
        self._process.send_signal(number)
        code = self._process.wait(STOP_TIMEOUT_S)
        self._process = None
        if code != expected:
            raise Failed(f"forebayd ended with {code} after {number.name}, expected {expected}:\n{self.log()[-4000:]}")
