"""TLS with pre-shared keys, as a stock kernel, nvme-cli and the tlshd of ktls-utils speak it."""

import time

from lab.guest_target import GuestTarget
from lab.host import Host
from lab.lab import Lab
from lab.namespace import ADDRESS
from lab.target import TLS_PERMITTED_PORT, TLS_REQUIRED_PORT
from lab.tls_keys import TlsKeys
from scenarios import authentication, outages

STATUS_TIMEOUT_S = 60
GENERATED = "tls1.3/aes-128-gcm/generated"
# Of a host that speaks without TLS where it must not.
EXPECTED_COMPLAINTS = r"nvme_tcp: queue 0: failed to receive icresp, error -104$"


def tls(lab: Lab) -> None:
    """Both policies, digests inside TLS, keys exchanged under load, who is refused and why, DH-HMAC-CHAP inside TLS; then by the commands
    of connect-line alone."""
    lab.allowed_complaints = rf"{EXPECTED_COMPLAINTS}|{authentication.COMPLAINTS}"
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
    _proved_inside(lab, host, keys, made["second"])
    _as_connect_line_has_it(lab, host, keys, made["second"])


def concatenation(lab: Lab) -> None:
    """The proof of DH-HMAC-CHAP makes the key for TLS: under load, once more after a reset, replaced inside TLS; and the host may not do without."""
    lab.allowed_complaints = rf"{EXPECTED_COMPLAINTS}|{authentication.COMPLAINTS}"
    host = lab.host()
    TlsKeys(host)
    key = host.run(f"nvme gen-dhchap-key --hmac=1 --nqn={host.nqn}").strip()
    place = lab.target.write_secret("host_key", key)
    lab.target.drop_listeners()
    lab.target.add_tls_listener("permitted", ADDRESS, "permitted")
    lab.target.admit_alone("db", {"nqn": host.nqn, "dhchap": {"key": place, "concat": "required"}})
    lab.serve()

    proof = f"--dhchap-secret={key}"
    controller = host.connect("--concat", proof, "-i", "2", port=TLS_PERMITTED_PORT)
    _await_securities(lab, [GENERATED])
    lab.require(_concatenations(lab) == 1, "the host has not made one key")
    lab.require(int(host.attribute(controller, "tls_key"), 16), "the kernel knows of no key")
    host.fio(host.device(1), "--rw=randwrite", "--bs=4k", "--size=1M", "--iodepth=8")

    load = outages.Passes(host, host.device(1), 4)
    outages.await_progress(lambda: outages.moved_sectors(host), load.check)
    host.write(f"/sys/class/nvme/{controller}/dhchap_secret", key)
    _await_concatenations(lab, 2)
    outages.await_progress(lambda: outages.moved_sectors(host), load.check)
    host.run(f"nvme reset /dev/{controller}")
    host.await_live(controller)
    _await_concatenations(lab, 3)
    _await_securities(lab, [GENERATED])
    outages.await_progress(lambda: outages.moved_sectors(host), load.check)
    load.finish()
    host.disconnect(controller)
    _await_securities(lab, [])

    host.connect_expecting_failure(proof, port=TLS_PERMITTED_PORT)
    lab.require(not host.controllers(), "a controller is left without a generated key")


def _concatenations(lab: Lab) -> int:
    return lab.target.log().count("concatenation=yes")


def _await_concatenations(lab: Lab, count: int) -> None:
    deadline = time.monotonic() + STATUS_TIMEOUT_S
    while _concatenations(lab) < count:
        lab.require(time.monotonic() < deadline, f"the host has made {_concatenations(lab)} keys, expected {count}")
        time.sleep(0.1)


def kernel_tls(lab: Lab) -> None:
    """The kernel of the target carries the records: of a host whose kernel does so too, with digests inside, and of OpenSSL's with both suites; on
    another listener it may not."""
    target = lab.use_guest_target("devdax")
    host = lab.host()
    keys = TlsKeys(host)
    made = {"first": keys.generate(1), "long": keys.generate(2)}
    target.add_tls_listener("required", "*", "required")
    target.add_tls_listener("permitted", "*", "permitted")
    target.config["listeners"]["permitted"]["tls_kernel"] = False
    places = [target.write_secret(name, key) for name, key in made.items()]
    target.admit_alone("db", {"nqn": host.nqn, "tls_psk": places})
    lab.serve()
    target.run("modprobe tls")
    lab.own_client("--hostnqn", host.nqn, "--count", "200", "--range", "1MiB")
    for name, key in made.items():
        place = lab.folder / f"own-{name}"
        place.write_text(key)
        for options in (["--count", "2000", "--range", "8MiB", "--digests", "header,data"],
                        ["--count", "100", "--range", "8MiB", "--block-size", "128KiB", "--depth", "4"]):
            lab.own_client("--hostnqn", host.nqn, "--port", str(TLS_REQUIRED_PORT), "--tls-key", str(place), *options)

    keys.use(made["first"])
    before = _carried(target)
    # Two connections of each load above.
    lab.require(all(before[name] == 8 for name in ("TlsTxSw", "TlsRxSw")), f"the target's kernel says {before} of OpenSSL's connections")
    controller = host.connect("--tls", "--keyring=.nvme", "-i", "2", "-g", "-G", port=TLS_REQUIRED_PORT)
    _await_securities(lab, ["tls1.3/aes-128-gcm/first/kernel"])
    during = _carried(target)
    lab.require(all(during[name] - before[name] == 3 for name in ("TlsTxSw", "TlsRxSw")), f"the target's kernel says {before}, then {during}")
    host.fio(host.device(1), "--rw=randwrite", "--bs=4k", "--size=1M", "--iodepth=8")
    host.fio(host.device(1), "--rw=write", "--bs=256k", "--size=2M", "--iodepth=4")
    host.disconnect(controller)
    controller = host.connect("--tls", "--keyring=.nvme", "-i", "2", port=TLS_PERMITTED_PORT)
    _await_securities(lab, ["tls1.3/aes-128-gcm/first"])
    host.fio(host.device(1), "--rw=randwrite", "--bs=4k", "--size=1M", "--iodepth=8")
    host.disconnect(controller)
    after = _carried(target)
    lab.require(after["TlsTxSw"] == during["TlsTxSw"] and not after["TlsDecryptError"], f"the target's kernel says {after}")


def _carried(target: GuestTarget) -> dict[str, int]:
    """What the kernel of the target has to do with TLS (Documentation/networking/tls.rst)."""
    return {name: int(count) for name, count in (line.split() for line in target.run("cat /proc/net/tls_stat").splitlines())}


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


def _proved_inside(lab: Lab, host: Host, keys: TlsKeys, key: str) -> None:
    """Who has the key for TLS must have that of DH-HMAC-CHAP too, and may ask the target for its own."""
    host_key, target_key, wrong_key = authentication.make_keys(host, 1, 2, 1)
    settings = lab.target.config["hosts"]["db"]
    settings["dhchap"] = {"key": lab.target.write_secret("host_key", host_key),
                          "controller_key": lab.target.write_secret("target_key", target_key)}
    lab.target.reload()
    keys.use(key)
    inside = ("--tls", "--keyring=.nvme", "-i", "2")
    controller = host.connect(*inside, f"--dhchap-secret={host_key}", f"--dhchap-ctrl-secret={target_key}", port=TLS_REQUIRED_PORT)
    _await_securities(lab, ["mutual dhchap, tls1.3/aes-128-gcm/second"])
    host.fio(host.device(1), "--rw=randwrite", "--bs=4k", "--size=1M", "--iodepth=8")
    host.disconnect(controller)
    for secrets in ((), (f"--dhchap-secret={wrong_key}",)):
        failures = lab.target.log().count('side="the host is refused" reason="wrong key"')
        host.connect_expecting_failure(*inside, *secrets, port=TLS_REQUIRED_PORT)
        lab.require(not host.controllers(), f"a controller is left after a connect with {secrets}")
        told = lab.target.log().count('side="the host is refused" reason="wrong key"') - failures
        lab.require(told == len(secrets), f"the target tells {told} wrong keys of a connect with {secrets}")
    del settings["dhchap"]
    lab.target.reload()


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
