#!/usr/bin/env python3
"""Draws the dashboards from a Prometheus that is running, one SVG each: what Grafana would show, roughly, for whoever has no
Grafana. With --require: fails for a panel without a sample other than 0, but for those that show what is wrong.

    tests/appliance/draw_dashboards.py --prometheus http://127.0.0.1:9090 --last 300 --to docs/dashboards
"""
import argparse
import json
import math
import re
import sys
import time
import urllib.parse
import urllib.request
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BOARDS = ROOT / "appliance/grafana/dashboards"
CELL = (44, 34)  # of Grafana's grid, in pixels
COLOURS = ("#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0", "#508642", "#cca300")
POINTS = 120
LEGENDS = 4
# Panels that are empty, or 0, as long as nothing goes wrong, or where a disk does not tell what they show.
OF_TROUBLE = {"Alerts", "Errors", "Bad in the cache", "Lost", "Failed", "Bad blocks", "Disks not well", "Pools filling", "Retained volumes",
              "Temperature", "Wear", "Bad sectors", "Hosts that fell silent", "Media errors", "Digest errors", "Broken protocol",
              "Commands that waited"}
SCALES = {"bytes": (1024, "B KiB MiB GiB TiB PiB"), "Bps": (1024, "B/s KiB/s MiB/s GiB/s"), "iops": (1000, "/s k/s M/s"),
          "cps": (1000, "/s k/s M/s"), "none": (1000, " k M G")}


class Prometheus:
    def __init__(self, address: str, last: float, rate_interval: str):
        self._address, self._rate_interval = address.rstrip("/"), rate_interval
        self._end = time.time()
        self._begin = self._end - last

    def curves(self, query: str) -> list[dict]:
        """A list of {metric, values}."""
        step = max(1.0, (self._end - self._begin) / POINTS)
        return self._ask("query_range", query=query, start=self._begin, end=self._end, step=step)

    def now(self, query: str) -> list[dict]:
        """A list of {metric, value}."""
        return self._ask("query", query=query, time=self._end)

    def _ask(self, how: str, query: str, **arguments: float) -> list[dict]:
        query = re.sub(r'"\$\w+"', '".*"', query.replace("$__rate_interval", self._rate_interval))
        address = f"{self._address}/api/v1/{how}?{urllib.parse.urlencode({'query': query, **arguments})}"
        with urllib.request.urlopen(address, timeout=30) as answer:
            return json.load(answer)["data"]["result"]


def number(value: float, unit: str) -> str:
    if math.isnan(value):
        return "-"
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "celsius":
        return f"{value:.0f} °C"
    if unit == "s":
        for limit, factor, name in ((1e-3, 1e6, "µs"), (1, 1e3, "ms"), (120, 1, "s"), (7200, 1 / 60, "min"), (172800, 1 / 3600, "h")):
            if abs(value) < limit:
                return f"{value * factor:.3g} {name}"
        return f"{value / 86400:.3g} d"
    base, names = SCALES[unit]
    for name in names.split(" "):
        if abs(value) < base or name == names.split(" ")[-1]:
            return f"{value:.3g} {name}".strip()
        value /= base
    return ""


def legend(form: str, labels: dict[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found.group(1), ""), form) or ", ".join(labels.values())


class Panel:
    """What one shows: `lines` are (legend, [(time, value)]); of a number or a table the values are those of now."""

    def __init__(self, panel: dict, prometheus: Prometheus):
        self.panel, self.kind = panel, panel["type"]
        # The scale of a heatmap is that of its buckets; what is drawn here are their counts.
        self.unit = "cps" if self.kind == "heatmap" else panel["fieldConfig"]["defaults"]["unit"]
        self.lines: list[tuple[str, list[tuple[float, float]]]] = []
        self.rows: list[dict] = []
        for target in panel["targets"]:
            if self.kind in ("stat", "table"):
                found = prometheus.now(target["expr"])
                self.rows += [dict(one["metric"], _column=target["refId"], _value=float(one["value"][1])) for one in found]
                self.lines += [("", [(0.0, float(one["value"][1]))]) for one in found]
            else:
                self.lines += [(legend(target["legendFormat"], one["metric"]), [(float(t), float(v)) for t, v in one["values"]])
                               for one in prometheus.curves(target["expr"])]

    def is_alive(self) -> bool:
        return any(value != 0 and not math.isnan(value) for _, points in self.lines for _, value in points)

    def svg(self) -> str:
        place = self.panel["gridPos"]
        x, y, width, height = place["x"] * CELL[0], place["y"] * CELL[1] + 40, place["w"] * CELL[0] - 8, place["h"] * CELL[1] - 8
        inner = {"stat": self._number, "table": self._table}.get(self.kind, self._curves)(width, height)
        return (f'<g transform="translate({x + 4},{y})"><title>{escape(self.panel["description"])}</title>'
                f'<rect width="{width}" height="{height}" fill="#1f1f23" rx="3"/>'
                f'<text x="8" y="18" fill="#d8d9da" font-weight="bold">{escape(self.panel["title"])}</text>{inner}</g>')

    def _number(self, width: int, height: int) -> str:
        text = number(self.lines[0][1][0][1], self.unit) if self.lines else "no data"
        return f'<text x="{width // 2}" y="{height // 2 + 20}" fill="#7eb26d" font-size="26" text-anchor="middle">{text}</text>'

    def _curves(self, width: int, height: int) -> str:
        points = [point for _, line in self.lines for point in line if not math.isnan(point[1])]
        if not points:
            return f'<text x="{width // 2}" y="{height // 2}" fill="#8e8e8e" text-anchor="middle">no data</text>'
        left, top, bottom = 66, 30, height - 22 - 14 * math.ceil(min(len(self.lines), LEGENDS) / 2)
        begin, end = min(point[0] for point in points), max(point[0] for point in points)
        most = max(point[1] for point in points) or 1
        drawn = []
        for part in (0, 0.5, 1):
            at = bottom - (bottom - top) * part
            drawn.append(f'<line x1="{left}" x2="{width - 8}" y1="{at:.0f}" y2="{at:.0f}" stroke="#34343b"/>'
                         f'<text x="{left - 6}" y="{at + 4:.0f}" fill="#8e8e8e" text-anchor="end">{number(most * part, self.unit)}</text>')
        for i, (name, line) in enumerate(self.lines):
            colour = COLOURS[i % len(COLOURS)]
            at = " ".join(f"{left + (t - begin) / max(end - begin, 1) * (width - left - 8):.1f},{bottom - v / most * (bottom - top):.1f}"
                          for t, v in line if not math.isnan(v))
            drawn.append(f'<polyline points="{at}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
            if i < LEGENDS:
                text = escape(name if len(name) <= 26 else name[:12] + "…" + name[-12:])
                drawn.append(f'<text x="{8 + i % 2 * (width // 2)}" y="{bottom + 20 + 14 * (i // 2)}" fill="{colour}">{text}</text>')
        return "".join(drawn)

    def _table(self, width: int, height: int) -> str:
        """A line for each subject: its labels once, then the values by column."""
        names = [step["options"]["renameByName"] for step in self.panel["transformations"] if step["id"] == "organize"][0]
        units = {override["matcher"]["options"]: override["properties"][0]["value"] for override in self.panel["fieldConfig"]["overrides"]}
        subject = [step["options"]["indexByName"] for step in self.panel["transformations"] if step["id"] == "organize"][0]
        lines: dict[str, dict[str, str]] = {}
        for row in self.rows:
            about = lines.setdefault(row.get(next(iter(subject)), ""), {})
            about.update({key: value for key, value in row.items() if key[0] != "_" and key not in ("job", "instance", "uuid")})
            name = names.get(f"Value #{row['_column']}")
            if name:
                about[name] = number(row["_value"], units[name])
        columns = list(dict.fromkeys([*subject, *(key for about in lines.values() for key in about)]))
        drawn = []
        for i, about in enumerate([dict(zip(columns, columns)), *(about for _, about in sorted(lines.items()))] if lines else []):
            drawn += [f'<text x="{8 + j * (width - 16) // len(columns)}" y="{40 + 18 * i}" fill="{"#d8d9da" if i else "#8e8e8e"}">'
                      f'{escape(about.get(column, ""))}</text>' for j, column in enumerate(columns) if 40 + 18 * i < height]
        return "".join(drawn) or f'<text x="{width // 2}" y="{height // 2}" fill="#8e8e8e" text-anchor="middle">no data</text>'


def boards_with_panels(prometheus: Prometheus) -> list[tuple[Path, dict, list[Panel]]]:
    """All that ship, with what their panels show."""
    boards = [(path, json.loads(path.read_text())) for path in sorted(BOARDS.iterdir())]
    return [(path, board, [Panel(panel, prometheus) for panel in board["panels"]]) for path, board in boards]


def draw(board: dict, panels: list[Panel]) -> str:
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    width, height = 24 * CELL[0], bottom * CELL[1] + 48
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'font-family="sans-serif" font-size="12"><rect width="{width}" height="{height}" fill="#111217"/>'
            f'<text x="12" y="27" fill="#d8d9da" font-size="18">{escape(board["title"])}</text>'
            f'{"".join(panel.svg() for panel in panels)}</svg>\n')


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prometheus", required=True, help="its address")
    parser.add_argument("--last", type=float, default=300, help="how many seconds back")
    parser.add_argument("--rate-interval", default="30s", help="what $__rate_interval is: four scrapes at least")
    parser.add_argument("--to", type=Path, help="where the pictures go")
    parser.add_argument("--require", action="store_true", help="fail for a panel that has nothing to show")
    options = parser.parse_args()
    prometheus = Prometheus(options.prometheus, options.last, options.rate_interval)
    dead, count = [], 0
    for path, board, panels in boards_with_panels(prometheus):
        count += len(panels)
        dead += [f"{board['title']}: {panel.panel['title']}" for panel in panels if not panel.is_alive() and panel.panel["title"] not in OF_TROUBLE]
        if options.to:
            options.to.mkdir(parents=True, exist_ok=True)
            (options.to / f"{path.stem}.svg").write_text(draw(board, panels))
    print(f"{count} panels, {len(dead)} of them empty that should not be")
    print("".join(f"{name} shows nothing\n" for name in dead), end="")
    return 1 if options.require and dead else 0


if __name__ == "__main__":
    sys.exit(main())
