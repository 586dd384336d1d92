"""Builds and runs the test suites, prints ctest's own summaries and one closing count.

A suite is a ctest label in a build made by one CMake preset. --list and --help change nothing on the machine. Whatever
cannot run is a failure: a build that
breaks, a suite without a test and a suite far over its time budget all count as one failed test each.
"""
import argparse
import os
import re
import signal
import statistics
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
    long_only: bool = False        # part of --long alone, or when named
    named_only: bool = False       # what it runs is part of others
    long_labels: list[str] = field(default_factory=list)  # run by --long beside the others
    environment: dict[str, str] = field(default_factory=dict)
    jobs: int = 2                  # 3 where tests wait, for disks and for clocks
    shows: str = ""                # a file of the build folder that a test writes, printed after the suite
    names: str = ""                # a pattern, of ctest's kind, of its tests, where that is not all that has the labels
    figures: str = ""              # lines of passing tests, which ctest keeps to itself, printed after the suite


# The cap for everything from nothing, on two cores, and what of it packages and compiling take. What is left is the
# budgets'; each is about three times what the suite takes on a quiet machine.
CAP_MINUTES = 50
BUILD_MINUTES = 15

DAEMON = ["forebayd", "forebayctl", "forebay-load"]
# Programs of tests; in a build with a sanitizer each is a label, too.
THREADED = ["suite_threads", "engine_media_test", "engine_volume_threads_test", "target_block_test",
            "target_reactor_test", "target_net_test", "target_nvmf_controller_test", "target_nvmf_io_queue_test",
            "target_scsi_test"]
POOLS = (r"^(engine\.(Backings/BackingDeviceContract|PoisonContract|Space(Asked|Budget)|Disk|FindOutlier|Member|Refusal|Pool|Thin|VolumeTable|"
         r"Adopt|CacheBinding|Destroy|DevicePool|InitDevicePool|AddMember|Device(Number|Table)|Extent(Allocator|Backing|Map)|OrderedStripe|"
         r"MarkerFile|FileMarker|FileJournal|Journal|LossyBacking|LostRanges|InspectMembers|HalfAPool|MissingMember|Retained|Granularities/ThinVolume)"
         r"|end_to_end\.(AddMember|PoolInit|Grow|Retained|Adopted|ThinPool|DiskTrouble|HangingDisk|Late)|vm\.(prepare|[a-z]+\.(disk|failing|raid|logical)))")
# What NVMe-oF is to clusters and security teams.
NVME = (r"^(protocol\.(AdminCommand|AnaLog|AsyncEvent|CommandEffectsLog|ConnectDataTest|Copy|DatasetManagement|DiscoveryLog|Entries|ErrorLog|FabricsCommand|Features"
        r"|Identify|IoCommand|KernelEntries|LbaStatusOfNvme|LogPages|Nqn|PersistentEventLog|Properties|Reservation|Sgl|SmartLog|Status|DataDigest|Linux/|Negotiate|OffendingHeader"
        r"|Pdu|DhKey|Dhchap|ClientHello|KeyText|Psk|RecordCipher|ServerHandshake)"
        r"|unit\.(Cases/|Classes/|Connection|HungVolume|InPlace|NothingLeft|ShortMemory|AsyncEvents|Authentication|Controller|Directory|Discovery|FeatureValues|FormatNvm|HeldIo|Identify|KeepAlive"
        r"|LbaStatus|LogPages|NamespaceTable|Options|PersistentLog|Properties|Reservation|SharedController|CopyCommands|FusedCommands|IoQueue|LimitedQueue|NvmeCommandOutcome|NvmeReservations"
        r"|OverloadLadder|StalledRequest|GeneratedKeyStore|KernelKeys|KeyRing|KeyStore|Records|Suites/KernelStream)"
        r"|end_to_end\.(Ana|Discovery|EventLog|Flood|Garbage|IllegalState|MalformedPdu|NamespaceChurn|Overload|Queues|Reservations|StaleWrite|Timeouts|Transfer)|iscsi\.(Format|IscsiAndNvme|TornWrites)"
        r"|security\.|vm\.(prepare|[a-z]+\.(cache_full|cached_large_io|commands_by_hand|comparing|dhchap|digests|discover|features|identify|large_io|late_volume|logs|path_|persistent_events|queues"
        r"|resets|target_|two_hosts|volume_grown|without_data|zeroing|tls|kernel_tls|concatenation)))")
# What changes the daemon while it serves, and what an operator asks of it: `names` of the pattern of POOLS.
OPERATIONS = (r"^(config\.Diff|unit\.(Plan|ControlServerTest|EventLog|StateTimes|HttpPortTest|HttpExchange|Request|RouteTable|Streams|Status|OpenApi|Troubles"
              r"|Colours|Table|Top|Yaml|CliScreens|ConnectLine|Doctor|Explain|HostView|Progress|StatusScreen)"
              r"|end_to_end\.(Reload|Control|Service|CacheMode|CacheDevice|AddMember|Grow|cli_documents|install)|vm\.(prepare|trixie\.(plans_come_true|installed_service)))")
SUITES = [
    Suite("architecture", "includes follow the layout's arrows; documents and scripts keep their rules",
          "release", ["architecture"], ["suite_architecture"], 1, packages=["format"], quick=True),
    Suite("crash", "the cache engine crashed at every persist point, reopened and held against its model",
          "release", ["crash"], ["suite_crash"], 1, quick=True, figures=r"[\w ,]+: \d+$|crash states: "),
    Suite("mutants", "engines and targets with one guard removed: each must be caught",
          "release", ["mutants"], ["suite_mutants"], 1.5, figures="mutant: "),
    Suite("end_to_end", "the real daemon on loopback, driven by the project's own client",
          "release", ["end_to_end", "smoke"], ["suite_end_to_end", "suite_smoke", "forebay-ceiling", *DAEMON], 5.5,
          shows="bench.txt", figures=r"\d+ kills, "),
    Suite("vm", "stock Linux kernels as hosts, and below the target, in QEMU",
          "release", ["vm"], ["forebayd", "forebayctl", "forebay-media", "forebay-load"], 7, packages=["vm"], long_labels=["vm-long"], figures="passed "),
    Suite("iscsi", "libiscsi's conformance suite, its tools and QEMU's initiator against the real daemon; bad input by our own",
          "release", ["iscsi"], ["suite_iscsi", *DAEMON, "forebay-media"], 2.3, packages=["iscsi"], long_labels=["iscsi-long"],
          figures="conformance "),
    Suite("security", "who may connect and proves it, inside TLS: the real daemon, our own client and OpenSSL's",
          "release", ["security"], ["suite_security", *DAEMON], 0.5),
    Suite("observability", "metrics against the load generator's own counts, Debian's Prometheus asking for them; alerts and dashboards as they ship; the status page in a browser",
          "release", ["observability"], ["suite_observability", *DAEMON, "forebay-media"], 1.6, packages=["observability", "browser"],
          figures="metrics: |watched: |status page: "),
    Suite("unit", "target and tools, simulated disks, streams and clocks; under ASan and UBSan, as the next three",
          "asan", ["unit"], ["suite_unit"], 1.5, packages=["sanitize"], quick=True, jobs=3),
    Suite("engine", "media, pools, cache and what joins them, over simulated media and real files",
          "asan", ["engine"], ["suite_engine"], 4.5, packages=["sanitize"], quick=True, jobs=3),
    Suite("protocol", "codecs: golden bytes, truncations, fields out of range",
          "asan", ["protocol"], ["suite_protocol"], 0.3, packages=["sanitize"], quick=True),
    Suite("config", "YAML, messages, schema",
          "asan", ["config"], ["suite_config"], 0.5, packages=["sanitize"], quick=True),
    Suite("smoke", "one loopback run of the whole daemon under ASan and UBSan",
          "asan", ["smoke"], ["suite_smoke"], 1, packages=["sanitize"], quick=True),
    Suite("fuzz", "every parser under libFuzzer, from the committed corpus",
          "asan", ["fuzz"], ["suite_fuzz"], 2.5, packages=["sanitize"], figures="fuzz ", environment={"ASAN_OPTIONS": ""}),
    Suite("threads", "what several threads share, under TSan", "tsan", ["threads", *THREADED[1:]], THREADED, 4.2, jobs=3),
    Suite("optimised", "unit, engine, protocol, config and threads as they ship, each test in a process of its own",
          "release", ["unit", "engine", "protocol", "config", "threads"],
          ["suite_unit", "suite_engine", "suite_protocol", "suite_config", "suite_threads"], 60, long_only=True),
    Suite("pools", "all that is known of pools: backings, labels, tables and extents, crashed at every step; disks that fail, in guests too",
          "release", ["engine", "end_to_end", "vm"], ["engine_media_test", "engine_pool_test", "engine_volume_test", "engine_volume_threads_test",
                                             "suite_end_to_end", "forebay-media", *DAEMON],
          20, packages=["vm"], names=POOLS, named_only=True, long_labels=["vm-long"]),
    Suite("operations", "plan, reload, control and forebayctl: every test of them, which other suites run too",
          "release", ["config", "unit", "end_to_end", "vm"], ["config_test", "target_test", "target_control_test", "appliance_cli_test", "suite_end_to_end",
                                                     "forebay-media", *DAEMON],
          15, packages=["vm"], names=OPERATIONS, named_only=True, long_labels=["vm-long"]),
    Suite("nvme", "NVMe-oF for clusters: every test of access, keys, TLS, reservations, atomicity, paths, events and overload, which other suites run too",
          "release", ["protocol", "unit", "end_to_end", "iscsi", "security", "vm"],
          ["protocol_nvme_test", "protocol_nvme_tcp_test", "protocol_auth_test", "protocol_tls_test", "target_block_test", "target_nvmf_connection_test",
           "target_nvmf_controller_test", "target_nvmf_io_queue_test", "target_tls_test", "suite_end_to_end", "end_to_end_iscsi_test", "suite_security", "forebay-media", *DAEMON],
          25, packages=["vm"], names=NVME, named_only=True, long_labels=["vm-long"], figures="passed "),
    # The whole daemon under sanitizers takes long to build and to run.
    Suite("sanitized_daemon", "the whole daemon under ASan and UBSan",
          "asan", ["end_to_end"], ["all"], 60, packages=["sanitize"], long_only=True),
    Suite("threaded_daemon", "the whole daemon under TSan", "tsan", ["unit", "engine", "threads", "end_to_end"], ["all"], 90, long_only=True),
    Suite("tidy", "clang-tidy over every source", "dev", ["tidy"], ["suite_tidy"], 60, packages=["tidy"],
          long_only=True),
]

# A default run starts no suite later than this, so that it ends and says so.
LAST_START_MINUTES = 55

# What a machine needs to start an interpreter where the budgets hold. Some virtual machines need four times that, as each
# page of memory that is touched first costs them microseconds; it is about a quarter of what a run does.
USUAL_START_SECONDS = 0.008
MOST_SLOWNESS = 1.75

# As in the test presets, which ctest --test-dir does not read.
SANITIZER_ENVIRONMENT = {"asan": {"ASAN_OPTIONS": "detect_stack_use_after_return=1"},
                         "tsan": {"TSAN_OPTIONS": "halt_on_error=1"}}

# What tests read to take another form than their usual one.
FORM_ENVIRONMENT = {"usual": {}, "quick": {"FOREBAY_CRASH_STATES": "5000"},
                    "long": {"FOREBAY_LONG": "1", "FOREBAY_FUZZ_SECONDS": "600", "FOREBAY_CRASH_STATES": "5000000"}}


@dataclass
class Outcome:
    suite: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    budget_minutes: float = 0.0
    note: str = ""
    cases: int = 0  # gtest's, where a process runs many of them
    failures: list[str] = field(default_factory=list)  # tests' names


def run(command: list[str], environment: dict[str, str] | None = None) -> int:
    print("+ " + " ".join(command), flush=True)
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **(environment or {})})
    try:
        return process.wait()
    except BaseException:
        end(process)
        raise


def end(process: subprocess.Popen) -> None:
    """Asks first: ctest then ends its tests."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def build(suite: Suite) -> bool:
    """Configures once per preset and builds the suite's targets."""
    if suite.packages and run([str(ROOT / "appliance/install-packages"), *suite.packages]) != 0:
        return False
    # A warning ends the tests' build, where the preset lets an operator's go on.
    strict = ["-DFOREBAY_WARNINGS_AS_ERRORS=ON"] if suite.preset == "release" else []
    python = f"-DPython3_EXECUTABLE={sys.executable}"  # the one that tests/run has chosen
    if run(["cmake", "--preset", suite.preset, "-Wno-dev", python, *strict]) != 0:
        return False
    jobs = str(min(3, (os.cpu_count() or 2) + 1))
    return run(["cmake", "--build", "--preset", suite.preset, "-j", jobs, "--target", *suite.targets]) == 0


def count(report: Path, outcome: Outcome, figures: str) -> None:
    """Adds up ctest's JUnit report and prints the lines that match `figures`; a report that is not there counts as one
    failure."""
    if not report.exists():
        outcome.failed += 1
        outcome.note = "ctest wrote no report"
        return
    try:
        cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    except ElementTree.ParseError as error:
        outcome.failed += 1
        outcome.note = f"ctest's report cannot be read: {error}"
        return
    for case in cases:
        status = case.get("status")
        if status == "run":
            outcome.passed += 1
            text = case.findtext("system-out", "")
            outcome.cases += sum(map(int, re.findall(r"^\[  PASSED  \] (\d+) test", text, re.M)))
            lines = text.splitlines() if figures else []
            print("".join(f"{line[:180]}\n" for line in lines if re.match(figures, line)), end="", flush=True)
            continue
        outcome.failures.append(case.get("name", "?"))
        if status in ("notrun", "disabled"):
            outcome.skipped += 1
        else:
            outcome.failed += 1
    if outcome.passed + outcome.failed == 0:
        outcome.failed += 1
        outcome.note = "no test ran"


def slowness() -> float:
    """How many times as long as the budgets say a run may take here; at least 1."""
    seconds = []
    for _ in range(20):
        begun = time.monotonic()
        subprocess.run([sys.executable, "-I", "-S", "-c", "pass"], check=True)
        seconds.append(time.monotonic() - begun)
    factor = min(max(0.75 + 0.25 * statistics.median(seconds) / USUAL_START_SECONDS, 1.0), MOST_SLOWNESS)
    if factor > 1.0:
        print(f"to start a process takes {statistics.median(seconds) * 1000:.0f} ms here: budgets are {factor:.2f} times as long",
              flush=True)
    return factor


def execute(suite: Suite, form: str, slow: float) -> Outcome:
    outcome = Outcome(suite.name, budget_minutes=suite.budget_minutes * slow)
    print(f"\n=== {suite.name}: {suite.about}", flush=True)
    if not build(suite):
        outcome.failed, outcome.note = 1, "did not build"
        return outcome
    started = time.monotonic()
    folder = ROOT / "build" / suite.preset
    report = folder / f"report-{suite.name}.xml"
    report.unlink(missing_ok=True)
    shown = folder / suite.shows if suite.shows else None
    if shown:
        shown.unlink(missing_ok=True)
    labels = suite.labels + (suite.long_labels if form == "long" else [])
    environment = {**SANITIZER_ENVIRONMENT.get(suite.preset, {}), **suite.environment, **FORM_ENVIRONMENT[form]}
    run(["ctest", "--test-dir", str(folder), "--output-on-failure", "--no-tests=error",
         *(["-R", suite.names] if suite.names else []), "--timeout", "4500" if form == "long" else "300", "-L", "^(" + "|".join(labels) + ")$", "-j", str(suite.jobs),
         "--test-output-size-passed", str(1 << 20), "--output-junit", str(report)],
        environment)
    count(report, outcome, suite.figures)
    if outcome.cases > outcome.passed:
        print(f"{suite.name}: {outcome.cases} cases in these processes", flush=True)
    if shown and shown.exists():
        print(f"\n{shown.read_text()}", flush=True)
    outcome.seconds = time.monotonic() - started
    if form != "long" and outcome.seconds > outcome.budget_minutes * 60 * 1.5:
        outcome.failed += 1
        outcome.note = "over its time budget by more than half"
    return outcome


def execute_all(chosen: list[Suite], form: str, last_start: float | None, slow: float, outcomes: list[Outcome]) -> None:
    """Adds an outcome for each suite, also when it is interrupted or `last_start` (monotonic) has passed."""
    for suite in chosen:
        if last_start is not None and time.monotonic() > last_start:
            outcomes.append(Outcome(suite.name, failed=1, budget_minutes=suite.budget_minutes,
                                    note=f"not started: {LAST_START_MINUTES * slow:.0f} minutes have passed"))
            continue
        try:
            outcomes.append(execute(suite, form, slow))
        except KeyboardInterrupt:
            outcomes += [Outcome(left.name, failed=1, budget_minutes=left.budget_minutes, note="interrupted")
                         for left in chosen[len(outcomes):]]
            raise


class Guests:
    """The guests' images are fetched and built beside the first builds. Their apt has a state of its own and waits for
    no lock; what fails here is tried again, and judged, by the test vm.prepare."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        if run([str(ROOT / "appliance/install-packages"), "vm"]) == 0:
            log = ROOT / "build" / "vm-prepare.log"
            log.parent.mkdir(exist_ok=True)
            with open(log, "wb") as file:
                self._process = subprocess.Popen([sys.executable, str(ROOT / "tests/vm/run.py"), "--prepare"], stdout=file,
                                                 stderr=file, stdin=subprocess.DEVNULL)
            print(f"guests are being prepared, see {log.relative_to(ROOT)}", flush=True)

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            end(self._process)


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
    print("\nSUITE            PASSED  FAILED  SKIPPED      TIME  BUDGET")
    for o in outcomes:
        print(f"{o.suite:16} {o.passed:6}  {o.failed:6}  {o.skipped:7}  {o.seconds:6.0f} s  {o.budget_minutes * 60:4.0f} s"
              f"{'  ' + o.note if o.note else ''}")
    for o in outcomes:
        print("".join(f"{o.suite}: {name} did not pass\n" for name in o.failures), end="")
    print(f"all of it, builds included: {seconds / 60:.1f} min")
    passed, failed, skipped = (sum(getattr(o, k) for o in outcomes) for k in ("passed", "failed", "skipped"))
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 0 if failed == 0 and skipped == 0 and passed > 0 else 1


def chosen_suites(options: argparse.Namespace) -> list[Suite]:
    if options.only:
        return [suite for suite in SUITES if suite.name in options.only]
    if options.quick:
        return [suite for suite in SUITES if suite.quick]
    return [suite for suite in SUITES if not suite.named_only and (options.long or not suite.long_only)]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/run", description="Build and run Forebay's tests.")
    parser.add_argument("--quick", action="store_true", help="the suites of a few minutes, for every change")
    parser.add_argument("--long", action="store_true", help="the long forms: fuzzing, every kernel, whole daemon sanitized")
    parser.add_argument("--only", action="append", metavar="SUITE", help="this suite only; may be repeated")
    parser.add_argument("--list", action="store_true", help="name the suites and end")
    options = parser.parse_args()
    names = [suite.name for suite in SUITES]
    unknown = [name for name in options.only or [] if name not in names]
    if unknown:
        parser.error(f"no suite \"{unknown[0]}\"; known: {', '.join(names)}")
    return options


def prepare() -> None:
    """What every suite needs: root, because tests make networks and processes of their own, and packages."""
    if os.geteuid() != 0:
        sys.exit("tests/run: needs root (network namespaces, other users' processes, guests); run it as: sudo tests/run")
    if run([str(ROOT / "appliance/install-packages"), "build", "test"]) != 0:
        sys.exit("tests/run: the packages above cannot be installed")


def main() -> int:
    options = arguments()
    if options.list:
        for suite in SUITES:
            print(f"{suite.name:16} {suite.about}{'  (--quick)' if suite.quick else ''}"
                  f"{'  (--long)' if suite.long_only else ''}{'  (only when named)' if suite.named_only else ''}")
        return 0
    prepare()
    started = time.monotonic()
    outcomes: list[Outcome] = []
    chosen = chosen_suites(options)
    guests = None
    slow = slowness()
    last_start = None if options.only or options.long else started + LAST_START_MINUTES * slow * 60
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        guests = Guests() if any("vm" in suite.labels for suite in chosen) else None
        execute_all(chosen, "long" if options.long else "quick" if options.quick else "usual", last_start, slow, outcomes)
        if not options.only and not options.quick:
            outcomes.append(acceptance())
    except KeyboardInterrupt:
        summary(outcomes, time.monotonic() - started)
        return 130
    finally:
        if guests is not None:
            guests.end()
    return summary(outcomes, time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main())
