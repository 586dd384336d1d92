"""Hosts that prove who they are, and targets that prove it to them: DH-HMAC-CHAP as a stock kernel does it."""

import datetime
import time

from lab.errors import Failed
from lab.host import Host
from lab.lab import Lab
from lab.namespace import ADDRESS
from lab.target import DISCOVERY_NQN, DISCOVERY_PORT, MIB, SUBSYSTEM
from scenarios import outages

WAY = {"hash": "sha256", "dhgroup": "ffdhe2048"}
HASHES = ("sha256", "sha384", "sha512")
GROUPS = ("none", "ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192")
# Those that the kernel gives up by, if nobody answers it.
COMMAND_TIMEOUT_S = 60
# A connect that ends as it should not, or an authentication that fails.
COMPLAINTS = r"nvme nvme\d+: failed to connect queue: \d+ ret=-?\d+"
# In the kernel's log, behind what has been looked at.
MARK = "forebay: seen"


def dhchap(lab: Lab) -> None:
    """One way and both ways; refused at once with a wrong key, to a wrong target, without any;
    discovery; another key under load."""
    lab.allowed_complaints = COMPLAINTS
    host = lab.host()
    host_key, target_key, wrong_key, next_key = make_keys(host, 1, 2, 1, 3)
    _require_proof(lab, host, host_key, target_key, **WAY)
    lab.serve((1, "data", 32 * MIB, 4096))

    controller = host.connect("-i", "2", _host_proves(host_key))
    _proved(lab, host, "dhchap", "sha256", "ffdhe2048")
    host.fio(host.device(1), "--rw=randwrite", "--bs=4k", "--size=1M", "--iodepth=8")
    host.disconnect(controller)

    _refused(lab, host, "the host is refused", "wrong key", _host_proves(wrong_key))
    _refused(lab, host, "the host refuses us", "wrong key", _host_proves(host_key), _target_proves(wrong_key))
    # The target's key is not the host's own, with which it could be told what it says itself.
    _refused(lab, host, "the host refuses us", "wrong key", _host_proves(host_key), _target_proves(host_key))
    _refused(lab, host, None, "", "")
    _discover(lab, host, host_key, target_key)

    controller = host.connect("-i", "2", _host_proves(host_key), _target_proves(target_key))
    _proved(lab, host, "mutual dhchap", "sha256", "ffdhe2048", "qid 0: controller authenticated")
    _change_keys(lab, host, controller, host_key, next_key, target_key)


def dhchap_all(lab: Lab) -> None:
    """Each hash with each group, both ways, on two queues; and keys of each length, as they are and transformed. Not required, the
    kernel proves itself when it is told to."""
    lab.allowed_complaints = COMPLAINTS
    host = lab.host()
    keys = make_keys(host, 0, 1, 2, 3)
    pairs = list(zip(keys, keys[1:] + keys[:1]))
    _require_proof(lab, host, *pairs[0], hash="sha256", dhgroup="none")
    lab.serve((1, "data", 32 * MIB, 4096))
    rounds = [(hash_name, group) for group in GROUPS for hash_name in HASHES]
    for number, (hash_name, group) in enumerate(rounds):
        host_key, target_key = pairs[number % len(pairs)]
        _require_proof(lab, host, host_key, target_key, hash=hash_name, dhgroup=group)
        lab.target.reload()
        controller = host.connect("-i", "1", _host_proves(host_key), _target_proves(target_key))
        _proved(lab, host, "mutual dhchap", hash_name, group, "qid 0: controller authenticated")
        host.run(f"dd if={host.device(1)} of=/dev/null bs=4k count=1 iflag=direct status=none")
        host.disconnect(controller)
    lab.note = f"{len(rounds)} pairs of hash and group"

    _require_proof(lab, host, *pairs[0], required=False, **WAY)
    lab.target.reload()
    controller = host.connect("-i", "1", _host_proves(pairs[0][0]), _target_proves(pairs[0][1]))
    seen = [connection["security"] for connection in lab.target.status_list("hosts")]
    lab.require(seen == ["none"], f"the target shows {seen} of a host that was asked for nothing")
    host.write(f"/sys/class/nvme/{controller}/dhchap_secret", pairs[0][0])
    _await_proof(host)
    _proved(lab, host, "mutual dhchap", "sha256", "ffdhe2048", "qid 0: controller authenticated")


def make_keys(host: Host, *transformations: int) -> list[str]:
    """As an administrator makes them."""
    output = host.run(f"for t in {' '.join(map(str, transformations))}; do nvme gen-dhchap-key --hmac=$t --nqn={host.nqn} || exit 1; done")
    keys = [line for line in output.split() if line.startswith("DHHC-1:")]
    if len(set(keys)) != len(transformations):
        raise Failed(f"nvme gen-dhchap-key made {output}")
    return keys


def _host_proves(key: str) -> str:
    return f"--dhchap-secret={key}"


def _target_proves(key: str) -> str:
    return f"--dhchap-ctrl-secret={key}"


def _require_proof(lab: Lab, host: Host, host_key: str, target_key: str, **more: object) -> None:
    subsystem = lab.target.config["subsystems"][SUBSYSTEM]
    subsystem.pop("allow_any_host", None)
    subsystem["hosts"] = ["guest"]
    keys = {"key": _secret(lab, "host_key", host_key), "controller_key": _secret(lab, "target_key", target_key)}
    lab.target.config["hosts"] = {"guest": {"nqn": host.nqn, "dhchap": {**keys, **more}}}


def _secret(lab: Lab, name: str, key: str) -> str:
    path = lab.folder / name
    path.write_text(key + "\n")
    path.chmod(0o600)
    return f"file:{path}"


def _proved(lab: Lab, host: Host, security: str, hash_name: str, group: str, also: str = "") -> None:
    """The kernel and the target say the same."""
    said = host.run("dmesg").rpartition(MARK)[2]
    kernel_group = "null" if group == "none" else group
    lab.require(f"qid 0: authenticated with hash hmac({hash_name}) dhgroup {kernel_group}" in said, f"the kernel says {said}")
    lab.require(also in said, f"no \"{also}\" in what the kernel says: {said}")
    seen = [connection["security"] for connection in lab.target.status_list("hosts")]
    lab.require(seen == [security], f"the target shows {seen}, expected {security}")
    host.write("/dev/kmsg", MARK)


def _await_proof(host: Host) -> None:
    host.await_true(f"dmesg | tac | sed '/{MARK}/q' | grep -q 'qid 0: controller authenticated'")


def _refused(lab: Lab, host: Host, side: str | None, reason: str, *options: str) -> None:
    """Told at once, and not by a time-out of the host; nothing of the attempt is left."""
    before = lab.target.log().count("authentication failed")
    started = time.monotonic()
    host.connect_expecting_failure(*options)
    seconds = time.monotonic() - started
    lab.require(seconds < COMMAND_TIMEOUT_S, f"a connect with {options} was refused after {seconds:.0f} s only")
    lab.require(not host.controllers(), f"a controller is left after a connect with {options}")
    failures = [line for line in lab.target.log().splitlines() if "authentication failed" in line][before:]
    if side is None:
        return
    lab.require(len(failures) == 1 and f'side="{side}" reason="{reason}"' in failures[0], f"the target says {failures}")


def _discover(lab: Lab, host: Host, host_key: str, target_key: str) -> None:
    """Discovery asks for no key by default, as nvme-cli gives the kernel none there; where it does ask, the kernel proves it."""
    where = f"-t tcp -a {ADDRESS} -s {DISCOVERY_PORT}"
    log = host.json(f"discover {where}")
    lab.require(SUBSYSTEM in str(log), f"by default the host discovers {log}")
    # As after a reboot: both keys from where nvme-cli keeps them.
    host.connect(_host_proves(host_key), _target_proves(target_key))
    host.run("(umask 077; nvme config --scan --update)")
    host.disconnect()
    host.write("/dev/kmsg", MARK)
    host.run(f"nvme connect-all {where} -k 60")
    _await_proof(host)
    host.device(1)
    host.disconnect()
    host.run("rm /etc/nvme/config.json")

    _require_proof(lab, host, host_key, target_key, discovery=True, **WAY)
    lab.target.reload()
    lab.require(host.attempt(f"nvme discover {where}").code != 0, "discovery that asks for a key is answered without one")
    host.write("/dev/kmsg", MARK)
    host.write("/dev/nvme-fabrics", f"nqn={DISCOVERY_NQN},transport=tcp,traddr={ADDRESS},trsvcid={DISCOVERY_PORT},hostnqn={host.nqn},"
                                    f"hostid={host.id},keep_alive_tmo=60,dhchap_secret={host_key},dhchap_ctrl_secret={target_key}")
    said = host.run("dmesg").rpartition(MARK)[2]
    lab.require("qid 0: controller authenticated" in said, f"at discovery the kernel says {said}")
    controller = host.controllers()[-1]
    log = host.json(f"discover --device={controller} {where}")
    lab.require(SUBSYSTEM in str(log), f"by its discovery controller the host finds {log}")
    host.disconnect(controller)
    _require_proof(lab, host, host_key, target_key, **WAY)
    lab.target.reload()


def _change_keys(lab: Lab, host: Host, controller: str, old: str, new: str, target_key: str) -> None:
    """As docs/security.md has it, under load: first the target, then the host."""
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    previous = {"key": _secret(lab, "old_host_key", old), "controller_key": _secret(lab, "old_target_key", target_key),
                "until": until.strftime("%Y-%m-%dT%H:%M:%SZ")}
    load = outages.Passes(host, host.device(1))
    outages.await_progress(lambda: outages.moved_sectors(host), load.check)
    _require_proof(lab, host, new, target_key, previous=previous, **WAY)
    lab.target.reload()
    for key, known_as in ((old, "previous"), (new, "current")):
        before = _proofs(lab, known_as)
        host.write(f"/sys/class/nvme/{controller}/dhchap_secret", key)
        _await_proof(host)
        _proved(lab, host, "mutual dhchap", "sha256", "ffdhe2048", "re-authenticating controller")
        lab.require(_proofs(lab, known_as) > before, f"no proof by the {known_as} key:\n{lab.target.log()}")
        outages.await_progress(lambda: outages.moved_sectors(host), load.check)
    load.finish()
    lab.require(host.attribute(controller, "state") == "live", "the change of keys has ended the connection")
    host.disconnect(controller)

    del lab.target.config["hosts"]["guest"]["dhchap"]["previous"]
    lab.target.reload()
    _refused(lab, host, "the host is refused", "wrong key", _host_proves(old))
    host.disconnect(host.connect("-i", "1", _host_proves(new)))


def _proofs(lab: Lab, known_as: str) -> int:
    return sum(f"key={known_as}" in line for line in lab.target.log().splitlines() if "host authenticated" in line and "queue=0" in line)
