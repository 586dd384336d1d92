"""A guest as an NVMe/TCP host: what an administrator does with nvme-cli, and what the kernel then shows."""

import json
import re
import uuid

from lab.errors import Failed
from lab.guest import Guest, ends_of
from lab.namespace import ADDRESS
from lab.target import IO_PORT, SUBSYSTEM

# Far above what an emulated guest beside a compiler needs; scenarios about keep-alive choose their own.
KEEP_ALIVE_S = 60
# Where a guest's rules of udev write down what they were told.
NOTICES = "/run/notices"


class Host:
    """Host number `index`: its own identity, the same each time."""

    def __init__(self, guest: Guest, index: int):
        self.guest = guest
        self.asked_for: set[str] = set()  # options of all its connects; of those inside TLS, that they were
        self.id = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"host{index}.example.com"))
        self.nqn = f"nqn.2014-08.org.nvmexpress:uuid:{self.id}"
        self.run, self.attempt, self.start = guest.run, guest.attempt, guest.start
        self.read, self.write, self.await_true, self.complaints = guest.read, guest.write, guest.await_true, guest.complaints
        guest.write("/etc/nvme/hostnqn", self.nqn)
        guest.write("/etc/nvme/hostid", self.id)
        # Ends with 141 if commands could die of what guest_agent.sh protects them from.
        guest.run("kill -PIPE $$")
        # From here on the kernel's log is this scenario's.
        guest.run("dmesg -C")

    def connect(self, *options: str, address: str = ADDRESS, port: int = IO_PORT, nqn: str = SUBSYSTEM) -> str:
        """The controller's name, such as nvme0, once it is live."""
        self.asked_for.update({"--tls"} if {"--tls", "--concat"} & {*options} else options)
        output = self.run(f"nvme connect -t tcp -a {address} -s {port} -n {nqn} -k {KEEP_ALIVE_S} -l 900 -c 1 "
                          f"{' '.join(options)} -o json 2>&1 || exit $?")
        found = re.search(r"nvme\d+", output)
        if not found:
            # nvme-cli 2.3 says nothing: the youngest controller of this subsystem is the one.
            found = re.search(r"nvme\d+", self.controllers()[-1])
        self.await_live(found.group(0))
        return found.group(0)

    def connect_expecting_failure(self, *options: str, address: str = ADDRESS, port: int = IO_PORT,
                                  nqn: str = SUBSYSTEM) -> str:
        answer = self.attempt(f"nvme connect -t tcp -a {address} -s {port} -n {nqn} {' '.join(options)}")
        if answer.code == 0:
            raise Failed(f"connect to {nqn} at {address}:{port} succeeded")
        return answer.output

    def disconnect(self, controller: str | None = None) -> None:
        self.run(f"nvme disconnect -d {controller}" if controller else "nvme disconnect-all")

    def controllers(self) -> list[str]:
        return self.run("ls -1 -v /sys/class/nvme").split()

    def attribute(self, controller: str, name: str) -> str:
        return self.read(f"/sys/class/nvme/{controller}/{name}")

    def await_live(self, controller: str, timeout: float = 180) -> None:
        self.await_true(f'[ "$(cat /sys/class/nvme/{controller}/state)" = live ]', timeout)

    def device(self, nsid: int, nqn: str = SUBSYSTEM) -> str:
        """The block device of a namespace, such as /dev/nvme0n1, as soon as it is there."""
        output = self.run(
            "for i in $(seq 300); do for b in /sys/block/nvme*n*; do "
            f'[ "$(cat $b/nsid 2>/dev/null)" = {nsid} ] && [ "$(cat $b/device/subsysnqn)" = {nqn} ] && '
            "[ -b /dev/${b##*/} ] && { echo /dev/${b##*/}; exit 0; }; done; sleep 0.1; done; ls -l /sys/block; exit 1")
        return output.strip()

    def json(self, command: str) -> dict | list:
        """What an `nvme` subcommand prints with -o json."""
        output = self.run(f"nvme {command} -o json 2>/run/stderr || {{ c=$?; cat /run/stderr; exit $c; }}")
        start = min((position for position in (output.find("{"), output.find("[")) if position >= 0), default=-1)
        if start < 0:
            raise Failed(f"nvme {command} printed no JSON: {output}")
        return json.loads(output[start:])

    def start_udev(self, *rules: str) -> None:
        """The daemon of every ordinary host; most scenarios do without. `rules` come last."""
        for number, rule in enumerate(rules):
            self.write(f"/etc/udev/rules.d/90-{number}.rules", rule + "\n")
        self.run("mkdir -p /run/udev && $(ls /lib/systemd/systemd-udevd /usr/lib/systemd/systemd-udevd 2>/dev/null | head -1) --daemon "
                 "&& udevadm trigger --subsystem-match=block --subsystem-match=scsi && udevadm settle")

    def keep_notices(self) -> None:
        """Runs udev, whose rules write down the asynchronous events that the kernel tells it of, and what was resized."""
        self.start_udev(_written_down("nvme", "NVME_AEN", "?*"), _written_down("block", "RESIZE", "1"))

    def await_notice(self, told: str) -> None:
        """An event's completion, or a block device, as `keep_notices` has it."""
        self.await_true(f"grep -qx {told} {NOTICES}")

    def fio(self, where: str, *options: str, timeout: float = 900) -> dict:
        return fio_result(self.run(fio_command(where, *options), timeout))


def _written_down(subsystem: str, name: str, value: str) -> str:
    told = "$env{NVME_AEN}" if subsystem == "nvme" else "$kernel"
    return f'ACTION=="change", SUBSYSTEM=="{subsystem}", ENV{{{name}}}=="{value}", RUN+="/bin/sh -c \'echo {told} >> {NOTICES}\'"'


def fio_command(where: str, *options: str) -> str:
    """Writes, then reads back and compares checksums."""
    return (f"fio --name=verify --filename={where} --ioengine=libaio --direct=1 --verify=crc32c --verify_fatal=1 "
            f"--randrepeat=1 --output-format=json {' '.join(options)}")


def fio_result(output: str) -> dict:
    """The one job of a run that must have had no error, and must have done all that it was asked for."""
    if "got signal=" in output:
        raise Failed(f"fio was ended by a signal: {ends_of(output)}")
    try:
        job = json.loads(output[output.index("{"):])["jobs"][0]
        options = job["job options"]
        size = bytes_of(options["size"])
    except (ValueError, KeyError, IndexError) as error:
        raise Failed(f"fio printed no result: {ends_of(output)}") from error
    if job["error"] != 0:
        raise Failed(f"fio: error {job['error']}: {ends_of(output)}")
    written, read = job["write"]["io_bytes"], job["read"]["io_bytes"]
    # A mixed run writes a part of it; what it reads while writing and what it reads to verify make up the whole again.
    if written != size and not (options["rw"] == "randrw" and 0 < written < size):
        raise Failed(f"fio wrote {written} of {size} bytes: {ends_of(output)}")
    expected = 0 if options.get("do_verify") == "0" else size
    if read != expected:
        raise Failed(f"fio read {read} of {expected} bytes: {ends_of(output)}")
    return job


def bytes_of(size: str) -> int:
    """Of a size as fio takes it: 24M."""
    found = re.fullmatch(r"(\d+)([kMG]?)", size)
    return int(found.group(1)) << {"": 0, "k": 10, "M": 20, "G": 30}[found.group(2)]
