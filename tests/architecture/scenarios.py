"""The table of scenarios in docs/testing.md is true: every row is there, every test and every guard that it names exists, and
every guard of the engine has a mutant. Each rule is also shown a planted violation: the test tests itself."""
import re
import sys
from pathlib import Path

ROWS = [f"F{n}" for n in range(1, 8)] + [f"S{n}" for n in range(1, 14)] + [f"D{n}" for n in range(1, 15)]
TEST = re.compile(r"\bTEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)")
GUARD = re.compile(r'\bGUARD\("([^"]+)"\)')
NAME = re.compile(r"`([^`]+)`")
MUTANT_TESTS = "tests/crash/*mutants_test.cpp"


def table(text: str) -> dict[str, list[str]]:
    """What each row names."""
    rows = {}
    for line in text.split("\n"):
        if match := re.match(r"\| ([FSD]\d+) [^|]*\|(.*)\|$", line):
            rows[match.group(1)] = NAME.findall(match.group(2))
    return rows


def problems(page: str, tests: set[str], guards: set[str], mutants: str) -> list[str]:
    rows = table(page)
    found = [f"docs/testing.md: no row of {row}" for row in ROWS if row not in rows]
    for row, names in rows.items():
        if not names:
            found.append(f"docs/testing.md: {row} names no test")
        for name in names:
            if re.fullmatch(r"\w+\.\w+", name):
                if name not in tests:
                    found.append(f"docs/testing.md: {row} names the test {name}, which is not there")
            elif name not in guards:
                found.append(f"docs/testing.md: {row} names the guard \"{name}\", which is not in the engine")
    found += [f"engine: no mutant is without the guard \"{guard}\" ({MUTANT_TESTS})" for guard in sorted(guards)
              if f'"{guard}"' not in mutants]
    return found


def self_test() -> None:
    page = "\n".join(f"| {row} x | `A.B`, `a guard` |" for row in ROWS)
    mutants = '{"a guard"}'
    assert problems(page, {"A.B"}, {"a guard"}, mutants) == []
    for planted in (problems(page.replace("| F3 x", "| F33 x"), {"A.B"}, {"a guard"}, mutants),
                    problems(page.replace("`A.B`, `a guard`", "tests", 1), {"A.B"}, {"a guard"}, mutants),
                    problems(page, {"A.C"}, {"a guard"}, mutants),
                    problems(page, {"A.B"}, {"another"}, mutants + '"another"'),
                    problems(page, {"A.B"}, {"a guard", "another"}, mutants)):
        assert planted, "a planted violation is not found"


def main() -> int:
    root = Path(sys.argv[1])
    self_test()
    tests = {f"{suite}.{name}" for file in root.glob("tests/**/*_test.cpp") for suite, name in TEST.findall(file.read_text())}
    guards = {name for file in root.glob("engine/**/*.cpp") for name in GUARD.findall(file.read_text())}
    mutants = "".join(file.read_text() for file in root.glob(MUTANT_TESTS))
    found = problems((root / "docs/testing.md").read_text(), tests, guards, mutants)
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
