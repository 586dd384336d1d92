"""What a subsystem remembers of itself, and what nvme-cli does to a controller and its namespaces."""

import re

from lab.host import Host, fio_command
from lab.lab import Lab
from lab.target import MIB
from scenarios.outages import EXPECTED_COMPLAINTS, await_progress, moved_sectors, require_running


def persistent_events(lab: Lab) -> None:
    """The Persistent Event log as nvme-cli decodes it: what a host and its disk do, a format, and what is left of it when the
    target has been killed."""
    lab.allowed_complaints = EXPECTED_COMPLAINTS
    lab.target.create_pool()
    lab.target.add_volume(1, "data", 16 * MIB, 4096)
    lab.target.config["volumes"]["data"]["allow_format"] = True
    lab.target.start()
    host = lab.host()
    controller = host.connect("-i", "2")
    device = host.device(1)
    out_of_order = host.attempt(f"nvme persistent-event-log /dev/{controller} --action=0 2>&1")
    lab.require(out_of_order.code != 0 and re.search("SEQ", out_of_order.output, re.I), f"read without a context: {out_of_order}")
    host.run(f"nvme set-feature {device} -f 0x84 --value=1 && nvme set-feature {device} -f 0x84 --value=0")
    host.run(f"yes forebay | dd of={device} bs=64k count=1 iflag=fullblock oflag=direct status=none && nvme format {device} --lbaf=1 --force && "
             f"dd if={device} bs=64k count=1 iflag=direct status=none | cmp -n 65536 - /dev/zero")
    head, events = _events(host, controller)
    lab.require(head["Power Cycle Count"] == "1" and head["Log Revision"] == "3", f"{head}")
    lab.require(int(head["Total Number of Events"]) == len(events), f"nvme-cli shows {len(events)} events: {head}")
    for kind in ("Power-on or Reset Event", "Vendor Specific Event", "Timestamp Change Event", "Set Feature Event", "Format NVM Start Event",
                 "Format NVM Completion Event"):
        lab.require(kind in events, f"no {kind}: {events}")
    raw = host.run(f"nvme persistent-event-log /dev/{controller} --action=1 >/dev/null && "
                   f"nvme persistent-event-log /dev/{controller} --action=0 -b | tr -cd '[:print:]'; "
                   f"nvme persistent-event-log /dev/{controller} --action=2")
    lab.require("host connected" in raw and host.nqn in raw, f"the host is not named: {raw}")

    lab.target.kill()
    lab.target.start()
    host.await_live(controller)
    head, events = _events(host, controller)
    lab.require(head["Power Cycle Count"] == "2", f"{head}")
    lab.require(events.count("Power-on or Reset Event") >= 2, f"{events}")
    lab.require(events.count("NVM Subsystem Hardware Error Event") == 1, f"the kill is no event: {events}")
    # Its disk loses what is behind the first blocks.
    image = max(lab.target.pool.rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    with open(image, "r+b") as file:
        file.truncate(file.seek(0, 2) - 4 * MIB)
    lost = host.attempt(f"nvme read {device} --start-block={15 * MIB // 4096} --block-count=0 --data-size=4096 2>&1 >/dev/null")
    lab.require(lost.code != 0, f"a block that is gone was read: {lost}")
    text = host.run(f"nvme persistent-event-log /dev/{controller} --action=1 >/dev/null && "
                    f"nvme persistent-event-log /dev/{controller} --action=0; "
                    f"nvme persistent-event-log /dev/{controller} --action=2")
    lab.require("Media and Data Integrity Status" in text, f"the media error is no event: {text}")


def commands_by_hand(lab: Lab) -> None:
    """Reads and writes of odd lengths by nvme-cli, reservations step by step, and a controller that is deleted under load."""
    lab.allowed_complaints = r"I/O error, dev nvme|Buffer I/O error|blk_update_request|Device not ready"
    lab.serve((1, "data", 16 * MIB, 4096))
    host = lab.host()
    controller = host.connect("-i", "2")
    device = host.device(1)
    for start, blocks in ((1, 32), (1, 31), (1, 33), (511, 64), (511, 63), (511, 65), (7, 256)):
        size = blocks * 4096
        host.run(f"rm -f /run/in; head -c {size} /dev/urandom > /run/out && nvme write {device} --start-block={start} --block-count={blocks - 1} "
                 f"--data-size={size} --data=/run/out && nvme read {device} --start-block={start} --block-count={blocks - 1} "
                 f"--data-size={size} --data=/run/in && cmp /run/out /run/in")
    _reservations(lab, host, device)

    load = host.start(fio_command(device, "--rw=randrw", "--bs=4k", "--size=8M", "--iodepth=8", "--do_verify=0",
                                  "--time_based", "--runtime=600"))
    await_progress(lambda: moved_sectors(host), lambda: require_running(load))
    host.run(f"nvme reset /dev/{controller}")
    host.await_live(controller)
    lab.require(load.poll() is None, "the load did not outlive a reset")
    host.run(f"echo 1 > /sys/class/nvme/{controller}/delete_controller")
    host.await_true("[ -z \"$(ls /sys/class/nvme)\" ]")
    load.wait()
    host.connect("-i", "2")
    host.fio(host.device(1), "--rw=write", "--bs=64k", "--size=1M")


def _reservations(lab: Lab, host: Host, device: str) -> None:
    """Each action of the four commands, with what the report says after it."""
    def after(*steps: str) -> tuple[int, int, int]:
        """Registrants, the type of the reservation, the first one's key."""
        for step in steps:
            host.run(f"nvme resv-{step.replace(' ', f' {device} ', 1)}")
        report = host.json(f"resv-report {device} --eds")
        holders = report.get("regctlext") or report.get("regctl") or []
        return report["regctl"] if isinstance(report["regctl"], int) else len(holders), report["rtype"], \
            int(str(holders[0]["rkey"]), 0) if holders else 0

    lab.require(after()[:2] == (0, 0), "there is a reservation already")
    lab.require(after("register --nrkey=4 --rrega=0") == (1, 0, 4), "register")
    lab.require(after("register --crkey=4 --nrkey=5 --rrega=2") == (1, 0, 5), "replace")
    lab.require(after("register --crkey=5 --rrega=1") == (0, 0, 0), "unregister")
    lab.require(after("register --nrkey=4 --rrega=0", "acquire --crkey=4 --rtype=1 --racqa=0") == (1, 1, 4), "acquire")
    lab.require(after("acquire --crkey=4 --prkey=4 --rtype=2 --racqa=1") == (1, 2, 4), "preempt oneself")
    lab.require(after("release --crkey=4 --rtype=2 --rrela=0") == (1, 0, 4), "release")
    lab.require(after("acquire --crkey=4 --rtype=1 --racqa=0", "release --crkey=4 --rrela=1") == (0, 0, 0), "clear")


def _events(host: Host, controller: str) -> tuple[dict[str, str], list[str]]:
    """The log's header, and the kinds of its events, newest first."""
    text = host.run(f"nvme persistent-event-log /dev/{controller} --action=1 >/dev/null && "
                    f"nvme persistent-event-log /dev/{controller} --action=0; code=$?; "
                    f"nvme persistent-event-log /dev/{controller} --action=2; exit $code")
    head, _, rest = text.partition("Persistent Event Entries:")
    # One of them does not end its line.
    fields = {name: found.group(1) for name in ("Total Number of Events", "Log Revision", "Power Cycle Count")
              if (found := re.search(rf"{name} ?: (\d+)", head))}
    return fields, re.findall(r"^Event Type: (.*?)(?:\(0x[0-9a-f]+\))?\s*$", rest, re.M)
