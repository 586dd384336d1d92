"""Pictures of the dashboards have every panel with its curves, those that docs/ keeps have every panel too, and a panel without samples is named; over a stand-in for
Prometheus that answers every query but those of one metric, of which there are samples of 0 only."""
import json
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import xml.etree.ElementTree as ElementTree
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SILENT = "forebay_volume_written_back_bytes_total"
ASKED: list[str] = []


class StandIn(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # noqa: N802: as its base class calls it
        where = urllib.parse.urlparse(self.path)
        asked = dict(urllib.parse.parse_qsl(where.query))
        ASKED.append(asked["query"])
        labels = {"instance": "store1:9930", "volume": "db<01>", "class": "media"}
        value = "0" if SILENT in asked["query"] else "1234.5"
        if where.path.endswith("query_range"):
            times = [float(asked["start"]) + i * float(asked["step"]) for i in range(10)]
            result = [{"metric": labels, "values": [[at, value] for at in times[:-1]] + [[times[-1], "NaN"]]}]
        else:
            result = [{"metric": labels, "value": [float(asked["time"]), value]}]
        body = json.dumps({"status": "success", "data": {"result": result}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def main() -> int:
    root = Path(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([sys.executable, root / "tests/appliance/draw_dashboards.py", "--prometheus", f"http://127.0.0.1:{server.server_port}",
                               "--to", folder, "--require"], text=True, timeout=120, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 1 and done.stdout.endswith("\nForebay / Volume: Write-back shows nothing\n"), done.stdout
        assert " 1 of them empty" in done.stdout, done.stdout
        curves = 0
        for path in sorted((root / "appliance/grafana/dashboards").iterdir()):
            board = json.loads(path.read_text())
            picture = ElementTree.parse(Path(folder) / f"{path.stem}.svg").getroot()
            texts = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
            for panel in board["panels"]:
                assert panel["title"] in texts, f"{path.stem}: no {panel['title']}"
            expected = sum(len(panel["targets"]) for panel in board["panels"] if panel["type"] not in ("stat", "table"))
            found = len(list(picture.iter("{http://www.w3.org/2000/svg}polyline")))
            assert found == expected, f"{path.stem}: {found} curves, expected {expected}"
            curves += found
            kept = ElementTree.parse(root / f"docs/dashboards/{path.stem}.svg").getroot()
            told = {element.text for element in kept.iter("{http://www.w3.org/2000/svg}text")}
            missing = [panel["title"] for panel in board["panels"] if panel["title"] not in told]
            assert not missing, f"docs/dashboards/{path.stem}.svg is older than its dashboard: no {missing}; draw it anew"
    server.shutdown()
    assert not any("$" in query for query in ASKED), "a variable was left in a query"
    print(f"{curves} curves drawn, {len(ASKED)} queries asked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
