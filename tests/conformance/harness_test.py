#!/usr/bin/env python3
"""The conformance run notices what it is there to notice: failures, crashes, tests that did not run, skips without a reason,
reasons without a skip, families that are not there, a page that is out of date."""

import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import cunit  # noqa: E402
import verdict  # noqa: E402

OUTPUT = """

     CUnit - A unit testing framework for C - Version 2.1-3
     http://cunit.sourceforge.net/


Suite: Read10
  Test: Simple ...{text}

Run Summary:    Type  Total    Ran Passed Failed Inactive
              suites      1      1    n/a      0        0
               tests      {tests}
             asserts    512    512    512      0      n/a

Elapsed time =    0.119 seconds
Tests completed with return value: 0
"""
PASSED = OUTPUT.format(text="passed", tests="1      1      1      0        0")
FAILED = OUTPUT.format(text="""    [FAILED] READ10 failed
FAILED
    1. test_read10_simple.c:38  - CU_ASSERT_EQUAL(_r,0)""", tests="1      1      0      1        0")
SKIPPED = OUTPUT.format(text="""    [SKIPPED] READ10 is not implemented.
    [SKIPPED] READ10 is not implemented.
passed""", tests="1      1      1      0        0")
NAME = "ALL.Read10.Simple"


class CunitTest(unittest.TestCase):
    def test_passed_and_skipped(self):
        self.assertEqual(cunit.result(NAME, PASSED, 0), cunit.Result(NAME, True))
        self.assertEqual(cunit.result(NAME, SKIPPED, 0).skips, ["READ10 is not implemented."])

    def test_failed(self):
        result = cunit.result(NAME, FAILED, 1)
        self.assertFalse(result.passed)
        self.assertIn("1. test_read10_simple.c:38  - CU_ASSERT_EQUAL(_r,0)", result.complaints)
        self.assertIn("[FAILED] READ10 failed", result.complaints)

    def test_what_is_not_clear_has_failed(self):
        for output, code in ((PASSED, -11), (PASSED, 10), ("", 0), (PASSED[:PASSED.index("Run Summary")], 0),
                             (PASSED.replace("Test: Simple", "Test: Other"), 0), (PASSED.replace("1      1      1      0", "1      0      0      0"), 0),
                             (PASSED.replace("1      1      1      0", "2      2      2      0"), 0),
                             (PASSED.replace("  Test: Simple ...passed\n", ""), 0), ("iscsi-test-cu: cannot log in", 1)):
            self.assertFalse(cunit.result(NAME, output, code).passed, (output, code))

    def test_thousands_of_complaints_are_cut(self):
        many = FAILED.replace("    1. test", "    1. test\n" * 5000 + "    1. test")
        self.assertLess(len(cunit.result(NAME, many, 1).complaints), 10)

    def test_several_in_one_process(self):
        output = PASSED.replace("  Test: Simple ...passed\n", "  Test: One ...noise\n    [FAILED] one\nFAILED\n    1. one.c:1  - X\n  Test: Two ...passed\n")
        output = output.replace("1      1      1      0        0", "2      2      1      1        0")
        names = ["ALL.F.One", "ALL.F.Two"]
        self.assertEqual([one.passed for one in cunit.results(names, output, 1)], [False, True])
        self.assertEqual([one.passed for one in cunit.results(names[:1], output, 1)], [False])
        miscounted = output.replace("2      2      1      1        0", "2      2      2      0        0")
        self.assertEqual([one.passed for one in cunit.results(names, miscounted, 1)], [False, False])

    def test_list(self):
        self.assertEqual(cunit.listed("ALL\nALL.A\nALL.A.B\nALL.A.C-D\nSCSI.A.B\n"), ["ALL.A.B", "ALL.A.C-D"])


class VerdictTest(unittest.TestCase):
    def setUp(self):
        self.expected = verdict.Expected(["Read10"], [verdict.Skip("Media.*", "*no medium*", "there is none")],
                                         [verdict.SuiteError("Other.Wrong", "SPC-4 1.2", "it is wrong")])
        self.results = [cunit.Result("ALL.Read10.Simple", True), cunit.Result("ALL.Media.One", True, ["There is no medium."]),
                        cunit.Result("ALL.Other.Wrong", False, [], ["1 failed"])]

    def problems(self, *changed: cunit.Result) -> list[str]:
        kept = [result for result in self.results if result.test not in {other.test for other in changed}]
        return verdict.problems([*kept, *changed], self.expected)

    def test_as_expected(self):
        self.assertEqual(self.problems(), [])

    def test_each_deviation_is_one_problem(self):
        for changed, words in (
                (cunit.Result("ALL.New.One", False, [], ["broken"]), "New.One failed: broken"),
                (cunit.Result("ALL.New.One", True, ["no medium"]), "no reason is listed"),
                (cunit.Result("ALL.Media.One", True, ["too late"]), "no reason is listed"),
                (cunit.Result("ALL.Media.One", True), "nothing skips so"),
                (cunit.Result("ALL.Other.Wrong", True), "listed as an error of the suite"),
                (cunit.Result("ALL.Read10.More", True, ["READ10 is not implemented."]), "must run, and says"),
                (cunit.Result("ALL.Read10.Simple", True, ["READ10 is not implemented."]), "must run, and says")):
            self.assertIn(words, "\n".join(self.problems(changed)), changed)

    def test_a_listed_reason_excuses_no_family_that_must_run(self):
        self.expected.skips.append(verdict.Skip("Read10.*", "*", "we have none"))
        found = self.problems(cunit.Result("ALL.Read10.Simple", True, ["READ10 is not implemented."]))
        self.assertTrue(any("must run" in problem for problem in found), found)

    def test_what_is_said_of_one_combination_holds_in_it_alone(self):
        self.expected.skips[0] = verdict.Skip("Media.*", "*no medium*", "there is none", only="512")
        self.assertEqual(verdict.problems(self.results, self.expected.of("512 bytes")), [])
        found = verdict.problems(self.results, self.expected.of("4096 bytes"))
        self.assertTrue(any("no reason is listed" in problem for problem in found), found)

    def test_a_family_that_must_run_is_missed(self):
        del self.results[0]
        self.assertTrue(any("there is no test" in problem for problem in self.problems()))

    def test_the_page_tells_every_result(self):
        page = verdict.page({"512": self.results, "4096": self.results[:1] + [cunit.Result("ALL.Media.One", False), self.results[2]]},
                            self.expected)
        for words in ("| 512 | 3 | 2 | 1 | 1 |", "| 4096 | 3 | 1 | 0 | 2 |", "| **Read10** | 1 | 1 passed | 1 passed |",
                      "| Media | 1 | 1 skipped | 1 failed |", "| Media.* | *no medium* | there is none |", "| Other.Wrong | SPC-4 1.2 |"):
            self.assertIn(words, page)

    def test_the_committed_expectations_can_be_read(self):
        expected = verdict.Expected.read(HERE / "expected.toml")
        for family in ("Read16", "CompareAndWrite", "ProutReserve", "Reserve6", "iSCSIResiduals", "iSCSITMF", "ExtendedCopy", "OrWrite"):
            self.assertIn(family, expected.families)
        self.assertTrue(all(skip.why for skip in expected.skips) and all(error.section for error in expected.errors))


class PageTest(unittest.TestCase):
    def test_a_page_out_of_date_is_a_problem(self):
        import run  # pylint: disable=import-outside-toplevel

        with tempfile.TemporaryDirectory(dir=run.ROOT / "build" if (run.ROOT / "build").is_dir() else None) as folder:
            run.ROOT, run.PAGE = Path(folder), Path(folder) / "page.md"
            self.assertIn("out of date", run.compare_page("new\n", False)[0])
            self.assertEqual(run.compare_page("new\n", True), [])
            self.assertEqual(run.compare_page("new\n", False), [])
            self.assertIn("+newer", run.compare_page("newer\n", False))


if __name__ == "__main__":
    unittest.main()
