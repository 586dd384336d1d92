"""TLS with pre-shared keys, as a stock kernel, nvme-cli and the tlshd of ktls-utils speak it."""

import time

from lab.host import Host
from lab.lab import Lab
from lab.namespace import ADDRESS
from lab.target import TLS_PERMITTED_PORT, TLS_REQUIRED_PORT
from lab.tls_keys import TlsKeys
from scenarios import outages

STATUS_TIMEOUT_S = 60
# Of a host that speaks without TLS where it must not.
EXPECTED_COMPLAINTS = r"nvme_tcp: queue 0: failed to receive icresp, error -104$"


def tls(lab: Lab) -> None:
    """Both policies, digests inside TLS, keys exchanged under load, who is refused and why; then by the commands of connect-line alone."""
    lab.allowed_complaints = EXPECTED_COMPLAINTS
    host = lab.host()
    keys = TlsKeys(host)
    made = {"first": keys.generate(1), "second": keys.generate(1), "long": keys.generate(2)}
    places = {name: lab.target.write_secret(name, key) for name, key in made.items()}
    lab.target.drop_listeners()
    lab.target.add_tls_listener("permitted", ADDRESS, "permitted")
    lab.target.add_tls_listener("required", ADDRESS, "required")
    lab.target.demand_tls_of_discovery(ADDRESS)
    lab.target.admit_alone("db", {"nqn": host.nqn, "tls_psk": [places["first"], places["long"]]})
    lab.serve()

    keys.use(made["first"])
    _required(lab, host)
    _side_by_side(lab, host)
    _key_exchanged(lab, host, keys, made, places)
    _refused(lab, host, keys, made)
    _as_connect_line_has_it(lab, host, keys, made["second"])


def _required(lab: Lab, host: Host) -> None:
    controller = host.connect("--tls", "--keyring=.nvme", "-i", "2", "-g", "-G", port=TLS_REQUIRED_PORT)
    _await_securities(lab, ["tls1.3/aes-128-gcm/first"])
    lab.require(int(host.attribute(controller, "tls_key"), 16), "the kernel knows of no key")
    lab.require("digests=header,data security=tls1.3" in lab.target.log(), "no digests inside TLS")
    device = host.device(1)
    host.fio(device, "--rw=randwrite", "--bs=4k", "--size=1M", "--iodepth=8")
    host.fio(device, "--rw=write", "--bs=256k", "--size=4M", "--iodepth=4")
    host.disconnect(controller)
    host.connect_expecting_failure(port=TLS_REQUIRED_PORT)
    _require_reason(lab, "it speaks without TLS, which the listener demands")


def _side_by_side(lab: Lab, host: Host) -> None:
    """On one port; two paths to one disk, of which only one is secret."""
    # The other way round nvme-cli would take what it finds of the first, TLS too, for the second.
    controllers = [host.connect("-i", "2", "-g", "-G", port=TLS_PERMITTED_PORT),
                   host.connect("--tls", "--keyring=.nvme", "-D", "-i", "2", port=TLS_PERMITTED_PORT)]
    _await_securities(lab, ["none", "tls1.3/aes-128-gcm/first"])
    host.run("echo round-robin | tee /sys/class/nvme-subsystem/nvme-subsys*/iopolicy")
    host.fio(host.device(1), "--rw=randwrite", "--bs=4k", "--size=1M", "--iodepth=8")
    for controller in controllers:
        moved = outages.moved_sectors(host, f"/sys/class/nvme/{controller}/nvme*c*n*/stat")
        lab.require(moved >= 1024, f"{controller} has moved {moved} sectors")
        host.disconnect(controller)


def _key_exchanged(lab: Lab, host: Host, keys: TlsKeys, made: dict[str, str], places: dict[str, str]) -> None:
    """The host's old key is good until its end, and nobody is disconnected by that."""
    old = keys.use(made["first"])
    controller = host.connect("--tls", "--keyring=.nvme", "-i", "2", port=TLS_REQUIRED_PORT)
    load = outages.Passes(host, host.device(1), 4)
    outages.await_progress(lambda: outages.moved_sectors(host), load.check)
    settings = lab.target.config["hosts"]["db"]
    settings.update(tls_psk=[places["second"], places["long"]], tls_psk_old=[places["first"]], tls_psk_old_until="2199-01-01T00:00:00Z")
    lab.target.reload()
    _await_securities(lab, ["tls1.3/aes-128-gcm/first"])
    for key in ("first", "second"):
        if key == "second":
            keys.insert(made["second"])
            keys.remove(old)
        connected = _connects(lab)
        host.run(f"nvme reset /dev/{controller}")
        host.await_live(controller)
        lab.require(_connects(lab) == connected + 1, "a reset does not connect once more")
        _await_securities(lab, [f"tls1.3/aes-128-gcm/{key}"])
        outages.await_progress(lambda: outages.moved_sectors(host), load.check)
    settings.update(tls_psk_old_until="2026-01-01T00:00:00Z")
    connected = _connects(lab)
    lab.target.reload()
    outages.await_progress(lambda: outages.moved_sectors(host), load.check)
    load.finish()
    lab.require(_connects(lab) == connected, "the end of the old key has disconnected the host")
    host.disconnect(controller)


def _refused(lab: Lab, host: Host, keys: TlsKeys, made: dict[str, str]) -> None:
    def attempt(key: str, reason: str, identity: int = 1) -> None:
        keys.use(key, identity)
        host.connect_expecting_failure("--tls", "--keyring=.nvme", port=TLS_REQUIRED_PORT)
        _require_reason(lab, reason)

    attempt(made["first"], "its key was to be used no longer")
    attempt(keys.generate(1), "its key is not the one of that host and subsystem")
    # An identity that says nothing of the key: only the proof is wrong.
    attempt(keys.generate(1), "its key is not the one of that host and subsystem", identity=0)
    if keys.may_be_of_sha384():
        keys.use(made["long"])
        host.connect("--tls", "--keyring=.nvme", "-i", "2", port=TLS_REQUIRED_PORT)
        _await_securities(lab, ["tls1.3/aes-256-gcm/long"])
        host.fio(host.device(1), "--rw=randwrite", "--bs=4k", "--size=1M", "--iodepth=8")
        host.disconnect()
    else:
        attempt(made["long"], "it proves a key of SHA-384 with SHA-256")


def _as_connect_line_has_it(lab: Lab, host: Host, keys: TlsKeys, key: str) -> None:
    """Each command that an operator is given; then what happens at a boot, by discovery inside TLS."""
    keys.clear()
    lines = lab.target.connect_lines("db")
    for line in lines["now"] + [line for line in lines["at_boot"] if not line.startswith("systemctl")]:
        host.run(line.replace("KEY", key))
    expected = ["tls1.3/aes-128-gcm/second"] * 2
    _await_securities(lab, expected)
    host.disconnect()
    _await_securities(lab, [])
    mode = host.run("stat -c %a /etc/nvme/tls-keys").strip()
    lab.require(mode == "600", f"the file of keys has mode {mode}")
    keys.clear()
    rule = host.run("grep -h /etc/nvme/tls-keys /usr/lib/udev/rules.d/*nvmf-keys.rules")
    host.run(rule.split('RUN+="')[1].split('"')[0])
    host.run("nvme connect-all --context=autoconnect")
    _await_securities(lab, expected)
    host.fio(host.device(1), "--rw=randwrite", "--bs=4k", "--size=1M", "--iodepth=8")


def _connects(lab: Lab) -> int:
    return lab.target.log().count("host connected ")


def _require_reason(lab: Lab, reason: str) -> None:
    """Of the youngest refusal, which the target has logged before the host could hear of it."""
    refusals = [line for line in lab.target.log().splitlines() if "tls refused" in line]
    lab.require(refusals and reason in refusals[-1], f"expected \"{reason}\", the target says {refusals[-3:]}")


def _await_securities(lab: Lab, expected: list[str]) -> None:
    """Of all associations but those for discovery, which come and go."""
    deadline = time.monotonic() + STATUS_TIMEOUT_S
    while (found := sorted(host["security"] for host in lab.target.status_list("hosts") if not host["discovery"])) != expected:
        lab.require(time.monotonic() < deadline, f"connections have {found}, expected {expected}")
        time.sleep(0.1)
