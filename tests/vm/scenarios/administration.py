"""What nvme-cli asks a controller and a namespace, and whether the answers agree with each other and the kernel."""

import re

from lab.host import KEEP_ALIVE_S, Host
from lab.lab import Lab
from lab.namespace import ADDRESS
from lab.target import IO_PORT, MIB, SUBSYSTEM

SIZE = 64 * MIB


def identify(lab: Lab) -> None:
    """Identify data and what the kernel made of it."""
    lab.serve((1, "small", SIZE, 512), (7, "large", 2 * SIZE, 4096))
    host = lab.host()
    controller = host.connect("-i", "2")
    device = host.device(1)

    ctrl = host.json(f"id-ctrl /dev/{controller}")
    # The upper bits say only that Flush takes the broadcast NSID.
    lab.require(ctrl["vwc"] & 1 == 0, f"vwc {ctrl['vwc']}: a volatile write cache is claimed")
    lab.require(ctrl["subnqn"] == SUBSYSTEM, ctrl["subnqn"])
    lab.require(ctrl["mdts"] == 8, f"mdts {ctrl['mdts']}, expected 1 MiB")
    lab.require(ctrl["cntlid"] == int(host.attribute(controller, "cntlid")), "cntlid")
    lab.require(ctrl["cntrltype"] == 1 and ctrl["ver"] >= 0x20000, f"type {ctrl['cntrltype']}, version {ctrl['ver']:x}")
    lab.require(ctrl["kas"] > 0 and ctrl["sqes"] == 0x66 and ctrl["cqes"] == 0x44, f"{ctrl}")
    compare, deallocate, zeroes, verify = 1 << 0, 1 << 2, 1 << 3, 1 << 7
    for bit in (compare, deallocate, zeroes, verify):
        lab.require(ctrl["oncs"] & bit, f"oncs {ctrl['oncs']:x} lacks {bit:x}")
    lab.require(ctrl["cmic"] & 8 and ctrl["nanagrpid"] >= 2, "ANA is not reported")
    lab.require(ctrl["maxcmd"] >= 128 and ctrl["sgls"] & 1, f"maxcmd {ctrl['maxcmd']} sgls {ctrl['sgls']:x}")

    for nsid, size, block in ((1, SIZE, 512), (7, 2 * SIZE, 4096)):
        node = host.device(nsid)
        data = host.json(f"id-ns {node}")
        shift = data["lbafs"][data["flbas"] & 15]["ds"]
        lab.require(1 << shift == block and data["nsze"] << shift == size, f"nsid {nsid}: {data['nsze']} x {1 << shift}")
        lab.require(data["ncap"] == data["nsze"] and data["nmic"] & 1, f"nsid {nsid}: ncap or nmic")
        lab.require(data["eui64"] == "0" * 16 and data["nguid"].strip("0"), f"{data['eui64']} {data['nguid']}")
        name = node.removeprefix("/dev/")
        lab.require(data["nguid"] == host.read(f"/sys/block/{name}/nguid").replace("-", ""), "nguid differs in sysfs")
        descriptors = host.run(f"nvme ns-descs {node}")
        uuid = host.read(f"/sys/block/{name}/uuid")
        lab.require(uuid in descriptors and uuid != "00000000-0000-0000-0000-000000000000", descriptors)
        lab.require(data["nguid"] in descriptors.replace("-", ""), descriptors)
        lab.require(host.read(f"/sys/block/{name}/wwid") == f"uuid.{uuid}", "wwid")
    groups = {host.json(f"id-ns {host.device(nsid)}")["anagrpid"] for nsid in (1, 7)}
    lab.require(len(groups) == 2 and 0 not in groups, f"ANA groups {groups}: one for each volume")

    numbers = [int(found, 16) for found in re.findall(r"\]:(?:0x)?([0-9a-f]+)", host.run(f"nvme list-ns /dev/{controller}"))]
    lab.require(numbers == [1, 7], f"list-ns: {numbers}")
    lab.require(device in host.run("nvme list"), "nvme list does not show the device")
    paths = host.run("nvme list-subsys")
    lab.require(SUBSYSTEM in paths and f"traddr={ADDRESS},trsvcid={IO_PORT}" in paths and "live" in paths, paths)
    if lab.image.at_least(6, 12):
        # nvme-cli of the older suite looks for a file that fabrics controllers do not have.
        registers = host.run(f"nvme show-regs -H /dev/{controller} 2>&1")
        lab.require("Ready" in registers, registers)


def logs(lab: Lab) -> None:
    """Log pages whose content must follow from what was done."""
    lab.serve((1, "one", SIZE, 4096), (2, "two", SIZE, 4096))
    host = lab.host()
    controller = host.connect("-i", "2")
    device = host.device(1)
    before = _smart(host, controller)
    host.run(f"dd if=/dev/zero of={device} bs=64k count=64 oflag=direct status=none")
    host.run(f"dd if={device} of=/dev/null bs=64k count=64 iflag=direct status=none")
    after = _smart(host, controller)
    for counter in ("data_units_read", "data_units_written", "host_read_commands", "host_write_commands"):
        lab.require(after[counter] > before[counter], f"{counter} stays at {after[counter]}")
    lab.require(after["host_write_commands"] - before["host_write_commands"] >= 64, "writes are not all counted")
    lab.require(after["critical_warning"] == 0, f"critical warning {after['critical_warning']}")

    # One block past the end: refused, and remembered.
    entries = after["num_err_log_entries"]
    answer = host.attempt(f"nvme read {device} --start-block={SIZE // 4096} --block-count=0 --data-size=4096 "
                          "2>&1 >/dev/null")
    lab.require(answer.code != 0 and re.search("LBA|80", answer.output), f"read past the end: {answer}")
    count = _smart(host, controller)["num_err_log_entries"]
    lab.require(count > entries, f"no error entry after a refused read: {entries}, then {count}")
    errors = host.json(f"error-log /dev/{controller}")["errors"]
    newest = max(errors, key=lambda entry: entry["error_count"])
    lab.require(newest["nsid"] == 1 and newest["lba"] == SIZE // 4096, f"error log: {newest}")

    ana = host.json(f"ana-log /dev/{controller}")
    groups = ana["ANA DESC LIST "] if "ANA DESC LIST " in ana else next(
        value for value in ana.values() if isinstance(value, list))
    lab.require(len(groups) == 2, f"ana-log: {ana}")
    text = host.run(f"nvme ana-log /dev/{controller}")
    lab.require(text.count("optimized") == 2 and "non-optimized" not in text, text)

    effects = _log_page(host, controller, 5, 4096)
    supported = {opcode for opcode in range(256) if effects[1024 + 4 * opcode] & 1}
    # Flush, Write, Read, Compare, Write Zeroes, DSM, Verify
    lab.require({0x00, 0x01, 0x02, 0x05, 0x08, 0x09, 0x0C} <= supported, f"effects of I/O commands: {supported}")
    admin = {opcode for opcode in range(256) if effects[4 * opcode] & 1}
    # Get Log Page, Identify, Abort, Set Features, Get Features, Asynchronous Event Request, Keep Alive
    lab.require({0x02, 0x06, 0x08, 0x09, 0x0A, 0x0C, 0x18} <= admin, f"effects of admin commands: {admin}")
    pages = _log_page(host, controller, 0, 1024)
    for page in (0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x0C, 0x12):
        lab.require(pages[4 * page] & 1, f"log page {page:02x} is not among the supported ones")
    # Without --csi nvme-cli asks for the zoned command set's effects too.
    for command in ("fw-log", "changed-ns-list-log", "supported-log-pages", "effects-log --csi=0"):
        host.run(f"nvme {command} /dev/{controller}")


def features(lab: Lab) -> None:
    """Get and Set Features as the controller's Identify data promises them."""
    lab.serve()
    host = lab.host()
    controller = host.connect("-i", "2")

    def value(feature: int, *options: str) -> int:
        output = host.run(f"nvme get-feature /dev/{controller} -f {feature:#x} {' '.join(options)} 2>&1")
        found = re.search(r"value:\s*(?:0x)?([0-9a-f]+)", output, re.I)
        lab.require(found, f"feature {feature:#x}: {output}")
        return int(found.group(1), 16)

    # Arbitration, power, temperature, error recovery, AER configuration, timestamp, KATO, host behaviour.
    for feature, length in ((0x01, 0), (0x02, 0), (0x04, 0), (0x05, 0), (0x0B, 0), (0x0E, 8), (0x0F, 0), (0x16, 512)):
        host.run(f"nvme get-feature /dev/{controller} -f {feature:#x}" + (f" -l {length}" if length else ""))
    lab.require(value(0x07) & 0xFFFF >= 1, "number of queues")
    lab.require(value(0x0F) == 1000 * KEEP_ALIVE_S, f"KATO is {value(0x0F)} ms")
    # Hosts on fabrics have 128-bit identifiers: EXHID.
    identifier = host.run(f"nvme get-feature /dev/{controller} -f 0x81 -l 16 --cdw11=1 -b | od -An -tx1 | tr -d ' \\n'")
    lab.require(identifier == host.id.replace("-", ""), f"host identifier {identifier}, expected {host.id}")
    # Without a volatile write cache there is no feature to turn it off.
    answer = host.attempt(f"nvme get-feature /dev/{controller} -f 6 2>&1")
    lab.require(answer.code != 0 and re.search("INVALID.FIELD|Invalid Field", answer.output, re.I), f"{answer}")
    threshold = value(0x04)
    host.run(f"nvme set-feature /dev/{controller} -f 4 --value={threshold - 1:#x}")
    lab.require(value(0x04) == threshold - 1, f"temperature threshold set to {threshold - 1}, reads {value(0x04)}")


def resets(lab: Lab) -> None:
    """Controller reset and rescan from the host, with data before and after."""
    lab.serve()
    host = lab.host()
    controller = host.connect("-i", "2")
    device = host.device(1)
    host.fio(device, "--rw=write", "--bs=64k", "--size=1M")
    for _ in range(3):
        host.run(f"nvme reset /dev/{controller}")
        host.await_live(controller)
        host.run(f"nvme ns-rescan /dev/{controller}")
        host.fio(device, "--rw=write", "--bs=64k", "--size=1M", "--verify_only")
    verifying = host.start(f"dd if={device} of=/dev/null bs=4k count=2000 iflag=direct status=none")
    host.run(f"nvme reset /dev/{controller}")
    verifying.succeed()


def _smart(host: Host, controller: str) -> dict[str, int]:
    """The health log; older nvme-cli prints large counters as text."""
    return {key: int(str(value).replace(",", ""), 0) for key, value in host.json(f"smart-log /dev/{controller}").items()
            if re.fullmatch(r"[0-9a-fx,]+", str(value))}


def _log_page(host: Host, controller: str, page: int, length: int) -> bytes:
    return bytes.fromhex(host.run(f"nvme get-log /dev/{controller} --log-id={page} --log-len={length} -b "
                                  "| od -An -v -tx1 | tr -d ' \\n'"))
