"""The target installed as a service: systemd starts it as a user without rights, reloads it, starts it again when it was killed
or hangs, and stops it; hosts wait meanwhile and lose nothing."""

from lab.host import fio_command, fio_result
from lab.lab import Lab
from lab.service_target import AS_FOREBAY, ServiceTarget
from lab.target import MIB
from scenarios.outages import EXPECTED_COMPLAINTS, await_progress, moved_sectors, require_running
from scenarios.persistent_memory import WAIT_TIMEOUT_S, await_holds, writes

VOLUME_MIB = 32
# Of the service manager and of udev, about what a guest lacks.
GUEST_COMPLAINTS = r"systemd|udev"


def installed_service(lab: Lab) -> None:
    target = lab.use_service_target()
    lab.allowed_complaints = f"{EXPECTED_COMPLAINTS}|{GUEST_COMPLAINTS}"
    target.create_pool()
    target.create_cache()
    target.add_volumes(VOLUME_MIB * MIB)
    target.use_secrets()
    target.start()
    _require_no_rights(lab, target)

    host = lab.host()
    controller = host.connect("-i", "2")
    device, raw = host.device(1), host.device(2)
    for disk in (device, raw):
        host.fio(disk, *writes(0, 2))

    _reload(lab, target)
    lab.require(host.device(3), "the host does not see what a reload has added")

    for number, fail in enumerate((target.kill, target.pause), 1):
        load = host.start(fio_command(device, *writes(4 * number, 4)))
        await_progress(lambda: moved_sectors(host), lambda: require_running(load))
        before = target.process()
        fail()
        target.await_restarts(number)
        lab.require(target.process() != before, "the same process after a restart")
        fio_result(load.succeed(WAIT_TIMEOUT_S))
    lab.require("watchdog" in target.run("journalctl --no-pager -u forebay").lower(), target.log())

    target.await_written_back()
    target.stop()
    lab.require(not target.running() and target.run("ls /run").find("forebay") < 0, "something is left of it")
    _start_without_its_pool(lab, target)
    host.await_live(controller)
    for disk in (device, raw):
        host.fio(disk, *writes(0, 2), "--verify_only")
    host.disconnect()


def _require_no_rights(lab: Lab, target: ServiceTarget) -> None:
    lines = target.run(f"cat /proc/{target.process()}/status").splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    user = target.run("id -u forebay").strip()
    wanted = {"Uid": "\t".join([user] * 4), "CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}
    found = {name: status[name] for name in wanted}
    lab.require(found == wanted, f"the daemon runs with {found}, expected {wanted}")
    lab.require(target.execute("forebayctl", "status").code == 0, "root cannot ask for the status")
    lab.require(target.execute(AS_FOREBAY, "forebayctl", "status").code == 0, "its group cannot ask for the status")
    stranger = target.execute("setpriv --reuid 4242 --regid 4242 --clear-groups", "forebayctl", "status")
    lab.require(stranger.code != 0, "anybody can ask for the status")


def _reload(lab: Lab, target: ServiceTarget) -> None:
    process = target.process()
    target.add_volume(3, "more", 8 * MIB, 4096)
    target.write_configuration()
    done = target.reload()
    lab.require(done.code == 0, f"systemctl reload ended with {done.code}: {done.output}\n{target.log()}")
    names = {volume["name"] for volume in target.status_list("volumes")}
    lab.require(names == {"data", "raw", "more"}, f"after the reload there are {names}")
    target.run("echo 'volumes: [' > /etc/forebay/forebay.yaml")
    lab.require(target.reload().code != 0, "a file that cannot be parsed was reloaded")
    lab.require(target.running() and {volume["name"] for volume in target.status_list("volumes")} == names, target.status())
    lab.require(target.process() == process, "a reload has started another process")
    target.write_configuration()


def _start_without_its_pool(lab: Lab, target: ServiceTarget) -> None:
    """Its file system is mounted while the daemon runs already: it is seen, and may be written to."""
    target.disk.unmount(target.guests()[0])
    target.start()
    lab.require(_states(target) == {"data": "late", "raw": "online", "more": "late"}, target.status())
    target.disk.mount(target.guests()[0])
    await_holds(lab, target, lambda: set(_states(target).values()) == {"online"}, target.check)


def _states(target: ServiceTarget) -> dict[str, str]:
    return {volume["name"]: volume["state"] for volume in target.status_list("volumes")}
