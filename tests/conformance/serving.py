"""What the suite is run against: the daemon under test, or Debian's tgt, which shows that this harness works."""

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from lab.errors import CannotRun
from lab.local_target import LocalTarget
from lab.namespace import ADDRESS, SECOND_ADDRESS
from lab.programs import Programs
from lab.shell import run, tool
from lab.target import ISCSI_PORT, ISCSI_TARGET, MIB

# The suite's own, where it is told none.
INITIATORS = ("iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-test", "iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-test-2")
USER, SECRET = "conformance", "a-secret-of-24-characters"
TARGET_USER, TARGET_SECRET = "forebay", "another-secret-of-the-target"
VOLUME_MIB = 512
# Some tests write half of the volume, or 2048 blocks, with one command, whatever a command may have at most.
SMALL_MIB = 2
ON_SMALL = {"ALL.ExtendedCopy.Simple"}
ON_DISK = ("ALL.WriteAtomic16.", "ALL.CompareAndWrite.InvalidDataOutSize", "ALL.GetLBAStatus.UnmapSingle", "ALL.WriteSame10.UnmapUnaligned",
           "ALL.WriteSame10.InvalidDataOutSize", "ALL.WriteSame16.UnmapUnaligned", "ALL.WriteSame16.InvalidDataOutSize")
TGT_CONTROL = 77


@dataclass(frozen=True)
class Combination:
    name: str
    block_size: int
    chap: bool = False
    header_digest: bool = False
    long: bool = False

    def url(self, address: str, lun: int) -> str:
        who = f"{USER}%{SECRET}@" if self.chap else ""
        options = {}
        if self.header_digest:
            options["header_digest"] = "crc32c"
        if self.chap:
            options |= {"target_user": TARGET_USER, "target_password": TARGET_SECRET}
        query = "?" + urlencode(options) if options else ""
        return f"iscsi://{who}{address}:{ISCSI_PORT}/{ISCSI_TARGET}/{lun}{query}"


COMBINATIONS = (
    Combination("512 bytes, mutual CHAP", 512, chap=True),
    Combination("4096 bytes, header digest", 4096, header_digest=True),
    Combination("512 bytes, header digest", 512, header_digest=True, long=True),
    Combination("4096 bytes, mutual CHAP", 4096, chap=True, long=True),
    Combination("512 bytes", 512, long=True),
    Combination("4096 bytes, mutual CHAP, header digest", 4096, chap=True, header_digest=True, long=True),
)


class Forebay:
    """The real daemon, a volume on a thin pool with a cache in front of it, two portals."""

    LUN, SMALL_LUN = 0, 1

    def __init__(self, combination: Combination, build: Path, folder: Path):
        self._target = LocalTarget(Programs(build), folder)
        self._target.make_thin()
        self._target.create_pool()
        self._target.create_cache()
        self._target.add_volume(1, "data", VOLUME_MIB * MIB, combination.block_size)
        self._target.add_volume(2, "small", SMALL_MIB * MIB, combination.block_size)
        self._target.offer_by_iscsi({self.LUN: "data", self.SMALL_LUN: "small"}, ADDRESS, SECOND_ADDRESS)
        if combination.chap:
            self._require_chap(folder)
        self._target.start()

    def _require_chap(self, folder: Path) -> None:
        secrets = {}
        for name, secret in (("secret", SECRET), ("mutual_secret", TARGET_SECRET)):
            path = folder / name
            path.write_text(secret + "\n")
            path.chmod(0o600)
            secrets[name] = f"file:{path}"
        for number, iqn in enumerate(INITIATORS):
            self._target.add_host(f"suite{number}", {"iqn": iqn, "chap": {"user": USER, "mutual_user": TARGET_USER, **secrets}})

    def check(self) -> None:
        """Raises if it has not survived."""
        self._target.check()

    def log(self) -> str:
        return self._target.log()

    def stop(self) -> None:
        self._target.stop()

    def close(self) -> None:
        self._target.close()


class Tgt:
    """Debian's tgt over a file of zeroes."""

    LUN = SMALL_LUN = 1

    def __init__(self, combination: Combination, _build: Path, folder: Path):
        disk = folder / "disk"
        with open(disk, "wb") as file:
            file.truncate(VOLUME_MIB * MIB)
        self._log = folder / "tgtd.log"
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen([tool("tgtd"), "-f", "-C", str(TGT_CONTROL), "--iscsi", f"portal={ADDRESS}:{ISCSI_PORT}"],
                                             stdout=log, stderr=log)
        self._await_control()
        self._admin("--op", "new", "--mode", "target", "--tid", "1", "-T", ISCSI_TARGET)
        self._admin("--op", "new", "--mode", "logicalunit", "--tid", "1", "--lun", str(self.LUN), "-b", str(disk),
                    f"--blocksize={combination.block_size}")
        self._admin("--op", "update", "--mode", "target", "--tid", "1", "--name", "HeaderDigest", "--value", "CRC32C,None")
        self._admin("--op", "bind", "--mode", "target", "--tid", "1", "-I", "ALL")
        if combination.chap:
            for user, secret, direction in ((USER, SECRET, []), (TARGET_USER, TARGET_SECRET, ["--outgoing"])):
                self._admin("--op", "new", "--mode", "account", "--user", user, "--password", secret)
                self._admin("--op", "bind", "--mode", "account", "--tid", "1", "--user", user, *direction)
        self._admin("--op", "new", "--mode", "portal", "--param", f"portal={SECOND_ADDRESS}:{ISCSI_PORT}")

    def check(self) -> None:
        if self._process.poll() is not None:
            raise CannotRun(f"tgtd ended with {self._process.returncode}:\n{self.log()}")

    def log(self) -> str:
        return self._log.read_text(errors="replace")[-4000:]

    def stop(self) -> None:
        self.close()

    def close(self) -> None:
        # It ignores SIGTERM while it has sessions.
        self._process.kill()
        self._process.wait()

    def _await_control(self) -> None:
        deadline = time.monotonic() + 30
        while subprocess.run([tool("tgtadm"), "-C", str(TGT_CONTROL), "--op", "show", "--mode", "sys"], capture_output=True,
                             check=False).returncode != 0:
            self.check()
            if time.monotonic() > deadline:
                raise CannotRun(f"tgtd does not answer:\n{self.log()}")
            time.sleep(0.1)

    def _admin(self, *arguments: str) -> None:
        run("tgtadm", "-C", str(TGT_CONTROL), "--lld", "iscsi", *arguments)
