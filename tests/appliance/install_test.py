"""What `cmake --install` puts in place, in a folder that stands for the root: files and modes, a unit that systemd takes
without a word, a user, and folders with their owners. Installed again, the operator's configuration stays as it is."""
import os
import re
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

FILES = {
    "usr/sbin/forebayd": 0o755, "usr/bin/forebayctl": 0o755, "usr/bin/forebay-media": 0o755,
    "usr/lib/systemd/system/forebay.service": 0o644, "usr/lib/sysusers.d/forebay.conf": 0o644,
    "usr/lib/tmpfiles.d/forebay.conf": 0o644, "usr/lib/udev/rules.d/60-forebay.rules": 0o644,
    "usr/share/forebay/forebay-v1.schema.json": 0o644, "usr/share/doc/forebay/example.yaml": 0o644,
    "usr/share/doc/forebay/README.md": 0o644, "usr/share/doc/forebay/docs/operations.md": 0o644,
    "etc/forebay/forebay.yaml": 0o644,
}
# Where the source has it, it is installed.
IF_THERE = {"appliance/cli/forebayctl.1": "usr/share/man/man1/forebayctl.1",
            "appliance/cli/forebayctl.bash": "usr/share/bash-completion/completions/forebayctl",
            "appliance/cli/_forebayctl": "usr/share/zsh/vendor-completions/_forebayctl"}
# Of systemd's own, what the unit is ordered after.
TARGETS = ("sysinit", "basic", "shutdown", "local-fs", "network", "multi-user")


def run(*command: str | Path, **environment: str) -> str:
    done = subprocess.run(list(map(str, command)), env=os.environ | environment, timeout=120, check=False,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def expect_mode(path: Path, mode: int) -> None:
    found = stat.S_IMODE(path.stat().st_mode)
    assert found == mode, f"{path} has mode {found:04o}, expected {mode:04o}"


def is_verified(unit: Path, root: Path) -> bool:
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", f"--root={root}", unit.name], timeout=60, check=False,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(done.stdout, end="")
    return done.returncode == 0 and not done.stdout


def check_unit(root: Path) -> None:
    unit = root / "usr/lib/systemd/system/forebay.service"
    for name in TARGETS:
        (unit.parent / f"{name}.target").write_text("[Unit]\n")
    assert is_verified(unit, root), "systemd complains of the unit"
    # It would say so.
    written = unit.read_text()
    unit.write_text(written.replace("LockPersonality=", "LockPersonalitx="))
    assert not is_verified(unit, root), "a misspelt setting is not noticed"
    unit.write_text(written.replace("/usr/bin/forebayctl", "/usr/bin/forebayctx"))
    assert not is_verified(unit, root), "a program that is not there is not noticed"
    unit.write_text(written)


def check_user(root: Path) -> None:
    # As the system has it: no word of a conflict with it.
    (root / "usr/lib/sysusers.d/basic.conf").write_text("g disk 6 -\nu root 0 - /root /bin/bash\n")
    said = run("systemd-sysusers", f"--root={root}")
    assert "onflict" not in said, said
    users, groups = ((root / "etc" / name).read_text() for name in ("passwd", "group"))
    assert "forebay:x:" in users and "/usr/sbin/nologin" in users, users
    assert "forebay:x:" in groups and "disk:x:" in groups, groups
    uid, gid = map(int, users.split("forebay:x:")[1].split(":")[:2])
    run("systemd-tmpfiles", "--create", f"--root={root}", "forebay.conf")
    for name, mode, owner in (("etc/forebay", 0o755, (0, 0)), ("etc/forebay/secrets", 0o750, (0, gid)),
                              ("srv/forebay", 0o750, (uid, gid))):
        expect_mode(root / name, mode)
        found = (root / name).stat()
        assert (found.st_uid, found.st_gid) == owner, f"{name} belongs to {found.st_uid}:{found.st_gid}, expected {owner}"


def main() -> int:
    cmake, build, source = sys.argv[1:4]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        run(cmake, "--install", build, "--prefix", "/usr", DESTDIR=str(root))
        wanted = FILES | {place: 0o644 for name, place in IF_THERE.items() if (Path(source) / name).exists()}
        for name, mode in wanted.items():
            assert (root / name).is_file(), f"{name} is not installed"
            expect_mode(root / name, mode)
        for suffix in (".rules.yaml", ".json"):
            assert list((root / "usr/share/forebay").rglob(f"*{suffix}")), f"no *{suffix} below /usr/share/forebay"
        # Each program is one, and says which.
        for name in ("usr/sbin/forebayd", "usr/bin/forebayctl"):
            assert run(root / name, "--version").strip(), name
        mine = root / "etc/forebay/forebay.yaml"
        checked = run(root / "usr/sbin/forebayd", "--check", mine)
        assert checked.endswith("valid\n") and checked.count("\n") == 1, checked
        # The first configuration of the page for operators, as it stands there.
        page = (root / "usr/share/doc/forebay/docs/operations.md").read_text()
        first = root / "first.yaml"
        first.write_text(page.split("```yaml\n")[1].split("```")[0])
        checked = run(root / "usr/sbin/forebayd", "--check", first)
        assert checked.endswith("valid\n"), checked
        # What it has as comments is as valid; only the pool is not there.
        full = Path(folder) / "full.yaml"
        full.write_text(re.sub(r"^#(?=[a-z ] *[a-z0-9])(?! [A-Z/])", "", mine.read_text(), flags=re.M))
        checked = run(root / "usr/sbin/forebayd", "--check", full)
        assert checked.endswith("valid\n") and "pools.bulk.directory" in checked and checked.count("\n") == 2, checked

        mine.write_text("# mine\n")
        run(cmake, "--install", build, "--prefix", "/usr", DESTDIR=str(root))
        assert mine.read_text() == "# mine\n", "the operator's configuration was overwritten"

        check_unit(root)
        check_user(root)
    print(f"{len(wanted)} files in place")
    return 0


if __name__ == "__main__":
    sys.exit(main())
