"""tests/run names its suites, refuses an unknown one with the known ones, and its summary counts and judges."""
import importlib.util
import subprocess
import sys
from pathlib import Path


def main() -> int:
    root = Path(sys.argv[1])
    script = root / "tests/suites.py"
    listed = subprocess.run([sys.executable, script, "--list"], capture_output=True, text=True)
    assert listed.returncode == 0, listed.stderr
    names = [line.split()[0] for line in listed.stdout.splitlines()]
    for name in ("unit", "architecture", "protocol", "config", "end_to_end", "fuzz", "vm", "sanitize", "threads"):
        assert name in names, f"{name} is not among {names}"

    refused = subprocess.run([sys.executable, script, "--only", "nonsense"], capture_output=True, text=True)
    assert refused.returncode == 2 and "known: " in refused.stderr, refused.stderr

    spec = importlib.util.spec_from_file_location("suites", script)
    suites = importlib.util.module_from_spec(spec)
    sys.modules["suites"] = suites
    spec.loader.exec_module(suites)
    good = suites.Outcome("a", passed=3)
    assert suites.summary([good], 1.0) == 0
    assert suites.summary([good, suites.Outcome("b", passed=1, failed=1)], 1.0) == 1, "a failure must fail the run"
    assert suites.summary([good, suites.Outcome("b", passed=1, skipped=1)], 1.0) == 1, "a skip must fail the run"
    assert suites.summary([], 1.0) == 1, "a run of nothing must fail"
    missing = suites.Outcome("c")
    suites.count(root / "no-such-report.xml", missing)
    assert missing.failed == 1, "a report that is not there must fail"
    print(f"{len(names)} suites")
    return 0


if __name__ == "__main__":
    sys.exit(main())
