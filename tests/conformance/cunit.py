"""What `iscsi-test-cu` prints for one test, taken apart exactly: what it does not say clearly is a failure."""

import re
from dataclasses import dataclass, field

SUMMARY = re.compile(r"^ +tests +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)$", re.M)
# Right after the test's name, or on a line of its own after what the test has printed.
VERDICT = re.compile(r"(?:\A|^)(passed|FAILED)", re.M)
SKIPPED = re.compile(r"\[SKIPPED\] *(.*?)\s*$", re.M)
MOST_COMPLAINTS = 5  # of one test: some print thousands
# CUnit's list of assertions that did not hold, and what the test itself has to say.
COMPLAINT = re.compile(r"^ +\d+\. .*$|\[FAILED\].*$", re.M)


@dataclass
class Result:
    test: str  # as --list names it: ALL.Read10.Simple
    passed: bool
    skips: list[str] = field(default_factory=list)  # what it says of each thing it left out
    complaints: list[str] = field(default_factory=list)

    @property
    def family(self) -> str:
        return self.test.split(".")[1]

    @property
    def name(self) -> str:
        """Family and test: Read10.Simple."""
        return self.test.partition(".")[2]


def result(test: str, output: str, code: int) -> Result:
    """Of the run of `test` alone that has ended with `code` (negative: by a signal)."""
    return results([test], output, code)[0]


def results(tests: list[str], output: str, code: int) -> list[Result]:
    """Of tests of one family that ran in one process, in this order."""
    parts = re.split(r"^  Test: (\S+) \.\.\.", output, flags=re.M)
    texts = parts[2::2]  # each up to the next test; the last has the summary, too

    def all_failed(why: str) -> list[Result]:
        return [Result(test, False, _skips(output), [why, *_complaints(output)]) for test in tests]

    if code not in (0, 1):
        return all_failed(f"ended with {code}: {output[-500:].strip()}")
    summary = SUMMARY.findall(output)
    if len(summary) != 1:
        return all_failed(f"no summary: {output[-500:].strip()}")
    total, ran, passed, failed, inactive = map(int, summary[0])
    if parts[1::2] != [test.rpartition(".")[2] for test in tests] or (total, ran, inactive) != (len(tests), len(tests), 0):
        return all_failed(f"asked for {len(tests)} tests, ran {ran} of {total}: {parts[1::2]}")
    found = []
    for test, text in zip(tests, texts):
        verdicts = VERDICT.findall(text)
        well = verdicts == ["passed"]
        # Some say FAILED of what they find when they clean up, outside of a test: no verdict.
        found.append(Result(test, well, _skips(text), [] if well else [f"verdict {verdicts}", *_complaints(text)]))
    if (sum(one.passed for one in found), len(found) - passed) != (passed, failed):
        return all_failed(f"the summary counts {passed} passed and {failed} failed")
    return found


def _skips(text: str) -> list[str]:
    return list(dict.fromkeys(SKIPPED.findall(text)))


def _complaints(text: str) -> list[str]:
    complaints = [line.strip() for line in COMPLAINT.findall(text)]
    if len(complaints) > MOST_COMPLAINTS:
        complaints[MOST_COMPLAINTS:] = [f"and {len(complaints) - MOST_COMPLAINTS} more"]
    return complaints


def listed(output: str) -> list[str]:
    """The tests of family ALL that `iscsi-test-cu --list` names."""
    return re.findall(r"^ALL\.[^.\s]+\.[^.\s]+$", output, re.M)
