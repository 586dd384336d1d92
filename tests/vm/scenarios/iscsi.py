"""The same volumes for hosts that speak iSCSI: open-iscsi of a stock Debian, and both protocols at once."""

import re
from pathlib import Path

from lab.errors import CannotRun, Failed
from lab.guest import Job
from lab.host import Host, fio_command, fio_result
from lab.initiator import Initiator
from lab.lab import Lab
from lab.namespace import ADDRESS, SECOND_ADDRESS
from lab.shell import run as run_here
from lab.target import ISCSI_PORT, ISCSI_TARGET, MIB
from scenarios import filesystems, outages

SECRET, TARGET_SECRET = "a-hosts-secret-0123", "the-targets-secret-9"
# What a kernel says of a session whose target has gone, and of a disk that changes.
SESSION_COMPLAINTS = r"connection\d+:0: detected conn error|session recovery timed out|sd .*(capacity|Capacity)|iscsi: "
PASS_MIB = 16


def iscsi_login(lab: Lab) -> None:
    """Discovery, plain login, digests, CHAP one way and mutual; and without the right secret not."""
    lab.allowed_complaints = SESSION_COMPLAINTS
    lab.serve_iscsi()
    initiator = lab.initiator()
    records = initiator.discover()
    lab.require((f"{ADDRESS}:{ISCSI_PORT},1", ISCSI_TARGET) in records, f"discovery: {records}")
    for digest in ("None", "CRC32C"):
        initiator.set(node__conn_0_iscsi__HeaderDigest=digest, node__conn_0_iscsi__DataDigest=digest)
        disk = initiator.log_in()
        for key in ("HeaderDigest", "DataDigest"):
            lab.require(initiator.negotiated(key) == digest, f"{key} is {initiator.negotiated(key)}")
        initiator.host.fio(disk, "--rw=randwrite", "--bs=4k", "--size=2M", "--iodepth=8")
        initiator.host.fio(disk, "--rw=write", "--bs=256k", "--size=4M", "--iodepth=4")
        _identity(lab, initiator.host, disk)
        initiator.log_out()

    lab.target.stop()
    _require_chap(lab, initiator)
    lab.target.start()
    lab.require(initiator.attempt_login().code != 0, "a login without CHAP succeeds")
    chap = {"node__session__auth__authmethod": "CHAP", "node__session__auth__username": "host",
            "node__session__auth__password": SECRET}
    initiator.set(**chap)
    initiator.log_in()
    initiator.log_out()
    mutual = {"node__session__auth__username_in": "target", "node__session__auth__password_in": TARGET_SECRET}
    initiator.set(**mutual)
    disk = initiator.log_in()
    initiator.host.fio(disk, "--rw=randwrite", "--bs=4k", "--size=1M", "--iodepth=4")
    initiator.log_out()
    initiator.set(**chap | {"node__session__auth__password": SECRET + "x"})
    lab.require(initiator.attempt_login().code != 0, "a login with a wrong secret succeeds")
    initiator.set(**chap | mutual | {"node__session__auth__password_in": TARGET_SECRET + "x"})
    lab.require(initiator.attempt_login().code != 0, "the host believes a target with a wrong secret")


def iscsi_ext4(lab: Lab) -> None:
    lab.target.make_thin()
    lab.serve_iscsi(96 * MIB)
    initiator = lab.initiator()
    disk = _attach(initiator)
    initiator.host.run(f"mkfs.ext4 -q {disk}")
    filesystems.use(lab, initiator.host, disk)
    initiator.host.run(f"e2fsck -f -n {disk}")


def iscsi_xfs(lab: Lab) -> None:
    lab.target.make_thin()
    lab.serve_iscsi(320 * MIB, 512)
    initiator = lab.initiator()
    disk = _attach(initiator)
    initiator.host.run(f"mkfs.xfs -q {disk}")
    filesystems.use(lab, initiator.host, disk)
    initiator.host.run(f"xfs_repair -n {disk}")


def iscsi_multipath(lab: Lab) -> None:
    """Two portals, one volume, dm-multipath: each path in turn dies under load and comes back, the other carries on."""
    lab.allowed_complaints = SESSION_COMPLAINTS + r"|device-mapper: multipath|I/O error, dev sd|ping timeout"
    lab.serve_iscsi(64 * MIB, addresses=(ADDRESS, SECOND_ADDRESS))
    initiator = lab.initiator()
    host = initiator.host
    host.write("/etc/multipath.conf", "defaults {\n  find_multipaths no\n  user_friendly_names yes\n  polling_interval 2\n"
                                      "  path_grouping_policy multibus\n  path_selector \"round-robin 0\"\n  no_path_retry queue\n}\n")
    initiator.host.start_udev()
    host.start("multipathd -d > /run/multipathd.log 2>&1")
    lab.require(len(initiator.discover()) >= 2, "discovery names one portal only")
    for address in (ADDRESS, SECOND_ADDRESS):
        initiator.set(address, node__session__timeo__replacement_timeout="5", node__conn_0_timeo__noop_out_interval="2",
                      node__conn_0_timeo__noop_out_timeout="5")
    disks = [initiator.log_in(address) for address in (ADDRESS, SECOND_ADDRESS)]
    lab.require(len(set(disks)) == 2, f"two portals make {disks}")
    host.await_true("[ $(multipathd show paths raw format '%d %t' | grep -c active) = 2 ]")
    maps = host.run("ls /sys/block | grep ^dm-").split()
    lab.require(len(maps) == 1, f"two paths to one volume make {maps}")
    device = f"/dev/{maps[0]}"
    for address, disk in zip((ADDRESS, SECOND_ADDRESS), disks):
        load = _start_load(host, device)
        _await_sectors(host, disk, load)
        run_here("ip", "addr", "del", f"{address}/32", "dev", "lo")
        host.await_true(f"multipathd show paths raw format '%d %t' | grep '^{disk.removeprefix('/dev/')} ' | grep -q failed", 180)
        _finish_load(load)
        fio_result(_start_load(host, device).succeed(outages.PASS_TIMEOUT_S))
        run_here("ip", "addr", "add", f"{address}/32", "dev", "lo")
        host.await_true("[ $(multipathd show paths raw format '%d %t' | grep -c active) = 2 ]", 180)
    host.run("multipath -F || multipathd del maps")


def iscsi_grown(lab: Lab) -> None:
    """A volume grown under a mounted file system: the kernel is told, and with the rule of docs/iscsi.md sees it by itself."""
    lab.allowed_complaints = SESSION_COMPLAINTS
    lab.serve_iscsi()
    initiator = lab.initiator()
    host = initiator.host
    initiator.host.start_udev(_resize_rule())
    disk = _attach(initiator)
    name = disk.removeprefix("/dev/")
    host.run(f"mkfs.ext4 -q {disk} && mount {disk} /mnt && cp /usr/bin/fio /mnt && sync")
    host.start("udevadm monitor --kernel --property --subsystem-match=scsi > /run/uevents")
    host.await_true("grep -q KERNEL /run/uevents")
    lab.target.grow("data", 128 * MIB)
    # A unit attention waits for a command.
    host.await_true(f"dd if={disk} of=/dev/null bs=4k count=1 iflag=direct status=none; "
                    "grep -q SDEV_UA=CAPACITY_DATA_HAS_CHANGED /run/uevents")
    host.await_true(f"[ $(cat /sys/block/{name}/size) = {128 * MIB // 512} ]")
    host.run(f"resize2fs {disk} && cmp /mnt/fio /usr/bin/fio")
    host.fio("/mnt/new", "--rw=write", "--bs=128k", "--size=80M", "--do_verify=0")
    host.run(f"umount /mnt && e2fsck -f -n {disk}")


def iscsi_reservations(lab: Lab) -> None:
    """Two hosts and sg_persist: register, reserve, a writer without the key is refused, preempt; then sg_unmap."""
    lab.allowed_complaints = SESSION_COMPLAINTS + "|reservation conflict"
    lab.target.make_thin()
    lab.serve_iscsi()
    hosts = [lab.initiator(0), lab.initiator(1)]
    disks = [_attach(initiator) for initiator in hosts]
    first, second = (initiator.host for initiator in hosts)
    for host, disk, key in ((first, disks[0], "0x11"), (second, disks[1], "0x22")):
        host.run(f"sg_persist --out --register --param-sark={key} {disk}")
    first.run(f"sg_persist --out --reserve --param-rk=0x11 --prout-type=5 {disks[0]}")
    shown = second.run(f"sg_persist --in --read-reservation {disks[1]}")
    lab.require("0x11" in shown and "registrants only" in shown, f"the other host reads {shown}")
    keys = second.run(f"sg_persist --in --read-keys {disks[1]}")
    lab.require("0x11" in keys and "0x22" in keys, f"keys: {keys}")
    status = second.run(f"sg_persist --in --read-full-status {disks[1]}")
    lab.require(hosts[0].iqn in status and hosts[1].iqn in status, f"full status: {status}")
    second.run(f"{_write(disks[1])}")  # a registrant may
    second.run(f"sg_persist --out --register --param-rk=0x22 --param-sark=0 {disks[1]}")
    lab.require(second.attempt(_write(disks[1])).code != 0, "a host without a key writes")
    second.run(f"dd if={disks[1]} of=/dev/null bs=4k count=1 iflag=direct status=none")  # write exclusive: it may read
    second.run(f"sg_persist --out --register --param-sark=0x33 {disks[1]}")
    second.run(f"sg_persist --out --preempt --param-rk=0x33 --param-sark=0x11 --prout-type=5 {disks[1]}")
    # The first is told by a unit attention, then refused.
    lab.require(first.attempt(f"sg_turs {disks[0]}; {_write(disks[0])}").code != 0, "a preempted host writes")
    shown = first.run(f"sg_persist --in --read-reservation {disks[0]} || sg_persist --in --read-reservation {disks[0]}")
    lab.require("0x33" in shown, f"after preempt: {shown}")
    second.run(f"sg_persist --out --clear --param-rk=0x33 {disks[1]}")
    first.run(f"sg_turs {disks[0]} || true; {_write(disks[0])}")

    lab.target.await_written_back()
    first.run(f"dd if=/dev/urandom of={disks[0]} bs=1M count=8 oflag=direct status=none")
    before = lab.target.pool_bytes()
    first.run(f"sg_unmap --lba=0 --num=2048 --force {disks[0]} && dd if={disks[0]} bs=1M count=8 iflag=direct status=none | cmp -n 8388608 - /dev/zero")
    lab.require(lab.target.pool_bytes() <= before - 7 * MIB, f"sg_unmap gave {before - lab.target.pool_bytes()} bytes back")


def iscsi_target_killed(lab: Lab) -> None:
    """SIGKILL in the middle of verified writes, twice, with digests; every acknowledged block is there."""
    lab.allowed_complaints = SESSION_COMPLAINTS
    lab.serve_iscsi()
    initiator = lab.initiator()
    initiator.discover()
    initiator.set(node__conn_0_iscsi__HeaderDigest="CRC32C", node__conn_0_iscsi__DataDigest="CRC32C")
    disk = initiator.log_in()
    for turn in range(2):
        writes = ("--rw=randwrite", "--bs=4k", f"--size={PASS_MIB}M", f"--offset={turn * PASS_MIB}M", "--iodepth=8",
                  f"--randseed={turn + 1}")
        load = initiator.host.start(fio_command(disk, *writes))
        _await_sectors(initiator.host, disk, load)
        lab.target.kill()
        lab.require(load.poll() is None, "the load ended while the target was away")
        lab.target.start()
        fio_result(load.succeed(outages.PASS_TIMEOUT_S))
        initiator.host.run("echo 3 > /proc/sys/vm/drop_caches")
        initiator.host.fio(disk, *writes, "--verify_only", timeout=outages.PASS_TIMEOUT_S)


def iscsi_and_nvme(lab: Lab) -> None:
    """One volume by both protocols at once: one content, one reservation, one size."""
    lab.allowed_complaints = SESSION_COMPLAINTS + r"|[Rr]eservation [Cc]onflict|critical (nexus|target) error|sct 0x0 / sc 0x83"
    lab.serve_iscsi()
    initiator = lab.initiator(0)
    scsi = initiator.host
    disk = _attach(initiator)
    nvme = lab.host(1)
    nvme.connect("-i", "2")
    device = nvme.device(1)
    for turn, (writer, to, reader, of) in enumerate(((scsi, disk, nvme, device), (nvme, device, scsi, disk))):
        content = f"yes turn{turn} | head -c 65536"
        writer.run(f"{content} | dd of={to} bs=64k seek={turn} oflag=direct iflag=fullblock status=none")
        reader.run(f"dd if={of} bs=64k skip={turn} count=1 iflag=direct status=none | cmp - <({content})")

    scsi.run(f"sg_persist --out --register --param-sark=0x11 {disk} && sg_persist --out --reserve --param-rk=0x11 --prout-type=5 {disk}")
    lab.require(nvme.attempt(_write(device)).code != 0, "an NVMe host writes through a SCSI reservation")
    scsi.run(_write(disk))
    scsi.run(f"sg_persist --out --clear --param-rk=0x11 {disk}")
    nvme.run(_write(device))

    lab.target.grow("data", 128 * MIB)
    nvme.await_true(f"[ $(cat /sys/block/{device.removeprefix('/dev/')}/size) = {128 * MIB // 512} ]")
    scsi.run("iscsiadm -m session -R")
    scsi.await_true(f"[ $(cat /sys/block/{disk.removeprefix('/dev/')}/size) = {128 * MIB // 512} ]")


def _resize_rule() -> str:
    """As an administrator of a host is told to write it."""
    page = (Path(__file__).resolve().parents[3] / "docs/iscsi.md").read_text()
    rules = re.findall(r"(?m)^\s*(ACTION==.*SDEV_UA.*)$", page)
    if len(rules) != 1:
        raise CannotRun(f"docs/iscsi.md has {len(rules)} udev rules for a resize")
    return rules[0]


def _attach(initiator: Initiator) -> str:
    initiator.discover()
    initiator.set()
    return initiator.log_in()


def _write(disk: str) -> str:
    return f"dd if=/dev/zero of={disk} bs=4k count=1 seek=64 oflag=direct status=none"


def _identity(lab: Lab, host: Host, disk: str) -> None:
    """sg3-utils finds what the standards ask for, and the kernel the same size."""
    pages = host.run(f"sg_vpd {disk}")
    for page in ("Device identification", "Block limits", "Logical block provisioning"):
        lab.require(page.lower() in pages.lower(), f"no page \"{page}\" among {pages}")
    identity = host.run(f"sg_vpd --page=di {disk}")
    lab.require("NAA" in identity and "T10" in identity, f"designators: {identity}")
    capacity = host.run(f"sg_readcap --16 {disk}")
    lab.require(re.search(rf"Device size: {64 * MIB} bytes", capacity), f"READ CAPACITY: {capacity}")
    size = int(host.read(f"/sys/block/{disk.removeprefix('/dev/')}/size")) * 512
    lab.require(size == 64 * MIB, f"the kernel sees {size} bytes")


def _require_chap(lab: Lab, initiator: Initiator) -> None:
    secrets = {name: lab.target.write_secret(name, secret)
               for name, secret in (("secret", SECRET), ("mutual_secret", TARGET_SECRET))}
    lab.target.add_host("host", {"iqn": initiator.iqn, "chap": {"user": "host", "mutual_user": "target", **secrets}})


def _start_load(host: Host, device: str) -> Job:
    return host.start(fio_command(device, "--rw=randwrite", "--bs=4k", f"--size={PASS_MIB}M", "--iodepth=8"))


def _finish_load(load: Job) -> None:
    fio_result(load.succeed(outages.PASS_TIMEOUT_S))


def _await_sectors(host: Host, disk: str, load: Job) -> None:
    """Until I/O gets through."""
    stat = f"/sys/block/{disk.removeprefix('/dev/')}/stat"
    outages.await_progress(lambda: outages.moved_sectors(host, stat), lambda: outages.require_running(load))
    if load.poll() is not None:
        raise Failed("the load ended too early")
