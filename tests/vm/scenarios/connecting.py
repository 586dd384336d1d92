"""Finding the target and attaching to it."""

import time

from lab.lab import Lab
from lab.namespace import ADDRESS, ADDRESS6
from lab.target import DISCOVERY_PORT, IO_PORT, SUBSYSTEM


def discover(lab: Lab) -> None:
    """The log names the subsystem with the address the host can reach, on both kinds of listener; connect-all follows it."""
    lab.serve()
    host = lab.host()
    for port in (DISCOVERY_PORT, IO_PORT):
        log = host.json(f"discover -t tcp -a {ADDRESS} -s {port}")
        records = [record for record in log["records"] if record["subnqn"] == SUBSYSTEM]
        found = {(record["trtype"], record["adrfam"], record["traddr"], record["trsvcid"].strip())
                 for record in records}
        lab.require(("tcp", "ipv4", ADDRESS, str(IO_PORT)) in found, f"port {port}: {log}")
        lab.require(("tcp", "ipv6", ADDRESS6, str(IO_PORT)) in found, f"port {port}: {log}")
        lab.require(all(record["subtype"].startswith("nvme subsystem") for record in records), f"subtype: {records}")
        # "not required" makes older hosts ask their kernel for TLS.
        lab.require(all(record["treq"].startswith("not specified") for record in log["records"]), f"treq: {log}")
        others = [record for record in log["records"] if record["subnqn"] != SUBSYSTEM]
        lab.require(all("discovery subsystem" in record["subtype"] for record in others), f"the log names {others}")
    host.run(f"nvme connect-all -t tcp -a {ADDRESS} -s {DISCOVERY_PORT} -k 60")
    host.device(1)
    host.disconnect()
    message = host.connect_expecting_failure(nqn="nqn.2026-11.com.example:nobody")
    lab.allowed_complaints = r"Connect Invalid Data Parameter, subsysnqn|failed to connect queue: 0 ret=16770"
    lab.require(message.strip(), "a refused connect says nothing")


def queues(lab: Lab) -> None:
    """One queue pair for each CPU and purpose asked for: default, write and poll."""
    lab.serve()
    host = lab.host()
    for options, queue_count in ((["-i", "1"], 2), (["-i", "2"], 3), (["-i", "2", "-W", "2", "-P", "2"], 7)):
        controller = host.connect(*options)
        counted = int(host.attribute(controller, "queue_count"))
        lab.require(counted == queue_count, f"{options}: {counted} queues, expected {queue_count}")
        device = host.device(1)
        host.fio(device, "--rw=randrw", "--bs=4k", "--size=2M", "--iodepth=16", "--numjobs=1")
        host.disconnect(controller)
    for depth in (16, 1024):
        controller = host.connect("-i", "2", "-Q", str(depth))
        lab.require(int(host.attribute(controller, "sqsize")) == depth - 1, f"sqsize with -Q {depth}")
        host.fio(host.device(1), "--rw=randwrite", "--bs=4k", "--size=2M", f"--iodepth={depth}")
        host.disconnect(controller)


def digests(lab: Lab) -> None:
    """Header and data digest, each alone and both."""
    lab.serve()
    host = lab.host()
    for options in (["-g"], ["-G"], ["-g", "-G"]):
        controller = host.connect("-i", "2", *options)
        device = host.device(1)
        host.fio(device, "--rw=randwrite", "--bs=4k", "--size=1M", "--iodepth=8")
        host.fio(device, "--rw=write", "--bs=256k", "--size=4M", "--iodepth=4")
        host.disconnect(controller)


def ipv6(lab: Lab) -> None:
    """The same over IPv6: discovery, connect, verified data."""
    lab.serve()
    host = lab.host()
    host.await_true("ip -6 route | grep -q ^default")
    log = host.json(f"discover -t tcp -a {ADDRESS6} -s {DISCOVERY_PORT}")
    records = [record for record in log["records"] if record["subnqn"] == SUBSYSTEM]
    lab.require(any(record["adrfam"] == "ipv6" and record["traddr"] == ADDRESS6 for record in records), f"{log}")
    controller = host.connect("-i", "2", address=ADDRESS6)
    lab.require(ADDRESS6 in host.attribute(controller, "address"), host.attribute(controller, "address"))
    host.fio(host.device(1), "--rw=randwrite", "--bs=4k", "--size=2M", "--iodepth=8")


def reconnect_50_times(lab: Lab) -> None:
    """Neither the target nor the host keeps anything of an association that ended."""
    lab.serve()
    host = lab.host()

    def rounds(count: int) -> None:
        # In one go: a round is mostly the start of programs, and they are slow to emulate.
        host.run(f"for i in $(seq {count}); do nvme connect -t tcp -a {ADDRESS} -s {IO_PORT} -n {SUBSYSTEM} -i 2 -k 60 "
                 ">/dev/null || exit 1; "
                 "for j in $(seq 300); do [ -b /dev/nvme0n1 ] && break; sleep 0.1; done; "
                 "dd if=/dev/nvme0n1 of=/dev/null bs=4k count=4 iflag=direct status=none || exit 2; "
                 "nvme disconnect -d nvme0 >/dev/null || exit 3; done", 1200)
        lab.require(not host.controllers(), "a controller is left in the guest")

    def await_nobody() -> None:
        """The target hears of a disconnect a moment after the host is done with it."""
        deadline = time.monotonic() + 60
        while (there := lab.target.descriptors()) != descriptors or lab.target.status_list("hosts"):
            lab.require(time.monotonic() < deadline,
                        f"{there} descriptors, {descriptors} before; hosts: {lab.target.status_list('hosts')}")
            time.sleep(0.1)

    descriptors = lab.target.descriptors()
    rounds(3)
    await_nobody()
    resident = [lab.target.resident_kib()]
    for _ in range(2):
        rounds(50)
        await_nobody()
        resident.append(lab.target.resident_kib())
    # An association has some 100 KiB of buffers: 50 leaked ones would be far above this. What pools and the allocator
    # keep for reuse has been kept by the second half.
    first, second = resident[1] - resident[0], resident[2] - resident[1]
    lab.require(first < 1024 and second < 256, f"resident memory grew by {first}, then {second} KiB over 50 associations each")
    lab.note = f"resident memory grew by {first}, then {second} KiB"
