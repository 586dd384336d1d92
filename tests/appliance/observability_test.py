"""Alerts and dashboards as they ship: promtool takes the rules, each alert has a case that makes it fire and a page that says
what to do; dashboards are what their source makes; every query parses, and every metric of either is one that
docs/metrics.md has. `planted`: the test itself, which must notice what is wrong."""
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

FEWEST_ALERTS = 25
BOARDS = {"forebay-overview": "Overview", "forebay-volume": "Volume", "forebay-cache": "Cache", "forebay-pools": "Pools and disks",
          "forebay-hosts": "Hosts", "forebay-reactors": "Reactors"}
SEVERITIES = {"critical", "warning", "info"}
# Prometheus' own, made by scraping and by rules.
FOREIGN = {"up", "ALERTS"}
PARTS_OF_HISTOGRAMS = ("_bucket", "_sum", "_count")
# What Grafana puts in.
VARIABLES = {"$__rate_interval": "5m"}


class Metrics:
    """Of docs/metrics.md: a row of its tables has a name, a type and the labels."""

    def __init__(self, root: Path):
        rows = re.findall(r"^\| `((?:forebay|process)_\w+)` \| (\w+) \|([^|]*)\|", (root / "docs/metrics.md").read_text(), re.M)
        self.type = {name: kind for name, kind, _ in rows}
        self.labels = {name: set(re.findall(r"`(\w+)`", labels)) for name, _, labels in rows}
        assert len(self.type) > 50, f"only {len(self.type)} metrics in docs/metrics.md"

    def base(self, name: str) -> str | None:
        """The metric that a series belongs to."""
        for part in PARTS_OF_HISTOGRAMS:
            if name.endswith(part) and self.type.get(name.removesuffix(part)) == "histogram":
                return name.removesuffix(part)
        return name if self.type.get(name, "histogram") != "histogram" else None

    def wrong_in(self, expression: str, recorded: set[str]) -> list[str]:
        """Names that nobody exports, and labels that a metric has not."""
        found = []
        bare = re.sub(r'"[^"]*"', '""', expression)
        for name, labels in re.findall(r"(?<![\w:])((?:forebay|process)_\w+|\w+:\w+:\w+)(?:\{([^}]*)\})?", bare):
            if ":" in name:
                found += [] if name in recorded else [f"{name} is not recorded"]
                continue
            base = self.base(name)
            if base is None:
                found.append(f"docs/metrics.md has no {name}")
                continue
            known = self.labels[base] | {"job", "instance", "le"}
            found += [f"{name} has no label {label}" for label in re.findall(r"(\w+)\s*[=!]", labels) if label not in known]
        return found


def promtool(*arguments: str | Path) -> tuple[int, str]:
    done = subprocess.run(["promtool", *map(str, arguments)], text=True, timeout=120, check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def expect_promtool(*arguments: str | Path) -> None:
    code, told = promtool(*arguments)
    assert code == 0, f"promtool {arguments}: {told}"


def rules_of(path: Path) -> list[dict]:
    return [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def anchors_of(page: Path) -> dict[str, str]:
    """What stands under each heading of the third order, by its anchor."""
    parts = re.split(r"^### (.*)$", page.read_text(), flags=re.M)
    return {name.lower(): text.split("\n## ")[0].strip() for name, text in zip(parts[1::2], parts[2::2])}


def wrong_alerts(rules: list[dict], pages: dict[str, str], cases: list[dict]) -> list[str]:
    found = []
    alerts = {rule["alert"]: rule for rule in rules if "alert" in rule}
    for name, rule in alerts.items():
        notes = rule.get("annotations", {})
        if not name.startswith("Forebay") or rule.get("labels", {}).get("severity") not in SEVERITIES:
            found.append(f"{name}: its name or its severity")
        if not notes.get("summary") or not notes.get("description"):
            found.append(f"{name}: no summary or no description")
        anchor = notes.get("runbook_url", "").rpartition("docs/alerts.md#")[2]
        if anchor != name.lower() or len(pages.get(anchor, "").split("\n\n")) < 2:
            found.append(f"{name}: docs/alerts.md does not say what it means and what to do")
        tests = [test for case in cases for test in case["alert_rule_test"] if test["alertname"] == name]
        if not any(test["exp_alerts"] for test in tests) or all(test["exp_alerts"] for test in tests):
            found.append(f"{name}: tests/appliance/alert_cases.yaml does not make it fire, and be quiet")
    found += [f"docs/alerts.md has {page}, which is no alert" for page in pages if page not in {name.lower() for name in alerts}]
    if len(alerts) < FEWEST_ALERTS:
        found.append(f"{len(alerts)} alerts, at least {FEWEST_ALERTS}")
    return found


def check_rules(root: Path, metrics: Metrics) -> str:
    place = root / "appliance/prometheus"
    expect_promtool("check", "config", place / "prometheus.yml")
    expect_promtool("check", "rules", place / "forebay.rules.yaml")
    expect_promtool("test", "rules", root / "tests/appliance/alert_cases.yaml")
    rules = rules_of(place / "forebay.rules.yaml")
    pages = anchors_of(root / "docs/alerts.md")
    cases = yaml.safe_load((root / "tests/appliance/alert_cases.yaml").read_text())["tests"]
    recorded = {rule["record"] for rule in rules if "record" in rule}
    found = wrong_alerts(rules, pages, cases)
    for rule in rules:
        found += [f"{rule.get('alert', rule.get('record'))}: {wrong}" for wrong in metrics.wrong_in(rule["expr"], recorded)]
    assert not found, "\n".join(found)
    return f"{sum('alert' in rule for rule in rules)} alerts, {len(recorded)} recorded series"


def wrong_board(board: dict) -> list[str]:
    """Of what Grafana takes as it is, and shows wrongly."""
    found, taken = [], set()
    names = [one["name"] for one in board["templating"]["list"]]
    if names[:2] != ["datasource", "instance"] or "forebay" not in board["tags"]:
        found.append("its variables or tags")
    identities = [panel["id"] for panel in board["panels"]]
    if len(set(identities)) != len(identities):
        found.append("panels with the same id")
    for panel in board["panels"]:
        if not panel["description"] or not panel["fieldConfig"]["defaults"]["unit"]:
            found.append(f"{panel['title']}: no description or no unit")
        if any(part["datasource"]["uid"] != "${datasource}" for part in [panel, *panel["targets"]]):
            found.append(f"{panel['title']}: a datasource of its own")
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        if cells & taken or place["x"] + place["w"] > 24:
            found.append(f"{panel['title']}: lies on another panel, or beyond the edge")
        taken |= cells
    return found


def queries_of(board: dict) -> list[str]:
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]] + \
           [event["expr"] for event in board["annotations"]["list"]]


def in_prometheus(query: str) -> str:
    for variable, value in VARIABLES.items():
        query = query.replace(variable, value)
    return re.sub(r'"\$\w+"', '".*"', query)


def check_boards(root: Path, metrics: Metrics) -> str:
    place = root / "appliance/grafana"
    for name in ("dashboards.jsonnet", "board.libsonnet"):
        assert subprocess.run(["jsonnetfmt", "--test", place / name], timeout=60, check=False).returncode == 0, f"jsonnetfmt -i {name}"
    boards, found = {}, []
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["jsonnet", "-m", folder, place / "dashboards.jsonnet"], check=True, timeout=60, stdout=subprocess.DEVNULL)
        made = {path.name: path.read_text() for path in Path(folder).iterdir()}
    kept = {path.name: path.read_text() for path in (place / "dashboards").iterdir()}
    assert made == kept, "appliance/grafana/dashboards is not what its source makes; see the top of dashboards.jsonnet"
    for text in kept.values():
        board = json.loads(text)
        boards[board["uid"]] = board
        found += [f"{board['title']}: {wrong}" for wrong in wrong_board(board)]
        for query in queries_of(board):
            found += [f"{board['title']}: {wrong}" for wrong in metrics.wrong_in(query, set())]
    assert not found, "\n".join(found)
    assert {uid: board["title"].removeprefix("Forebay / ") for uid, board in boards.items()} == BOARDS, list(boards)
    queries = [query for board in boards.values() for query in queries_of(board)]
    expect_parsed(queries)
    for path in (place / "provisioning").rglob("*.yaml"):
        assert yaml.safe_load(path.read_text())["apiVersion"] == 1, path
    return f"{len(boards)} dashboards, {sum(len(board['panels']) for board in boards.values())} panels, {len(queries)} queries"


def expect_parsed(queries: list[str]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        rules = [{"record": f"query:{i}", "expr": in_prometheus(query)} for i, query in enumerate(queries)]
        yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}, file)
        file.flush()
        expect_promtool("check", "rules", "--lint=none", file.name)


def check_planted(root: Path, metrics: Metrics) -> str:
    """Each is noticed."""
    expressions = ("rate(forebay_volume_reads[5m])", "forebay_nothing", "rate(forebay_volume_read_seconds[5m])",
                   'forebay_volume_dirty_bytes{pool="x"}', "volume:forebay_volume_reads:rate1d > 0", "process_nothing{job=\"forebay\"}")
    missed = [one for one in expressions if len(metrics.wrong_in(one, {"volume:forebay_volume_reads:rate5m"})) != 1]
    right = 'sum by (le) (rate(forebay_volume_read_seconds_bucket{volume=~"a{b"}[5m])) > volume:forebay_volume_reads:rate5m'
    missed += metrics.wrong_in(right, {"volume:forebay_volume_reads:rate5m"})

    rules = rules_of(root / "appliance/prometheus/forebay.rules.yaml")
    cases = yaml.safe_load((root / "tests/appliance/alert_cases.yaml").read_text())["tests"]
    pages = anchors_of(root / "docs/alerts.md")
    if not any("does not say" in wrong for wrong in wrong_alerts(rules, {**pages, "forebaydown": ""}, cases)):
        missed.append("an alert without its page")
    if not any("does not make it fire" in wrong for wrong in wrong_alerts(rules, pages, cases[1:])):
        missed.append("an alert without its case")
    with tempfile.TemporaryDirectory() as folder:
        case = dict(cases[0])
        case["alert_rule_test"] = [dict(case["alert_rule_test"][-1], exp_alerts=[])]
        path = Path(folder) / "cases.yaml"
        path.write_text(yaml.safe_dump({"rule_files": [str(root / "appliance/prometheus/forebay.rules.yaml")], "evaluation_interval": "1m",
                                        "tests": [case]}))
        if promtool("test", "rules", path)[0] == 0:
            missed.append("an alert that fires where none is expected")

    board = json.loads((root / "appliance/grafana/dashboards/forebay-volume.json").read_text())
    board["panels"][1]["gridPos"] = board["panels"][0]["gridPos"]
    board["panels"][2]["description"] = ""
    if len(wrong_board(board)) != 2:
        missed.append("a panel upon another, and one without a description")
    try:
        expect_parsed(["rate(forebay_volume_reads_total[$__rate_interval]"])
        missed.append("a query that does not parse")
    except AssertionError:
        pass
    assert not missed, "\n".join(missed)
    return "planted faults are noticed"


def main() -> int:
    what, root = sys.argv[1], Path(sys.argv[2]).resolve()
    check = {"rules": check_rules, "dashboards": check_boards, "planted": check_planted}[what]
    print(check(root, Metrics(root)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
