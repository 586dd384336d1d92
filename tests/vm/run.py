#!/usr/bin/env python3
"""Stock Linux kernels as hosts of a Forebay target. One scenario is one guest, one target and one capture in a
network of their own; see README.md."""

import argparse
import concurrent.futures
import os
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from lab import images, namespace, uml_kernel  # noqa: E402
from lab.lab import Lab  # noqa: E402
from lab.programs import Programs  # noqa: E402
from scenarios import catalogue  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    options = arguments()
    if options.list:
        print("\n".join(f"{case.suite} {case.name}{' long' if case.long else ''}"
                        for case in catalogue.cases(options.long)))
        return 0
    if options.prepare:
        return prepare(options)
    chosen = [case for case in catalogue.cases(options.long or bool(options.scenario))
              if (not options.suite or case.suite in options.suite)
              and (not options.scenario or case.name in options.scenario)]
    if not chosen:
        print("no such scenario; --list names them", file=sys.stderr)
        return 2
    if len(chosen) == 1:
        return run_one(chosen[0], options)
    return run_many(chosen, options)


def prepare(options: argparse.Namespace) -> int:
    """Fetches and builds what all scenarios start from."""
    suites = options.suite or sorted({case.suite for case in catalogue.cases(options.long)})
    with concurrent.futures.ThreadPoolExecutor() as pool:
        built = list(pool.map(lambda suite: images.prepare(suite, options.cache, options.refresh), suites))
    for image in built:
        print(f"{image.suite}: {image.package} {image.package_version}")
    return 0


def run_one(case: catalogue.Case, options: argparse.Namespace) -> int:
    """Exit code 0 only if everything the scenario states held."""
    # Outside the namespace, which has no way to a mirror.
    image = images.prepare(case.suite, options.cache)
    uml = uml_kernel.prepare(options.cache) if case.uses_uml else None
    namespace.enter()
    started = time.monotonic()
    options.work.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{case.suite}.{case.name}.", dir=options.work))
    lab = None
    failure = None
    note = ""
    try:
        lab = Lab(image, Programs(options.build.absolute()), folder, uml)
        case.run(lab)
        note = lab.finish()
    except Exception as error:  # noqa: BLE001: whatever it is, it fails this scenario and is printed
        failure = error
    seconds = time.monotonic() - started
    name = f"{case.suite} {image.release} {case.name}"
    if failure is None:
        print(f"passed {name} {seconds:.0f} s, {note}", flush=True)
    else:
        print(f"FAILED {name} {seconds:.0f} s: {type(failure).__name__}: {failure}", flush=True)
        traceback.print_exception(failure, limit=8, file=sys.stdout)
        if lab:
            print(lab.describe())
        print(f"kept: {folder}\nagain: tests/vm/run.py --suite {case.suite} --scenario {case.name}", flush=True)
    if lab:
        lab.close(keep=failure is not None)
    return 0 if failure is None else 1


def run_many(chosen: list[catalogue.Case], options: argparse.Namespace) -> int:
    """Each scenario in a process of its own, `jobs` at a time."""
    options.suite = sorted({case.suite for case in chosen})
    prepare(options)
    started = time.monotonic()

    def one(case: catalogue.Case) -> bool:
        done = subprocess.run([sys.executable, __file__, "--suite", case.suite, "--scenario", case.name,
                               "--build", str(options.build)], capture_output=True, text=True, check=False)
        print(done.stdout, done.stderr, sep="", end="", flush=True)
        return done.returncode == 0

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(one, chosen))
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed, 0 skipped, "
          f"{time.monotonic() - started:.0f} s")
    return 0 if all(results) else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", action="append", choices=list(images.SUITES), help="guests of this Debian suite only")
    parser.add_argument("--scenario", action="append", help="this scenario only; may be repeated")
    parser.add_argument("--long", action="store_true", help="every scenario on every kernel, and the long ones")
    parser.add_argument("--list", action="store_true", help="name what would run and end")
    parser.add_argument("--prepare", action="store_true", help="only fetch and build the guests")
    parser.add_argument("--refresh", action="store_true", help="with --prepare: build anew from the current packages")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release", help="where the daemon was built")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="guests at once")
    options = parser.parse_args()
    build = options.build.absolute()
    options.cache = Path(os.environ.get("FOREBAY_VM_CACHE") or build / "vm-cache").absolute()
    options.work = build / "vm-work"
    return options


if __name__ == "__main__":
    sys.exit(main())
