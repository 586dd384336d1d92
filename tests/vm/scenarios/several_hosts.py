"""More than one host: beside each other, on one volume, and kept apart."""

from lab.host import fio_command, fio_result
from lab.lab import Lab
from lab.namespace import ADDRESS
from lab.target import DISCOVERY_PORT, MIB, SUBSYSTEM


def two_hosts(lab: Lab) -> None:
    """Each on its own volume under load, both on a shared one; each sees only what it may."""
    # "Connect Invalid Host", with DNR: the stranger's.
    lab.allowed_complaints = "failed to connect queue: 0 ret=16772"
    hosts = [lab.host(0), lab.host(1)]
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

    stranger = "--hostnqn=nqn.2026-11.com.example:stranger --hostid=6f0c7f9e-5a53-4b0e-9c51-2f4f4d1e7a10"
    hosts[0].connect_expecting_failure(stranger)
    log = hosts[0].json(f"discover -t tcp -a {ADDRESS} -s {DISCOVERY_PORT} {stranger}")
    lab.require(SUBSYSTEM not in str(log), f"a stranger is told of the subsystem: {log}")
