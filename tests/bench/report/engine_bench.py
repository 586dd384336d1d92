"""tests/bench/run --only engine: the cache engine's figures and its table."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import engine_cases
import engine_figures
import engine_table
import memory_folder
import tools

TARGETS = ["forebay-cache-bench", "forebay-hit-ratio-bench"]
OPTIONAL_TARGET = "forebay-index-bench"  # where Google Benchmark is installed


def build(root, folder):
    subprocess.run(["cmake", "--preset", "release"], cwd=root, check=True, stdout=subprocess.DEVNULL)
    known = subprocess.run(["cmake", "--build", str(folder), "--target", "help"], cwd=root, check=True, text=True,
                           stdout=subprocess.PIPE).stdout
    targets = TARGETS + ([OPTIONAL_TARGET] if OPTIONAL_TARGET in known else [])
    subprocess.run(["cmake", "--build", str(folder), "--target", *targets], cwd=root, check=True, stdout=subprocess.DEVNULL)


def measure(programs, say):
    """Everything, one after the other, until the time is up."""
    figures = engine_figures.Figures()
    end = time.monotonic() + engine_cases.SECONDS_IN_ALL
    say("instructions")
    programs.count_instructions(engine_cases.COUNT_SECONDS, figures)
    for part in engine_cases.PARTS:
        say(part.name)
        programs.measure(part, min(part.seconds, end - time.monotonic()), figures)
    return figures


def run(root, folder, arguments, say):
    """True: nothing is wrong that --check asks for."""
    if not arguments.no_build:
        build(root, folder)
    load_before = os.getloadavg()[0]
    sizes = engine_cases.SIZES["smoke" if arguments.smoke else "usual"]
    with memory_folder.folder(arguments.memory) as (memory, kind_of_memory), \
            tempfile.TemporaryDirectory(prefix="forebay-bench-", dir=arguments.disk) as disk:
        programs = engine_figures.Programs(
            folder, {**sizes, "memory": memory, "disk": disk, "repeats": arguments.repeats})
        figures = measure(programs, say)
    say("")
    rows = engine_table.rows_of(figures)
    machine = tools.machine(load_before)
    shown = engine_table.as_text(rows, figures, machine, arguments.repeats, kind_of_memory)
    if arguments.json:
        text = json.dumps(engine_table.as_data(rows, figures, machine), indent=1)
        if arguments.json == "-":
            print(text)
        else:
            pathlib.Path(arguments.json).write_text(text + "\n")
    if arguments.json != "-":
        print(shown)
    if arguments.text:
        pathlib.Path(arguments.text).write_text(shown + "\n")
    sys.stdout.flush()
    return not any(row.is_wrong for row in rows)
