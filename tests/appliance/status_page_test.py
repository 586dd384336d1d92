"""The status page in Debian's Chromium: it loads without a complaint and asks nobody else, has the figures of /v1/status, its charts
move while a host works, nothing that a host calls itself is obeyed, and it says so when the daemon is gone.
`--pictures FOLDER` takes the pictures of docs/ after some minutes of varied load instead."""
import base64
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from waiting import await_holds, free_port

SUBSYSTEM = "nqn.2026-11.com.example:store1.db"
EVIL = "nqn.2026-11.com.example:<img src=x onerror='document.title=\"evil\"'>"
CHROMIUM = ["chromium", "--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--disable-gpu", "--no-first-run",
            "--disable-extensions", "--disable-background-networking", "--disable-component-update", "--hide-scrollbars"]


class Browser:
    """One page of a Chromium, by its DevTools protocol over a pipe: JSON, each message ended by a NUL."""

    def __init__(self, folder: Path):
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # It wants them as 3 and 4; those of ours may be these numbers.
        command = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        if {theirs_in, theirs_out} & {3, 4}:
            command = f'exec 20<&{theirs_in} 21>&{theirs_out} && exec "$@" 3<&20 4>&21 20<&- 21>&-'
        with open(folder / "chromium.log", "wb") as log:
            self.process = subprocess.Popen(["bash", "-c", command, "bash", *CHROMIUM, f"--user-data-dir={folder}/profile"],
                                            pass_fds=(theirs_in, theirs_out), stdout=log, stderr=log,
                                            env=os.environ | {"HOME": str(folder)})
        os.close(theirs_in)
        os.close(theirs_out)
        self._serial, self._rest = 0, b""
        self.heard: list[dict] = []
        target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters) -> dict:
        return self._call(method, parameters, self._session)

    def value(self, script: str):
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, url: str) -> None:
        self.ask("Page.navigate", url=url)
        await_holds(lambda: self.value("document.readyState") == "complete" and self.value("location.href") == url, url)

    def look(self, width: int, height: int, scheme: str = "light", scale: float = 1, is_phone: bool = False) -> None:
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=is_phone)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))

    def complaints(self) -> list[str]:
        """Whatever the console has been told so far, exceptions too."""
        self.ask("Runtime.evaluate", expression="1")
        kinds = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [json.dumps(one) for one in self.heard if one.get("method") in kinds]

    def asked(self) -> set[str]:
        """Servers that were asked for anything."""
        urls = [one["params"]["request"]["url"] for one in self.heard if one.get("method") == "Network.requestWillBeSent"]
        return {re.sub(r"^(\w+://[^/]*)/.*", r"\1", url) for url in urls if not url.startswith(("data:", "about:"))}

    def end(self) -> None:
        self.process.kill()
        self.process.wait()

    def _call(self, method: str, parameters: dict, session: str = "") -> dict:
        self._serial += 1
        serial = self._serial
        message = {"id": serial, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            heard = self._hear()
            if heard.get("id") == serial:
                assert "error" not in heard, (method, heard)
                return heard["result"]
            self.heard.append(heard)

    def _hear(self) -> dict:
        while b"\0" not in self._rest:
            piece = os.read(self._in, 1 << 20)
            assert piece, "Chromium has ended"
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


class Daemon:
    VOLUMES = {"db01": "96MiB", "db02": "64MiB", "logs": "32MiB", "vm-build": "48MiB", "vm-mail": "48MiB", "scratch": "16MiB"}

    def __init__(self, programs: dict[str, Path], folder: Path):
        self.programs, self.folder = programs, folder
        self.port, self.page_port = free_port(), free_port()
        (folder / "pool").mkdir()
        (folder / "state").mkdir()
        self._tool("forebayctl", "pool", "init", folder / "pool")
        self._tool("forebay-media", "format", "--size", "128MiB", "--checksums", folder / "front")
        cached = {"db01": "1h", "db02": "2s", "vm-build": "20s"}
        volumes = {name: {"pool": "bulk", "size": size} | ({"cache": {"device": "pmem0", "max_dirty_age": cached[name]}} if name in cached else {})
                   for name, size in self.VOLUMES.items()}
        config = {"apiVersion": "forebay/v1", "node": "store1", "reactors": {"count": 1}, "memory": "256MiB",
                  "listeners": {"san-a": {"protocol": "nvme-tcp", "address": "127.0.0.1", "port": self.port}},
                  "cache_devices": {"pmem0": {"path": str(folder / "front")}},
                  "pools": {"bulk": {"kind": "file", "directory": str(folder / "pool"), "provisioning": "thin", "reserve": "1MiB"}}, "volumes": volumes,
                  "hosts": {name: {"nqn": f"nqn.2026-11.com.example:{name}"} for name in ("dbhost1", "dbhost2")},
                  "subsystems": {SUBSYSTEM: {"listeners": ["san-a"], "allow_any_host": True,
                                             "namespaces": {number + 1: {"volume": name} for number, name in enumerate(volumes)}}},
                  "metrics": {"address": "127.0.0.1", "port": self.page_port},
                  "control": {"socket": str(folder / "control.sock")}}
        # JSON is YAML, too; but an NSID is no string.
        (folder / "forebay.yaml").write_text(re.sub(r'"(\d+)": ', r'\1: ', json.dumps(config)))
        with open(folder / "forebayd.log", "wb") as log:
            self.process = subprocess.Popen([programs["forebayd"], folder / "forebay.yaml"], stdout=log, stderr=log,
                                            env=os.environ | {"STATE_DIRECTORY": str(folder / "state")})
        await_holds(lambda: self.get("/readyz") == "ok\n" or self.process.poll() is not None, self.log())
        assert self.process.poll() is None, self.log()

    def get(self, path: str) -> str:
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    def status(self) -> dict:
        return json.loads(self._tool("forebayctl", "status", "-o", "json", "--socket", self.folder / "control.sock"))

    def load(self, *options: str, host: str = EVIL) -> subprocess.Popen:
        return subprocess.Popen([self.programs["forebay-load"], "--port", str(self.port), "--subsystem", SUBSYSTEM, "--hostnqn", host,
                                 "--quiet", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def log(self) -> str:
        return (self.folder / "forebayd.log").read_text()[-3000:]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.page_port}"

    def _tool(self, name: str, *arguments: str | Path) -> str:
        done = subprocess.run([self.programs[name], *arguments], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{name} {arguments}: {done.stdout}{done.stderr}"
        return done.stdout


def shows_the_status(browser: Browser, daemon: Daemon) -> None:
    """Names, states and sizes as /v1/status has them."""
    rows = browser.value('[...document.querySelectorAll("#volumes tr[data-volume]")].map('
                         'row => [row.dataset.volume, row.children[1].textContent, row.querySelector("[data-size]").textContent])')
    status = daemon.status()
    wanted = [[one["name"], one["state"], f"{one['size_bytes'] / 2**20:.{0 if one['size_bytes'] >= 100 << 20 else 1}f} MiB"]
              for one in status["volumes"]]
    assert sorted(rows) == sorted(wanted), (rows, wanted)
    assert browser.value('document.querySelector(".state").textContent') == "HEALTHY" and status["healthy"]
    assert browser.value("document.title") == "● store1"
    for kind, name in (("caches", "pmem0"), ("pools", "bulk"), ("listeners", "san-a"), ("hosts", "dbhost1")):
        assert browser.value(f'document.querySelector("#{kind} td.name").textContent') == name, kind
    assert "not connected" in browser.value('document.querySelector("#hosts").textContent')


def moves_under_load(browser: Browser, daemon: Daemon) -> None:
    browser.value("window.same = true")
    shape = 'document.querySelector("#charts path.write").getAttribute("d")'
    before = browser.value(shape)
    load = daemon.load("--mix", "50", "--depth", "4", "--duration", "300")
    cell = 'document.querySelector("tr[data-volume=db01] .w-c").textContent'
    try:
        await_holds(lambda: browser.value(shape) != before and browser.value(cell) not in ("0", "–"), "a chart that moves")
        await_holds(lambda: browser.value('document.querySelector("#volumes tr[data-volume]").dataset.volume') == "db01", "the busiest first")
        assert browser.value('document.querySelector("tr[data-volume=db01] path.write").getAttribute("d")') != ""
        # What a host calls itself is text: shown as it is, and nothing of it has run.
        await_holds(lambda: EVIL in browser.value('document.querySelector("#hosts").textContent'), "the host's name")
        assert browser.value("document.images.length") == 0 and browser.value("document.title") == "● store1"
    finally:
        load.kill()
        load.wait()
    assert browser.value("window.same"), "the page was loaded anew"


def obeys_nothing_else(browser: Browser) -> None:
    browser.value('(() => { const one = document.createElement("script"); one.textContent = "window.intruder = true";'
                  'document.body.append(one); })()')
    assert browser.value("window.intruder === undefined"), "the policy lets any script in"


def fits_a_phone(browser: Browser) -> None:
    browser.look(390, 844, is_phone=True)
    assert browser.value("document.documentElement.scrollWidth <= 390"), browser.value("document.documentElement.scrollWidth")
    dark = 'getComputedStyle(document.body).backgroundColor'
    light_ground = browser.value(dark)
    browser.look(1280, 900, "dark")
    assert browser.value(dark) != light_ground


def says_when_it_is_old(browser: Browser, daemon: Daemon) -> None:
    assert browser.value('document.getElementById("stale").hidden')
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(30) == 0, daemon.log()
    await_holds(lambda: not browser.value('document.getElementById("stale").hidden'), "the word that it is old")
    assert "all below is older" in browser.value('document.getElementById("stale").textContent')


def take_pictures(browser: Browser, daemon: Daemon, folder: Path) -> None:
    host = "nqn.2026-11.com.example:dbhost1"
    loads = [daemon.load("--mix", "70", "--rate", "400", "--depth", "4", "--duration", "600", host=host),
             daemon.load("--nsid", "4", "--rate", "60", "--duration", "600", host="nqn.2026-11.com.example:dbhost2")]
    for number in range(8):
        time.sleep(12)
        burst = daemon.load("--nsid", str(1 + number % 3), "--mix", str(80 - 10 * number), "--rate", str(150 * (number + 1)),
                            "--depth", "4", "--duration", "10", host=host)
        burst.wait()
    browser.open(daemon.url + "/")
    height = 60 + browser.value("document.querySelector('main').scrollHeight")
    browser.look(1280, height)
    browser.picture(folder / "status-page.png")
    browser.look(1280, height, "dark")
    browser.picture(folder / "status-page-dark.png")
    browser.look(390, 1300, is_phone=True, scale=1.5)
    browser.picture(folder / "status-page-phone.png")
    for load in loads:
        load.kill()
        load.wait()


def main() -> int:
    arguments = sys.argv[1:]
    pictures = None
    if "--pictures" in arguments:
        at = arguments.index("--pictures")
        pictures = Path(arguments[at + 1])
        del arguments[at:at + 2]
    programs = {Path(path).name: Path(path) for path in arguments}
    with tempfile.TemporaryDirectory(prefix="fb-page-", ignore_cleanup_errors=True) as name:
        daemon = Daemon(programs, Path(name))
        began = time.monotonic()
        browser = Browser(Path(name))
        try:
            browser.look(1280, 900)
            browser.open(daemon.url + "/")
            if pictures:
                take_pictures(browser, daemon, pictures)
                return 0
            shows_the_status(browser, daemon)
            moves_under_load(browser, daemon)
            fits_a_phone(browser)
            browser.look(1280, 900)
            complaints = browser.complaints()
            assert not complaints, complaints
            assert browser.asked() == {daemon.url}, browser.asked()
            obeys_nothing_else(browser)
            says_when_it_is_old(browser, daemon)
            print(f"status page: {time.monotonic() - began:.1f} s in {browser.ask('Runtime.evaluate', expression='navigator.userAgent')['result']['value'].split()[-2]}")
        finally:
            browser.end()
            if daemon.process.poll() is None:
                daemon.process.kill()
                daemon.process.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
