"""More than one host: beside each other, on one volume, kept apart, and one fenced by the other."""

from lab.host import Host, fio_command, fio_result
from lab.lab import Lab
from lab.namespace import ADDRESS
from lab.target import DISCOVERY_PORT, MIB, SUBSYSTEM


# The completion of the event that tells of log page 80h, as the kernel has it.
RESERVATION_LOG = "0x800006"


def two_hosts(lab: Lab) -> None:
    """Each on its own volume under load, both on a shared one; each sees only what it may; then one takes the shared volume from the other."""
    # "Connect Invalid Host", with DNR: the stranger's. And what a host is told that has been fenced, and udev without systemd.
    lab.allowed_complaints = "failed to connect queue: 0 ret=16772|reservation conflict|sc 0x83|udev"
    hosts = [lab.host(0), lab.host(1)]
    hosts[0].keep_notices()
    subsystem = lab.target.config["subsystems"][SUBSYSTEM]
    del subsystem["allow_any_host"]
    subsystem["hosts"] = ["first", "second"]
    lab.target.config["hosts"] = {"first": {"nqn": hosts[0].nqn}, "second": {"nqn": hosts[1].nqn}}
    for nsid, name in ((1, "mine"), (2, "yours"), (3, "shared")):
        lab.target.add_volume(nsid, name, 32 * MIB, 4096)
    subsystem["namespaces"][1]["hosts"] = ["first"]
    subsystem["namespaces"][2]["hosts"] = ["second"]
    lab.target.create_pool()
    lab.target.start()

    controllers = [host.connect("-i", "2") for host in hosts]
    numbers = {host.attribute(controller, "cntlid") for host, controller in zip(hosts, controllers)}
    lab.require(len(numbers) == 2, f"controller ids {numbers}")
    for host, controller, expected in zip(hosts, controllers, ((1, 3), (2, 3))):
        seen = host.run("cat /sys/block/nvme*n*/nsid | sort -u").split()
        lab.require(tuple(map(int, seen)) == expected, f"{controller} sees namespaces {seen}, expected {expected}")
    loads = [host.start(fio_command(host.device(nsid), "--rw=randwrite", "--bs=4k", "--size=4M", "--iodepth=8"))
             for host, nsid in zip(hosts, (1, 2))]
    # Meanwhile what one writes to the shared volume, the other reads.
    for turn, (writer, reader) in enumerate(((0, 1), (1, 0))):
        content = f"yes turn{turn} | head -c 65536"
        hosts[writer].run(f"{content} | dd of={hosts[writer].device(3)} bs=64k seek={turn} oflag=direct "
                          "iflag=fullblock status=none")
        hosts[reader].run(f"dd if={hosts[reader].device(3)} bs=64k skip={turn} count=1 iflag=direct status=none "
                          f"| cmp - <({content})")
    for load in loads:
        fio_result(load.succeed(900))

    _fence(lab, *hosts)

    stranger = "--hostnqn=nqn.2026-11.com.example:stranger --hostid=6f0c7f9e-5a53-4b0e-9c51-2f4f4d1e7a10"
    hosts[0].connect_expecting_failure(stranger)
    log = hosts[0].json(f"discover -t tcp -a {ADDRESS} -s {DISCOVERY_PORT} {stranger}")
    lab.require(SUBSYSTEM not in str(log), f"a stranger is told of the subsystem: {log}")


def _fence(lab: Lab, first: Host, second: Host) -> None:
    """As a cluster does it (fence_scsi): both are registered, one is taken for dead while it writes, and loses its registration. It
    is told, writes no more, and what it has had under way comes before whatever the other writes then."""
    devices = {host: host.device(3) for host in (first, second)}

    def writes(host: Host, word: str) -> str:
        return f"yes {word} | head -c 65536 | dd of={devices[host]} bs=64k iflag=fullblock oflag=direct status=none"

    for host, key in ((first, 0x11), (second, 0x22)):
        host.run(f"nvme resv-register {devices[host]} --nrkey={key} --rrega=0")
    first.run(f"nvme resv-acquire {devices[first]} --crkey={0x11} --rtype=3 --racqa=0")
    second.run(writes(second, "registered"))
    busy = first.start(f"touch /run/busy; while {writes(first, 'old')}; do :; done; exit 0")
    first.await_true("[ -e /run/busy ]")
    # Preempt and abort; write exclusive, registrants only.
    second.run(f"nvme resv-acquire {devices[second]} --crkey={0x22} --prkey={0x11} --rtype=3 --racqa=2")
    second.run(writes(second, "new"))
    busy.succeed()
    first.await_notice(RESERVATION_LOG)
    lab.require(first.attempt(writes(first, "old") + " 2>&1").code != 0, "a fenced host writes")
    for attempt in ("resv-acquire {} --crkey=17 --rtype=3 --racqa=0", "resv-release {} --crkey=17 --rtype=3 --rrela=0"):
        lab.require(first.attempt("nvme " + attempt.format(devices[first])).code != 0, f"a fenced host may {attempt}")
    for host in (first, second):
        host.run(f"dd if={devices[host]} bs=64k count=1 iflag=direct status=none | cmp - <(yes new | head -c 65536)")
    report = second.json(f"resv-report {devices[second]} --eds")
    holders = report.get("regctlext") or report.get("regctl") or []
    lab.require(report["rtype"] == 3 and len(holders) == 1 and int(str(holders[0]["rkey"]), 0) == 0x22, f"after the fence: {report}")
    # Back again by registering anew; nobody is in its way once all is cleared.
    first.run(f"nvme resv-register {devices[first]} --nrkey={0x33} --rrega=0 && {writes(first, 'back')}")
    second.run(f"nvme resv-release {devices[second]} --crkey={0x22} --rtype=3 --rrela=1")
    first.run(writes(first, "clear"))
