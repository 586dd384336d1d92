"""Where the target's time goes in one case: symbols from perf where it works, else what /proc and strace tell."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

SECONDS = 1.5
SYMBOLS = 12


def take(tool, served, case, *arguments):
    """Lines of text; the case is run once more for it. `arguments`: more of them for forebay-load."""
    load = subprocess.Popen([*tool.case_command(case, served, SECONDS + 2), *arguments], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)  # connected and warm
        return by_perf(served.process.pid) or by_kernel(served)
    finally:
        load.terminate()
        load.wait()


def by_perf(pid):
    if shutil.which("perf") is None:
        return []
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/perf.data"
        recorded = subprocess.run(["perf", "record", "-q", "-F", "997", "-p", str(pid), "-o", data, "--", "sleep", str(SECONDS)],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        shown = subprocess.run(["perf", "report", "-q", "-i", data, "--stdio", "--no-children", "-s", "dso,symbol",
                                "--percent-limit", "0.5"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                               check=False)
    # perf fills up with columns of what was not recorded.
    lines = [re.sub(r"(\s+-)+$", "", line.rstrip())[:120] for line in shown.stdout.splitlines() if line.strip() and not line.startswith("#")]
    return lines[:SYMBOLS] if recorded.returncode == 0 else []


def times(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    tick = os.sysconf("SC_CLK_TCK")
    return int(fields[11]) / tick, int(fields[12]) / tick


def by_kernel(served):
    pid = served.process.pid
    user, kernel = times(pid)
    calls = []
    if shutil.which("strace") is not None:
        counted = subprocess.run(["timeout", "-s", "INT", str(SECONDS), "strace", "-f", "-c", "-qq", "-p", str(pid)],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        calls = [line.rstrip() for line in counted.stderr.splitlines()[:SYMBOLS]]
    else:
        time.sleep(SECONDS)
    user_after, kernel_after = times(pid)
    total = max(user_after - user + kernel_after - kernel, 1e-9)
    return [f"{100 * (user_after - user) / total:.0f} % user, {100 * (kernel_after - kernel) / total:.0f} % kernel", *calls]
