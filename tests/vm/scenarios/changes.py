"""What hosts see without asking when something changes at the target."""

from lab.host import Host
from lab.lab import Lab
from lab.namespace import ADDRESS, SECOND_ADDRESS
from lab.shell import run as run_here
from lab.target import DISCOVERY_NQN, DISCOVERY_PORT, MIB
from scenarios.outages import EXPECTED_COMPLAINTS

# Events as the kernel traces them: type, information and log page of the completion.
DISCOVERY_CHANGED = "0x70f002"
ANA_CHANGED = "0x0c0302"
NAMESPACE_CHANGED = "0x040002"
# What udev lacks in a guest without systemd, whose rules start services.
UDEV_COMPLAINTS = "udev"


def late_volume(lab: Lab) -> None:
    """A pool that is not there when the target starts: the volume keeps its place and its identity, I/O waits, and goes
    on as soon as the pool is there."""
    lab.allowed_complaints = EXPECTED_COMPLAINTS
    lab.serve((1, "late", 64 * MIB, 4096))
    host = lab.host()
    controller = host.connect("-i", "2")
    device = host.device(1)
    name = device.removeprefix("/dev/")
    uuid = host.read(f"/sys/block/{name}/uuid")
    host.fio(device, "--rw=write", "--bs=64k", "--size=2M")

    lab.target.stop()
    away = lab.target.pool.with_name("unmounted")
    lab.target.pool.rename(away)
    lab.target.pool.mkdir()
    lab.target.start()
    host.await_live(controller)
    _trace_events(host)
    _await_ana(host, "inaccessible")
    lab.require(host.read(f"/sys/block/{name}/uuid") == uuid, "the late volume changed its identity")
    lab.require(int(host.read(f"/sys/block/{name}/size")) * 512 == 64 * MIB, "the late volume changed its size")
    waiting = host.start(f"dd if={device} of=/dev/null bs=4k count=1 iflag=direct status=none")
    # A host that comes new in the meantime is not refused, and sees the volume.
    newcomer = lab.host(1)
    newcomer.connect("-i", "2")
    lab.require("1" in newcomer.run("nvme list-ns /dev/nvme0").split(":")[-1], "the late volume is not listed")
    lab.require(waiting.poll() is None, "a read of the late volume ended")

    lab.target.pool.rmdir()
    away.rename(lab.target.pool)
    _await_ana(host, "optimized")
    waiting.succeed()
    host.fio(device, "--rw=write", "--bs=64k", "--size=2M", "--verify_only")
    lab.require(ANA_CHANGED in _traced_events(host), f"no ANA event: {_traced_events(host)}")


def volume_grown(lab: Lab) -> None:
    """A volume grown while the target serves it, under a mounted file system: the host is told and sees it, over the same
    connections and without a rescan; so is udev."""
    lab.allowed_complaints = UDEV_COMPLAINTS
    lab.serve((1, "data", 64 * MIB, 4096))
    host = lab.host()
    host.keep_notices()
    host.connect("-i", "2")
    device = host.device(1)
    name = device.removeprefix("/dev/")
    host.run(f"mkfs.ext4 -q {device} && mount {device} /mnt && cp /usr/bin/fio /mnt && sync")
    _trace_events(host)

    lab.target.grow("data", 128 * MIB)
    host.await_true(f"grep -q {NAMESPACE_CHANGED} /sys/kernel/debug/tracing/trace")
    host.await_true(f"[ $(cat /sys/block/{name}/size) = {128 * MIB // 512} ]")
    host.await_notice(name)
    host.run(f"resize2fs {device} && cmp /mnt/fio /usr/bin/fio")
    host.fio("/mnt/new", "--rw=write", "--bs=128k", "--size=80M", "--do_verify=0")
    host.run(f"umount /mnt && e2fsck -f -n {device}")
    lab.require(lab.target.log().count("host connected ") == 1, "the host connected again")


def discovery_changes(lab: Lab) -> None:
    """A persistent discovery controller stays, and tells of an address that came up later; udev hears of it, whose rule would connect there."""
    lab.allowed_complaints = UDEV_COMPLAINTS
    run_here("ip", "addr", "del", f"{SECOND_ADDRESS}/32", "dev", "lo")
    lab.target.add_listener("io2", SECOND_ADDRESS)
    lab.serve()
    host = lab.host()
    host.keep_notices()
    controller = host.connect(nqn=DISCOVERY_NQN, port=DISCOVERY_PORT)
    _trace_events(host)
    before = host.json(f"discover -t tcp -a {ADDRESS} -s {DISCOVERY_PORT} -d {controller}")
    lab.require(SECOND_ADDRESS not in str(before), f"an address that is not up is in the log: {before}")

    run_here("ip", "addr", "add", f"{SECOND_ADDRESS}/32", "dev", "lo")
    host.await_true(f"grep -q {DISCOVERY_CHANGED} /sys/kernel/debug/tracing/trace")
    host.await_notice(DISCOVERY_CHANGED)
    after = host.json(f"discover -t tcp -a {ADDRESS} -s {DISCOVERY_PORT} -d {controller}")
    lab.require(SECOND_ADDRESS in str(after) and after["genctr"] > before["genctr"], f"{before}, then {after}")
    lab.require(host.attribute(controller, "state") == "live", "the discovery controller did not stay")
    host.connect("-i", "2", address=SECOND_ADDRESS)
    host.device(1)


def _trace_events(host: Host) -> None:
    host.run("cd /sys/kernel/debug/tracing && echo > trace && echo 1 > events/nvme/nvme_async_event/enable")


def _traced_events(host: Host) -> str:
    return host.run("grep AEN /sys/kernel/debug/tracing/trace || true")


def _await_ana(host: Host, state: str) -> None:
    """Of the one path to the one namespace."""
    host.await_true(f"grep -qx {state} /sys/class/nvme/nvme*/nvme*c*n*/ana_state")
