"""The table of scenarios in docs/testing.md is true: every row is there once, every test and every guard that it names exists, and
every guard of the engine has a mutant. So are tests and guards that docs/recovery.md names, and no suite has two rows in
docs/testing.md. Each rule is also shown a planted violation: the test tests itself."""
import re
import sys
from pathlib import Path

ROWS = [f"F{n}" for n in range(1, 8)] + [f"S{n}" for n in range(1, 14)] + [f"D{n}" for n in range(1, 15)]
TEST = re.compile(r"\bTEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)")
GUARD = re.compile(r'\bGUARD\("([^"]+)"\)')
NAME = re.compile(r"`([^`]+)`")
FIRST_CELL = re.compile(r"^\| ([^|]+?) \|", re.M)
MUTANT_TESTS = "tests/crash/*mutants_test.cpp"


def table(text: str) -> dict[str, list[str]]:
    """What each row names."""
    rows = {}
    for line in text.split("\n"):
        if match := re.match(r"\| ([FSD]\d+) [^|]*\|(.*)\|$", line):
            rows[match.group(1)] = NAME.findall(match.group(2))
    return rows


def twice(page: str) -> list[str]:
    """What begins two rows, as a merge of two changes leaves it."""
    cells = [cell for cell in FIRST_CELL.findall(page) if not set(cell) <= set("-")]
    return sorted({cell for cell in cells if cells.count(cell) > 1})


def missing_from(page: str, tests: set[str], guards: set[str]) -> list[str]:
    """What a page names that is not there: tests by both their names; guards behind the word mutant, or in front of a row."""
    named = {name for name in NAME.findall(page) if re.fullmatch(r"[A-Z]\w+\.[A-Z]\w+", name)}
    behind = re.findall(r"mutants? ((?:`[a-z][^`]*`(?:, )?)+)", page) + re.findall(r"^\| (`[a-z][^|]*) \|", page, re.M)
    return sorted(named - tests) + sorted({name for names in behind for name in NAME.findall(names)} - guards)


def problems(page: str, recovery: str, tests: set[str], guards: set[str], mutants: str) -> list[str]:
    rows = table(page)
    found = [f"docs/testing.md: no row of {row}" for row in ROWS if row not in rows]
    found += [f"docs/testing.md: {cell} has two rows" for cell in twice(page)]
    found += [f"docs/recovery.md names {name}, which is not there" for name in missing_from(recovery, tests, guards)]
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
    recovery = "| a state | what it is | crash [a kind], mutants `a guard`, `a guard`, `A1.B1` |"
    tests = {"A.B", "A1.B1"}
    assert problems(page, recovery, tests, {"a guard"}, mutants) == []
    for planted in (problems(page.replace("| F3 x", "| F33 x"), recovery, tests, {"a guard"}, mutants),
                    problems(page.replace("`A.B`, `a guard`", "tests", 1), recovery, tests, {"a guard"}, mutants),
                    problems(page, recovery, {"A.C", "A1.B1"}, {"a guard"}, mutants),
                    problems(page, "", tests, {"another"}, mutants + '"another"'),
                    problems(page, recovery, tests, {"a guard", "another"}, mutants),
                    problems(page + "\n| vm | guests |\n| vm | guests, too |", recovery, tests, {"a guard"}, mutants),
                    problems(page, recovery.replace("A1.B1", "A1.B2"), tests, {"a guard"}, mutants),
                    problems(page, recovery + "mutant `another`", tests, {"a guard"}, mutants),
                    problems(page, recovery + "\n| `a guard`, `another` | why |", tests, {"a guard"}, mutants)):
        assert planted, "a planted violation is not found"


def main() -> int:
    root = Path(sys.argv[1])
    self_test()
    tests = {f"{suite}.{name}" for file in root.glob("tests/**/*_test.cpp") for suite, name in TEST.findall(file.read_text())}
    guards = {name for file in root.glob("engine/**/*.*") if file.suffix in (".h", ".cpp")
              for name in GUARD.findall(file.read_text())} - {"name"}  # what guard.h says of itself
    mutants = "".join(file.read_text() for file in root.glob(MUTANT_TESTS))
    testing, recovery = ((root / "docs" / name).read_text() for name in ("testing.md", "recovery.md"))
    found = problems(testing, recovery, tests, guards, mutants)
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
