#!/usr/bin/env python3
"""libiscsi's conformance suite against a running daemon, test by test; see README.md."""

import argparse
import difflib
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/vm"))

from lab import namespace  # noqa: E402
from lab.namespace import ADDRESS, SECOND_ADDRESS  # noqa: E402
from lab.shell import run as run_tool  # noqa: E402
from lab.shell import tool  # noqa: E402

import cunit  # noqa: E402
import verdict  # noqa: E402
from serving import COMBINATIONS, ON_DISK, ON_SMALL, Combination, Forebay, Tgt  # noqa: E402

HERE = Path(__file__).resolve().parent
PAGE = ROOT / "docs/iscsi-conformance.md"
# Far above what a test takes: seconds, on a busy machine.
TEST_TIMEOUT_S = 180
SLOW_S = 15
# Paths of one volume, so that it is given both.
MULTIPATH = "MultipathIO"
# One of its tests begins with what the one before has left behind.
TOGETHER = ("iSCSITMF",)


def main() -> int:
    options = arguments()
    if options.list:
        print("\n".join(f"{c.name}{' (long)' if c.long else ''}" for c in COMBINATIONS))
        return 0
    namespace.enter()
    tests = [test for test in cunit.listed(run_tool("iscsi-test-cu", "--list"))
             if not options.test or any(word in test for word in options.test)]
    if not tests:
        print("iscsi-test-cu names no such test", file=sys.stderr)
        return 2
    expected = verdict.Expected.read(HERE / "expected.toml")
    runs: dict[str, list[cunit.Result]] = {}
    found: list[str] = []
    for combination in COMBINATIONS:
        if combination.long != options.long or (options.only and options.only not in combination.name):
            continue
        started = time.monotonic()
        results, trouble = run_all(tests, combination, options)
        runs[combination.name] = results
        found += [f"{combination.name}: {problem}" for problem in trouble]
        if not options.test:
            found += [f"{combination.name}: {problem}" for problem in verdict.problems(results, expected.of(combination.name))]
        failed = sum(not result.passed for result in results)
        skipping = sum(result.passed and bool(result.skips) for result in results)
        print(f"conformance {combination.name}: {len(results)} tests, {failed} failed, {skipping} skip something, "
              f"{time.monotonic() - started:.0f} s", flush=True)
    if options.test:
        show(runs)
    elif not options.long and not options.only and options.against == "forebay":
        found += compare_page(verdict.page(runs, expected), options.write)
    for problem in found:
        print(problem)
    return 1 if found else 0


def run_all(tests: list[str], combination: Combination, options: argparse.Namespace) -> tuple[list[cunit.Result], list[str]]:
    """Results, and what is wrong with the target rather than with one test."""
    results, problems = [], []
    # In memory: what a disk takes for thousands of durable writes says nothing here. But nothing is promised of memory when
    # power fails, so WRITE ATOMIC, and a physical block of several logical ones, are
    # only there where the cache lies on a disk.
    for place, some in (("/dev/shm", [test for test in tests if not test.startswith(ON_DISK)]),
                        (ROOT / "build", [test for test in tests if test.startswith(ON_DISK)])):
        if some:
            more, wrong = run_in(Path(place), some, combination, options)
            results += more
            problems += wrong
    order = {test: number for number, test in enumerate(tests)}
    return sorted(results, key=lambda result: order[result.test]), problems


def run_in(place: Path, tests: list[str], combination: Combination, options: argparse.Namespace) -> tuple[list[cunit.Result], list[str]]:
    """The same of tests whose target has its files there."""
    with tempfile.TemporaryDirectory(prefix="forebay-conformance-", dir=place) as folder:
        serving = None
        try:
            serving = {"forebay": Forebay, "tgt": Tgt}[options.against](combination, options.build.absolute(), Path(folder))
            results = []
            for group in groups(tests):
                lun = serving.SMALL_LUN if group[0] in ON_SMALL else serving.LUN
                begun = time.monotonic()
                results += run_group(group, combination, lun)
                serving.check()
                if (took := time.monotonic() - begun) > SLOW_S:
                    print(f"{combination.name}: {group[0]} took {took:.0f} s", flush=True)
            serving.stop()
            return results, []
        except Exception as error:  # noqa: BLE001: whatever it is, it fails this combination and is printed
            traceback.print_exception(error, limit=8, file=sys.stdout)
            if serving:
                print(serving.log()[-4000:])
            return results if serving else [], [f"{type(error).__name__}: {error}"]
        finally:
            if serving:
                serving.close()


def groups(tests: list[str]) -> list[list[str]]:
    """Those that run in one process: one test each, but for families that must be together."""
    made: list[list[str]] = []
    for test in tests:
        family = test.split(".")[1]
        if family in TOGETHER and made and made[-1][0].split(".")[1] == family:
            made[-1].append(test)
        else:
            made.append([test])
    return made


def run_group(tests: list[str], combination: Combination, lun: int) -> list[cunit.Result]:
    name = tests[0] if len(tests) == 1 else tests[0].rpartition(".")[0]
    addresses = (ADDRESS, SECOND_ADDRESS) if MULTIPATH in name else (ADDRESS,)
    argv = [tool("iscsi-test-cu"), "--dataloss", "--allow-sanitize", "--test", name,
            *(combination.url(address, lun) for address in addresses)]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=TEST_TIMEOUT_S * len(tests), check=False)
    except subprocess.TimeoutExpired as error:
        output = (error.stdout or b"").decode(errors="replace")
        return [cunit.Result(test, False, [], [f"no end: {output[-500:]}"]) for test in tests]
    return cunit.results(tests, done.stdout.decode(errors="replace"), done.returncode)


def show(runs: dict[str, list[cunit.Result]]) -> None:
    for name, results in runs.items():
        for result in results:
            print(f"{name}: {'passed' if result.passed else 'FAILED'} {result.name} {result.skips or ''}")
            print("".join(f"    {line}\n" for line in result.complaints), end="")


def compare_page(wanted: str, write: bool) -> list[str]:
    if write:
        PAGE.write_text(wanted)
        return []
    present = PAGE.read_text() if PAGE.exists() else ""
    if present == wanted:
        return []
    difference = difflib.unified_diff(present.splitlines(), wanted.splitlines(), "as committed", "as it ran", lineterm="")
    return [f"{PAGE.relative_to(ROOT)} is out of date; --write writes it", *difference]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release", help="where the daemon was built")
    parser.add_argument("--long", action="store_true", help="the other combinations of volume and session")
    parser.add_argument("--only", help="combinations whose name has this")
    parser.add_argument("--test", action="append", help="tests whose name has this, and show each; may be repeated")
    parser.add_argument("--write", action="store_true", help="write the page instead of comparing it")
    parser.add_argument("--against", choices=("forebay", "tgt"), default="forebay", help="tgt: to see that the harness works")
    parser.add_argument("--list", action="store_true", help="name the combinations and end")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
