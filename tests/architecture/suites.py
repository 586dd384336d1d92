"""tests/run names its suites, refuses an unknown one with the known ones, keeps its budgets within the cap, and its
summary counts and judges, also after Ctrl-C."""
import contextlib
import importlib.util
import io
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path


LOAD = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("suites", sys.argv.pop(1))
suites = importlib.util.module_from_spec(spec)
sys.modules["suites"] = suites
spec.loader.exec_module(suites)
"""
# Ctrl-C in the second suite.
INTERRUPTED = LOAD + """
ran = iter([suites.Outcome("architecture", passed=3)])
def execute(suite, form, slow):
    for outcome in ran:
        return outcome
    raise KeyboardInterrupt
suites.execute, suites.prepare, suites.Guests = execute, lambda: None, lambda: None
sys.exit(suites.main())
"""
WITHOUT_ROOT = LOAD + """
suites.os.geteuid = lambda: 1000
sys.exit(suites.main())
"""


def main() -> int:
    root = Path(sys.argv[1])
    script = root / "tests/suites.py"
    # Asking changes nothing: what would install packages is not even found.
    bare = {"PATH": "/nonexistent"}
    listed = subprocess.run([sys.executable, script, "--list"], capture_output=True, text=True, env=bare)
    assert listed.returncode == 0, listed.stderr
    assert subprocess.run([sys.executable, script, "--help"], capture_output=True, env=bare).returncode == 0
    names = [line.split()[0] for line in listed.stdout.splitlines()]
    for name in ("unit", "engine", "crash", "mutants", "architecture", "protocol", "config", "end_to_end", "fuzz", "vm", "iscsi", "observability", "operations", "pools", "nvme", "security", "smoke", "threads", "optimised"):
        assert name in names, f"{name} is not among {names}"

    refused = subprocess.run([sys.executable, script, "--only", "nonsense"], capture_output=True, text=True)
    assert refused.returncode == 2 and "known: " in refused.stderr, refused.stderr

    spec = importlib.util.spec_from_file_location("suites", script)
    suites = importlib.util.module_from_spec(spec)
    sys.modules["suites"] = suites
    spec.loader.exec_module(suites)

    usual = [suite for suite in suites.SUITES if not suite.long_only and not suite.named_only]
    running = sum(suite.budget_minutes for suite in usual)
    assert running + suites.BUILD_MINUTES <= suites.CAP_MINUTES, \
        f"budgets of {running} min leave no room for {suites.BUILD_MINUTES} min of building in {suites.CAP_MINUTES}"
    listed = subprocess.run([sys.executable, root / "tests/vm/run.py", "--list", "--long"], capture_output=True, text=True, check=True)
    guests = [f"vm.{line.split()[0]}.{line.split()[1]}" for line in listed.stdout.splitlines()]
    for suite in suites.SUITES:
        assert not re.search(r"\\[A-Za-z]", suite.names), f"{suite.name}: ctest knows no {suite.names}, such as \\w"
        if suite.names and "vm" in suite.labels:
            assert any(re.search(suite.names, guest) for guest in guests), f"{suite.name}: not one guest has a name of {suite.names}"
    smoke = next(suite for suite in usual if suite.name == "smoke")
    assert smoke.quick and smoke.preset == "asan", "the run of the whole daemon under ASan is part of every run"

    presets = json.loads((root / "CMakePresets.json").read_text())
    base = next(preset for preset in presets["testPresets"] if preset["name"] == "base")
    excluded = re.compile(base["filter"]["exclude"]["label"])
    for suite in suites.SUITES:
        for label in suite.labels + suite.long_labels:
            wanted = label.startswith(("vm", "iscsi", "tidy", "observability"))
            assert bool(excluded.search(label)) == wanted, f"a workflow preset {'runs' if wanted else 'leaves out'} {label}"
    for preset in presets["testPresets"]:
        assert preset["name"] == "base" or preset["inherits"] == "base", preset

    interrupted = subprocess.run([sys.executable, "-c", INTERRUPTED, script], capture_output=True, text=True)
    assert interrupted.returncode == 130, interrupted
    assert interrupted.stdout.rstrip().splitlines()[-1] == f"3 passed, {len(usual) - 1} failed, 0 skipped", interrupted.stdout
    ordinary = subprocess.run([sys.executable, "-c", WITHOUT_ROOT, script], capture_output=True, text=True)
    assert ordinary.returncode == 1 and "needs root" in ordinary.stderr, ordinary
    assert ordinary.stderr.count("\n") == 1, ordinary.stderr

    good = suites.Outcome("a", passed=3)
    assert suites.summary([good], 1.0) == 0
    assert suites.summary([good, suites.Outcome("b", passed=1, failed=1)], 1.0) == 1, "a failure must fail the run"
    assert suites.summary([good, suites.Outcome("b", passed=1, skipped=1)], 1.0) == 1, "a skip must fail the run"
    assert suites.summary([], 1.0) == 1, "a run of nothing must fail"
    missing = suites.Outcome("c")
    suites.count(root / "no-such-report.xml", missing, "")
    assert missing.failed == 1, "a report that is not there must fail"
    with tempfile.TemporaryDirectory() as folder:
        torn = Path(folder) / "report.xml"
        torn.write_text("<testsuite><testcase status='run'/>")
        outcome = suites.Outcome("d")
        suites.count(torn, outcome, "")
        assert outcome.failed == 1, "a report that is cut off must fail"
        told = Path(folder) / "told.xml"
        told.write_text("<testsuite><testcase name='good' status='run'><system-out>noise\nfigure: 7\n[  PASSED  ] 12 tests.\n</system-out></testcase>"
                        "<testcase name='bad' status='fail'/></testsuite>")
        outcome = suites.Outcome("e")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            suites.count(told, outcome, "figure: ")
            suites.summary([outcome], 1.0)
        assert outcome.cases == 12, "what a process of many cases counts"
        assert printed.getvalue().startswith("figure: 7\n"), "a passing test's figures are printed"
        assert "e: bad did not pass\n" in printed.getvalue(), "what failed is named at the end"

    one, two, three = (suites.Suite(name, "", "release", [], [], 1) for name in ("one", "two", "three"))
    started = []
    suites.execute = lambda suite, form, slow: started.append(suite.name) or suites.Outcome(suite.name, passed=1)
    outcomes = []
    suites.execute_all([one, two], "usual", time.monotonic() - 1, 1.0, outcomes)
    assert not started and [(o.suite, o.failed) for o in outcomes] == [("one", 1), ("two", 1)], "nothing starts late"

    def interrupted(suite, form, slow):
        if suite is two:
            raise KeyboardInterrupt
        return suites.Outcome(suite.name, passed=1)

    suites.execute = interrupted
    outcomes = []
    try:
        suites.execute_all([one, two, three], "usual", None, 1.0, outcomes)
        raise AssertionError("an interruption is passed on")
    except KeyboardInterrupt:
        assert [(o.suite, o.failed) for o in outcomes] == [("one", 0), ("two", 1), ("three", 1)], outcomes

    for preset, name in (("asan", "ASAN_OPTIONS"), ("tsan", "TSAN_OPTIONS")):
        presets = json.loads((root / "CMakePresets.json").read_text())["testPresets"]
        wanted = next(p["environment"] for p in presets if p["name"] == preset)
        assert suites.SANITIZER_ENVIRONMENT[preset] == wanted, f"{name} differs from the test preset's"
    print(f"{len(names)} suites")
    return 0


if __name__ == "__main__":
    sys.exit(main())
