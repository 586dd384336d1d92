"""The API over TCP, asked by clients that are not ours: Python's ssl, openssl s_client and forebayctl itself. Who is known by which
token, who may do what, and who is kept out: without a token, with a bad one, without TLS, slow, oversized, or by the dozen."""
import base64
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from waiting import await_holds, free_port


def make_certificate(folder: Path, name: str, days: int) -> None:
    """name.pem and name.key, of localhost and 127.0.0.1, its own authority."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", str(days),
                    "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / f"{name}.key",
                    "-out", folder / f"{name}.pem"], check=True, capture_output=True)
    (folder / f"{name}.key").chmod(0o600)


class Daemon:
    def __init__(self, programs: dict[str, Path], folder: Path):
        self._programs, self.folder = programs, folder
        self.port, self.plain_port, self.metrics_port = free_port(), free_port(), free_port()
        (folder / "state").mkdir()
        self.process: subprocess.Popen | None = None
        self.config: dict = {
            "apiVersion": "forebay/v1", "node": "remote", "reactors": {"count": 1}, "memory": "128MiB",
            "pools": {"mem": {"kind": "memory"}}, "volumes": {"data": {"pool": "mem", "size": "16MiB"}},
            "metrics": {"address": "127.0.0.1", "port": self.metrics_port},
            "control": {"socket": str(folder / "control.sock"), "listen": [f"127.0.0.1:{self.port}"],
                        "certificate": f"file:{folder}/live.pem", "key": f"file:{folder}/live.key"}}

    def write(self) -> Path:
        path = self.folder / "forebay.yaml"
        path.write_text(json.dumps(self.config))
        return path

    def start(self) -> None:
        path = self.write()
        with open(self.folder / "forebayd.log", "ab") as log:
            self.process = subprocess.Popen([self._programs["forebayd"], path], stdout=log, stderr=log,
                                            env=os.environ | {"STATE_DIRECTORY": str(self.folder / "state")})
        await_holds(lambda: self.answers() or self.process.poll() is not None, "the port")
        assert self.process.poll() is None, self.log()

    def answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            return True
        except OSError:
            return False

    def end(self) -> None:
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, self.log()
        self.process = None

    def log(self) -> str:
        return (self.folder / "forebayd.log").read_text()

    def ctl(self, *arguments: str | Path, remote: str = "", token: str = "", ca: str = "live.pem") -> subprocess.CompletedProcess:
        """By the socket, or as the bearer of `token` at `remote`."""
        command: list = [self._programs["forebayctl"], *arguments]
        if remote:
            path = self.folder / "shown"
            path.write_text(token + "\n")
            path.chmod(0o600)
            command += ["--server", remote, "--token-file", path, "--ca", self.folder / ca]
        else:
            command += ["--socket", self.folder / "control.sock"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def make_token(self, name: str, role: str) -> str:
        made = self.ctl("token", "create", name, "--role", role)
        assert made.returncode == 0 and made.stdout.startswith("fbt-"), made
        return made.stdout.strip()

    def events(self) -> list[dict]:
        return json.loads(self.ctl("events", "-o", "json").stdout)["events"]

    def metric(self, name: str) -> float:
        ask = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=20)
        ask.request("GET", "/metrics")
        lines = ask.getresponse().read().decode().splitlines()
        return float(next(line.rsplit(" ", 1)[1] for line in lines if line.startswith(name)))

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"


class Asker:
    """One request for each question, by Python's http and ssl."""

    def __init__(self, daemon: Daemon, ca: str = "live.pem"):
        self._daemon = daemon
        self.context = ssl.create_default_context(cafile=daemon.folder / ca)

    def ask(self, method: str, path: str, authorization: str = "", body: str = "", plain: bool = False) -> tuple[int, dict, dict]:
        port = self._daemon.plain_port if plain else self._daemon.port
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=30) if plain else \
            http.client.HTTPSConnection("localhost", port, timeout=30, context=self.context)
        fields = {"Authorization": authorization} if authorization else {}
        line.request(method, path, body or None, fields)
        answer = line.getresponse()
        text = answer.read().decode()
        line.close()
        return answer.status, json.loads(text) if text.startswith("{") else {"text": text}, dict(answer.getheaders())


def roles_hold(daemon: Daemon) -> None:
    asker = Asker(daemon)
    tokens = {role: daemon.make_token(f"of-{role}", role) for role in ("viewer", "operator", "admin")}
    kept = (daemon.folder / "state" / "tokens").read_bytes()
    assert oct((daemon.folder / "state" / "tokens").stat().st_mode & 0o777) == "0o600"
    for token in tokens.values():
        assert token.encode() not in kept and token[4:].encode() not in kept, "a token itself is kept"
        assert token not in daemon.log() and token not in json.dumps(daemon.events()), "a token itself is told"
    questions = {("GET", "/v1/status", ""): "viewer", ("GET", "/v1/events", ""): "viewer",
                 ("POST", "/v1/volumes/data/mode", '{"mode": "write-back"}'): "operator",
                 ("POST", "/v1/confirm", "{}"): "operator",
                 ("POST", "/v1/volumes/data/grow", '{"size_bytes": 33554432}'): "admin",
                 ("POST", "/v1/reload", "{}"): "admin", ("GET", "/v1/tokens", ""): "admin"}
    order = ["viewer", "operator", "admin"]
    for (method, path, body), needed in questions.items():
        for role, token in tokens.items():
            status, answer, _ = asker.ask(method, path, f"Bearer {token}", body)
            reaches = order.index(role) >= order.index(needed)
            assert (status != 403) == reaches and status != 401, (method, path, role, status, answer)
            if not reaches:
                assert answer == {"error": f"this needs the role {needed}; the token of-{role} has {role}"}, answer
    # Whoever is not known hears of nothing, not even of what there is.
    for path in ("/v1/status", "/none"):
        status, answer, fields = asker.ask("GET", path)
        assert status == 401 and set(answer) == {"error"} and "/v1" not in answer["error"], answer
        assert fields["WWW-Authenticate"].startswith("Basic"), fields
    # A browser's way, for what only looks.
    basic = "Basic " + base64.b64encode(f"me:{tokens['admin']}".encode()).decode()
    assert asker.ask("GET", "/v1/status", basic)[0] == 200
    status, page, fields = asker.ask("GET", "/", basic)
    assert status == 200 and "<!doctype html>" in page["text"] and "default-src 'none'" in fields["Content-Security-Policy"], fields
    assert asker.ask("GET", "/")[0] == 401
    assert asker.ask("POST", "/v1/reload", basic, "{}")[0] == 401, "another site could make a browser send it"
    by = [event for event in daemon.events() if event["name"].startswith("change.") and "grow" in event["text"]]
    assert by and all(event["subject"].startswith("token of-admin from 127.0.0.1:") for event in by), by
    refused = [event["subject"] for event in daemon.events() if event["name"] == "access.refused"]
    assert set(refused) == {"of-viewer", "of-operator"}, refused
    assert daemon.metric('forebay_control_refused_total{reason="role"}') == sum(
        order.index(needed) - 0 for needed in questions.values())


def forebayctl_reaches_it(daemon: Daemon) -> None:
    token = daemon.make_token("desk", "admin")
    for command in (("status",), ("volumes", "-o", "json"), ("events", "-n", "1"), ("explain", "data"),
                    ("top", "-n", "1", "--interval", "0.1"), ("token", "list"), ("plan", daemon.folder / "forebay.yaml"), ("reload",)):
        done = daemon.ctl(*command, remote=daemon.url, token=token)
        assert done.returncode == 0 and done.stdout, (command, done)
    assert "desk" in daemon.ctl("token", "list", remote=daemon.url, token=token).stdout
    follower = subprocess.Popen([daemon._programs["forebayctl"], "events", "--follow", "--server", daemon.url, "--token-file",
                                 daemon.folder / "shown", "--ca", daemon.folder / "live.pem"], stdout=subprocess.PIPE, text=True)
    assert follower.stdout.readline()
    viewer = daemon.make_token("glance", "viewer")
    denied = daemon.ctl("token", "create", "x", "--role", "admin", remote=daemon.url, token=viewer)
    assert denied.returncode == 1 and "needs the role admin" in denied.stderr, denied
    assert daemon.ctl("token", "create", "glance", "--role", "admin").returncode == 1, "the name is taken"
    # Revoked: the one that follows is sent away, and no request is answered any more; not after a restart either.
    assert daemon.ctl("token", "revoke", "desk").returncode == 0
    assert follower.wait(30) == 1
    assert "not known" in daemon.ctl("status", remote=daemon.url, token=token).stderr
    make_certificate(daemon.folder, "other", 30)
    untrusted = daemon.ctl("status", remote=daemon.url, token=viewer, ca="other.pem")
    assert untrusted.returncode == 1 and "not trusted" in untrusted.stderr, untrusted
    stranger = daemon.ctl("status", remote=f"https://127.0.0.2:{daemon.port}", token=viewer)
    assert stranger.returncode == 1, stranger
    assert daemon.ctl("status", remote="store1:9931", token=viewer).returncode == 1
    (daemon.folder / "shown").chmod(0o644)
    open_file = subprocess.run([daemon._programs["forebayctl"], "status", "--server", daemon.url, "--token-file", daemon.folder / "shown"],
                               capture_output=True, text=True, check=False)
    assert open_file.returncode == 1 and "chmod 0600" in open_file.stderr, open_file


def tls_is_modern(daemon: Daemon) -> None:
    def speaks(*options: str) -> str:
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{daemon.port}", "-CAfile", daemon.folder / "live.pem",
                               *options], input=b"", capture_output=True, timeout=30, check=False)
        return (done.stdout + done.stderr).decode(errors="replace") if done.returncode == 0 else ""

    assert "TLSv1.3" in speaks()
    assert "Verify return code: 0" in speaks("-tls1_2")
    assert not speaks("-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0") and not speaks("-tls1", "-cipher", "DEFAULT:@SECLEVEL=0")
    assert not speaks("-tls1_2", "-cipher", "AES128-SHA"), "without forward secrecy"


def certificate_is_renewed(daemon: Daemon) -> None:
    def ends() -> float:
        return daemon.metric("forebay_control_certificate_expiry_timestamp_seconds")

    before, names = ends(), [event["name"] for event in daemon.events()]
    assert "certificate.expiring" not in names and before > time.time() + 80 * 86400
    old = Asker(daemon)
    make_certificate(daemon.folder, "fresh", 3)
    token = daemon.make_token("renewal", "viewer")
    # What is broken is refused, and the old one stays.
    (daemon.folder / "live.pem").write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    refused = daemon.ctl("reload")
    assert refused.returncode == 1 and "control.certificate" in refused.stdout + refused.stderr, refused
    (daemon.folder / "live.pem").write_bytes((daemon.folder / "fresh.pem").read_bytes())
    mixed = daemon.ctl("reload")
    assert mixed.returncode == 1 and "control.key" in mixed.stdout + mixed.stderr, mixed
    assert old.ask("GET", "/v1/status", f"Bearer {token}")[0] == 200
    (daemon.folder / "live.key").write_bytes((daemon.folder / "fresh.key").read_bytes())
    renewed = daemon.ctl("reload")
    assert renewed.returncode == 0, renewed
    assert Asker(daemon, "fresh.pem").ask("GET", "/v1/status", f"Bearer {token}")[0] == 200
    try:
        old.ask("GET", "/v1/status", f"Bearer {token}")
        raise AssertionError("the old certificate is still shown")
    except ssl.SSLCertVerificationError:
        pass
    assert ends() < time.time() + 4 * 86400
    await_holds(lambda: any(event["name"] == "certificate.expiring" for event in daemon.events()), "the event")
    await_holds(lambda: "a new one in its place" in daemon.log(), "the line in the log")
    said = daemon.ctl("doctor").stdout
    assert any(line.startswith("- certificate") and "days; put a new one in its place" in line for line in said.splitlines()), said


def bad_callers_are_kept_out(daemon: Daemon) -> None:
    asker = Asker(daemon, "fresh.pem")
    token = daemon.make_token("calm", "viewer")
    # Oversized, with a token and without.
    for authorization, wanted in ((f"Bearer {token}", 431), ("", 431)):
        line = http.client.HTTPSConnection("localhost", daemon.port, timeout=30, context=asker.context)
        line.request("GET", "/v1/status", headers={"X": "x" * 20000} | ({"Authorization": authorization} if authorization else {}))
        assert line.getresponse().status == wanted
    raw = socket.create_connection(("127.0.0.1", daemon.port), timeout=30)
    with asker.context.wrap_socket(raw, server_hostname="localhost") as line:
        line.sendall(f"POST /v1/confirm HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {daemon.make_token('op', 'operator')}\r\n"
                     f"Content-Length: {50 << 20}\r\n\r\n".encode())
        assert line.recv(100).startswith(b"HTTP/1.1 413 ")
    # No TLS; a handshake that hangs; a request that hangs. Each costs a place for a while, and no more than the places of one network.
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=30) as plain:
        plain.sendall(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP/1.1 200" not in plain.recv(100)
    await_holds(lambda: daemon.metric('forebay_control_refused_total{reason="handshake"}') >= 1, "its count")
    hanging = [socket.create_connection(("127.0.0.1", daemon.port), timeout=60) for _ in range(60)]
    hanging[0].sendall(b"\x16\x03\x01")
    # Those beyond the network's share are sent away at once, those within it when their time is over.
    ended = 0
    for one in reversed(hanging):
        ended += one.recv(1) == b""
    assert ended == 60
    assert asker.ask("GET", "/v1/status", f"Bearer {token}")[0] == 200
    for one in hanging:
        one.close()
    # Who guesses is kept out for a minute, whatever he shows then.
    before = daemon.metric('forebay_control_refused_total{reason="unknown-token"}')
    answers = [asker.ask("GET", "/v1/status", f"Bearer fbt-{number:064x}")[0] for number in range(12)]
    assert answers[0] == 401 and answers[-1] == 429 and sorted(answers) == answers, answers
    status, answer, fields = asker.ask("GET", "/v1/status", f"Bearer {token}")
    assert status == 429 and 0 < int(fields["Retry-After"]) <= 60, (answer, fields)
    assert daemon.metric('forebay_control_refused_total{reason="unknown-token"}') - before == answers.count(401)
    told = [event for event in daemon.events() if event["name"] == "access.refused" and event["subject"] == "127.0.0.1"]
    assert 1 <= len(told) <= 4 and "nobody is let in" in told[-1]["text"], told


def ports_come_and_go(daemon: Daemon) -> None:
    """Without TLS on loopback alone; ports change with a reload; tokens outlive the daemon."""
    control = daemon.config["control"]
    daemon.config["control"] = {"socket": control["socket"], "listen": [f"127.0.0.1:{daemon.plain_port}"], "tls": "none"}
    done = daemon.ctl("apply", daemon.write())
    assert done.returncode == 0, done
    await_holds(lambda: not daemon.answers(), "the old port's end")
    daemon.end()
    daemon.port, tls_port = daemon.plain_port, daemon.port
    daemon.start()
    names = [token["name"] for token in json.loads(daemon.ctl("token", "list", "-o", "json").stdout)["tokens"]]
    assert "calm" in names and "desk" not in names, names
    token = daemon.make_token("plain", "viewer")
    status, answer, _ = Asker(daemon, "fresh.pem").ask("GET", "/v1/status", f"Bearer {token}", plain=True)
    assert status == 200 and answer["node"] == "remote"
    assert daemon.ctl("status", remote=f"http://127.0.0.1:{daemon.plain_port}", token=token).returncode == 0
    # What would open too much is refused, and says why.
    for change, complaint in (({"listen": [f"*:{tls_port}"], "tls": "none"}, "is no loopback address"),
                              ({"listen": [f"127.0.0.1:{tls_port}"]}, "needs certificate"),
                              ({"listen": [f"127.0.0.1:{daemon.metrics_port}"], "tls": "none"}, "is taken by"),
                              ({"listen": ["127.0.0.1"], "tls": "none"}, "is no address with a port")):
        daemon.config["control"] = {"socket": control["socket"]} | change
        refused = daemon.ctl("apply", daemon.write())
        assert refused.returncode == 1 and complaint in refused.stdout + refused.stderr, refused
    (daemon.folder / "live.key").chmod(0o644)
    daemon.config["control"] = control
    refused = daemon.ctl("apply", daemon.write())
    assert refused.returncode == 1 and "others may read or change it" in refused.stdout + refused.stderr, refused
    daemon.end()
    # A file of tokens that others could have changed, or that is torn, lets nobody in, and no new one is put over it.
    tokens = daemon.folder / "state" / "tokens"
    text = tokens.read_bytes()
    daemon.config["control"] = {"socket": control["socket"], "listen": [f"127.0.0.1:{daemon.plain_port}"], "tls": "none"}
    for spoil in (lambda: tokens.chmod(0o640), lambda: (tokens.chmod(0o600), tokens.write_bytes(text[:-20]))):
        spoil()
        daemon.start()
        assert Asker(daemon, "fresh.pem").ask("GET", "/v1/status", f"Bearer {token}", plain=True)[0] == 401
        assert "no token is valid" in daemon.ctl("token", "create", "new", "--role", "admin").stderr
        daemon.end()


def main() -> int:
    programs = {Path(path).name: Path(path) for path in sys.argv[1:]}
    with tempfile.TemporaryDirectory(prefix="fb-remote-") as name:
        make_certificate(Path(name), "live", 90)
        daemon = Daemon(programs, Path(name))
        daemon.start()
        try:
            for part in (roles_hold, forebayctl_reaches_it, tls_is_modern, certificate_is_renewed, bad_callers_are_kept_out,
                         ports_come_and_go):
                began = time.monotonic()
                part(daemon)
                print(f"{part.__name__}: {time.monotonic() - began:.1f} s", flush=True)
            daemon.end()
        finally:
            if daemon.process is not None:
                print(daemon.log()[-3000:])
                daemon.process.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
