"""The man page and the completions of bash and zsh know every command and option that forebayctl has, and bash's work."""
import re
import subprocess
import sys
from pathlib import Path


def help_of(forebayctl: str, *command: str) -> tuple[set[str], set[str]]:
    """Subcommands and options, as --help lists them."""
    text = subprocess.run([forebayctl, *command, "--help"], capture_output=True, text=True, check=True).stdout
    section, commands, options = "", set(), set()
    for line in text.splitlines():
        if line and not line.startswith(" "):
            section = line.rstrip(":")
        elif section == "Subcommands":
            commands.update(re.findall(r"^  ([a-z-]+) ", line))
        elif section == "Options" and re.match(r"  -", line):
            options.update(re.match(r"  ([-a-z,]+)", line).group(1).split(","))
    return commands, options


def all_commands(forebayctl: str) -> dict[tuple[str, ...], set[str]]:
    found: dict[tuple[str, ...], set[str]] = {}
    first, found[()] = help_of(forebayctl)
    assert {"status", "volume", "events", "doctor"} <= first, first
    for name in first:
        second, found[name,] = help_of(forebayctl, name)
        for inner in second:
            found[name, inner] = help_of(forebayctl, name, inner)[1]
    return found


def completions(script: Path, *words: str) -> set[str]:
    """What bash offers for the last of `words`; the daemon does not answer."""
    quoted = " ".join(f"'{word}'" for word in ("forebayctl", *words))
    shell = f'. "{script}"; COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _forebayctl; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "--norc", "-uc", shell], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return set(done.stdout.split())


def main() -> int:
    root, forebayctl = Path(sys.argv[1]), sys.argv[2]
    folder = root / "appliance/cli"
    page = (folder / "forebayctl.1").read_text().replace("\\-", "-").replace("\\fR", "").replace("\\fB", "")
    bash, zsh = folder / "forebayctl.bash", folder / "_forebayctl"
    commands = all_commands(forebayctl)
    missing = []
    for command, options in commands.items():
        if command:
            said = " ".join(command)
            missing += [] if re.search(rf'^\.(B|BI|BR) "?{re.escape(said)}\b', page, re.M) else [f"man page: {said}"]
            missing += [] if command[-1] in completions(bash, *command[:-1], "") or len(command) == 1 and \
                command[0] in completions(bash, "") else [f"bash: {said}"]
            missing += [] if re.search(rf"[ '(]{re.escape(command[-1])}[ :)]", zsh.read_text()) else [f"zsh: {said}"]
        offered = completions(bash, *command, "-")
        for option in options - {"-h"} - ({"--help"} if command in {("pool",), ("token",), ("volume",)} else set()):
            missing += [] if option in page else [f"man page: {option} of {command}"]
            missing += [] if option in offered or option in completions(bash, *command, "--") or \
                not command else [f"bash: {option} of {command}"]
            missing += [] if option in zsh.read_text() else [f"zsh: {option} of {command}"]
    assert not missing, "\n".join(missing)
    assert completions(bash, "status", "-o", "") == {"table", "json", "yaml"}
    assert completions(bash, "mode", "db01", "write-") == {"write-back", "write-through", "write-around"}
    assert completions(bash, "sta") == {"status"}
    # Each request of a page's own: what is not a command is found.
    assert not re.search(r"^\.(B|BI|BR) \"?conjure\b", page, re.M) and "conjure" not in completions(bash, "")
    print(f"{len(commands) - 1} commands in man page and completions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
