"""Builds and runs the test suites, prints ctest's own summaries and one closing count.

A suite is a ctest label in a build made by one CMake preset. Whatever cannot run is a failure: a build that
breaks, a suite without a test and a suite far over its time budget all count as one failed test each.
"""
import argparse
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Suite:
    name: str
    about: str
    preset: str
    labels: list[str]
    targets: list[str]
    budget_minutes: float          # of running; building has the rest of the 50
    packages: list[str] = field(default_factory=list)
    quick: bool = False            # part of --quick
    long_labels: list[str] = field(default_factory=list)  # run by --long beside the others
    environment: dict[str, str] = field(default_factory=dict)
    jobs: int = 2


SUITES = [
    Suite("architecture", "includes follow the layout's arrows; documents and scripts keep their rules",
          "release", ["architecture"], ["suite_architecture"], 1, quick=True),
    Suite("unit", "engine and target, simulated disks, streams and clocks",
          "release", ["unit"], ["suite_unit"], 3, quick=True),
    Suite("protocol", "codecs: golden bytes, truncations, fields out of range",
          "release", ["protocol"], ["suite_protocol"], 2, quick=True),
    Suite("config", "YAML, messages, schema",
          "release", ["config"], ["suite_config"], 1, quick=True),
    Suite("end_to_end", "the real daemon on loopback, driven by the project's own client",
          "release", ["end_to_end", "smoke"], ["suite_end_to_end", "suite_smoke", "forebayd", "forebayctl", "forebay-load",
                                               "forebay-ceiling"], 10),
    Suite("vm", "stock Linux kernels as hosts, in QEMU",
          "release", ["vm"], ["forebayd", "forebayctl"], 15, packages=["vm"], long_labels=["vm-long"]),
    Suite("crash", "power fails at every persist point of the cache engine; recovery crashed in turn",
          "release", ["crash"], ["suite_crash"], 3, quick=True),
    Suite("mutants", "each guard of the cache engine switched off: the crash suite must fail",
          "release", ["mutants"], ["suite_mutants"], 1, quick=True),
    # The whole daemon under ASan and TSan takes long to build: --quick has one loopback run, --long all of it.
    Suite("sanitize", "what parses, holds buffers or counts commands, under ASan and UBSan",
          "asan", ["unit", "protocol", "config"],
          ["suite_protocol", "suite_config", "engine_foundation_test", "engine_media_test", "engine_pool_test",
           "engine_cache_index_test", "engine_cache_volume_test", "engine_volume_test", "target_block_test", "target_nvmf_io_queue_test", "target_nvmf_connection_test",
           "target_nvmf_controller_test"], 8),
    Suite("threads", "what several threads share, under TSan",
          "tsan", ["unit"], ["engine_media_test", "engine_cache_index_test", "engine_cache_volume_test", "engine_volume_test", "target_block_test", "target_reactor_test",
                             "target_net_test"], 6),
    Suite("fuzz", "every parser under libFuzzer, from the committed corpus",
          "fuzz", ["fuzz"], ["all"], 6, packages=["fuzz"]),
]

# What tests read to take their long form.
LONG_ENVIRONMENT = {"FOREBAY_LONG": "1", "FOREBAY_FUZZ_SECONDS": "600"}

DAEMON = ["suite_smoke", "forebayd", "forebayctl", "forebay-load"]
SMOKE = Suite("smoke", "one loopback run of the whole daemon under ASan", "asan", ["smoke"], DAEMON, 3)
WHOLE_DAEMON = [
    Suite("sanitized_daemon", "the whole daemon under ASan and UBSan", "asan", ["unit", "end_to_end", "smoke"],
          ["all"], 60),
    Suite("threaded_daemon", "the whole daemon under TSan", "tsan", ["unit", "end_to_end"], ["all"], 90),
]


@dataclass
class Outcome:
    suite: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    budget_minutes: float = 0.0
    note: str = ""


def run(command: list[str], environment: dict[str, str] | None = None) -> int:
    print("+ " + " ".join(command), flush=True)
    return subprocess.call(command, cwd=ROOT, env={**os.environ, **(environment or {})})


def build(suite: Suite) -> bool:
    """Configures once per preset and builds the suite's targets."""
    if suite.packages and run([str(ROOT / "appliance/install-packages"), *suite.packages]) != 0:
        return False
    if run(["cmake", "--preset", suite.preset, "-Wno-dev"]) != 0:
        return False
    jobs = str(min(3, (os.cpu_count() or 2) + 1))
    return run(["cmake", "--build", "--preset", suite.preset, "-j", jobs, "--target", *suite.targets]) == 0


def count(report: Path, outcome: Outcome) -> None:
    """Adds up ctest's JUnit report; a report that is not there counts as one failure."""
    if not report.exists():
        outcome.failed += 1
        outcome.note = "ctest wrote no report"
        return
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        status = case.get("status")
        if status == "run":
            outcome.passed += 1
        elif status in ("notrun", "disabled"):
            outcome.skipped += 1
        else:
            outcome.failed += 1
    if outcome.passed + outcome.failed == 0:
        outcome.failed += 1
        outcome.note = "no test ran"


def execute(suite: Suite, long: bool) -> Outcome:
    outcome = Outcome(suite.name, budget_minutes=suite.budget_minutes)
    print(f"\n=== {suite.name}: {suite.about}", flush=True)
    if not build(suite):
        outcome.failed, outcome.note = 1, "did not build"
        return outcome
    started = time.monotonic()
    folder = ROOT / "build" / suite.preset
    report = folder / f"report-{suite.name}.xml"
    report.unlink(missing_ok=True)
    labels = suite.labels + (suite.long_labels if long else [])
    environment = {**suite.environment, **(LONG_ENVIRONMENT if long else {})}
    run(["ctest", "--test-dir", str(folder), "--output-on-failure", "--no-tests=error",
         "-L", "^(" + "|".join(labels) + ")$", "-j", str(suite.jobs), "--output-junit", str(report)],
        environment)
    count(report, outcome)
    outcome.seconds = time.monotonic() - started
    if not long and outcome.seconds > suite.budget_minutes * 60 * 1.5:
        outcome.failed += 1
        outcome.note = "over its time budget by more than half"
    return outcome


def acceptance() -> Outcome:
    """Holds docs/acceptance.md against the tests that exist, once everything is built."""
    print("\n=== acceptance: every requirement has its tests, and the page says so", flush=True)
    outcome = Outcome("acceptance", budget_minutes=1)
    if run([sys.executable, str(ROOT / "tests/acceptance/generate.py"), str(ROOT)]) == 0:
        outcome.passed = 1
    else:
        outcome.failed = 1
    return outcome


def summary(outcomes: list[Outcome], seconds: float) -> int:
    print("\nSUITE          PASSED  FAILED  SKIPPED      TIME  BUDGET")
    for o in outcomes:
        print(f"{o.suite:14} {o.passed:6}  {o.failed:6}  {o.skipped:7}  {o.seconds:6.0f} s  {o.budget_minutes * 60:4.0f} s"
              f"{'  ' + o.note if o.note else ''}")
    print(f"all of it, builds included: {seconds / 60:.1f} min")
    passed, failed, skipped = (sum(getattr(o, k) for o in outcomes) for k in ("passed", "failed", "skipped"))
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 0 if failed == 0 and skipped == 0 and passed > 0 else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/run", description="Build and run Forebay's tests.")
    parser.add_argument("--quick", action="store_true", help="the suites of a few minutes, for every change")
    parser.add_argument("--long", action="store_true", help="the long forms: fuzzing, every kernel, whole daemon sanitized")
    parser.add_argument("--only", action="append", metavar="SUITE", help="this suite only; may be repeated")
    parser.add_argument("--list", action="store_true", help="name the suites and end")
    options = parser.parse_args()

    by_name = {suite.name: suite for suite in SUITES}
    if options.list:
        for suite in SUITES:
            print(f"{suite.name:14} {suite.about}{'  (--quick)' if suite.quick else ''}")
        return 0
    unknown = [name for name in options.only or [] if name not in by_name]
    if unknown:
        parser.error(f"no suite \"{unknown[0]}\"; known: {', '.join(by_name)}")

    started = time.monotonic()
    chosen = [s for s in SUITES if (s.name in options.only if options.only else s.quick or not options.quick)]
    if options.quick and not options.only:
        chosen.append(SMOKE)
    if options.long and not options.only:
        chosen += WHOLE_DAEMON
    outcomes = [execute(suite, options.long) for suite in chosen]
    if not options.only and not options.quick:
        outcomes.append(acceptance())
    return summary(outcomes, time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main())
