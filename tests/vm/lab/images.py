"""Guest images in the cache: built once for each suite, with a saved state to start guests from."""

import dataclasses
import fcntl
import hashlib
import json
import shutil
import time
from pathlib import Path

from lab import initramfs, kernel, machine, root_image
from lab.emulated_guest import EmulatedGuest
from lab.errors import CannotRun
from lab.packages import Packages

# The oldest kernel that a suite must bring for the tests to mean what they say.
SUITES = {"bookworm": (6, 1), "trixie": (6, 12), "forky": (6, 15)}
PATHS = ("kernel", "initramfs", "root", "state")


def prepare(suite: str, cache: Path, refresh: bool = False) -> machine.Image:
    """The suite's image, from the cache as far as what it was made from has not changed."""
    folder = cache / suite
    folder.mkdir(parents=True, exist_ok=True)
    with open(cache / f"{suite}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        image_recipe = _recipe("kernel.py", "root_image.py", "initramfs.py", "guest_stage1.sh",
                               *(f"guest_{script}" for script in root_image.SCRIPTS))
        state_recipe = _recipe("machine.py") + machine.emulator_version()
        description = folder / "image.json"
        stored = json.loads(description.read_text()) if description.exists() and not refresh else {}
        if stored.get("image_recipe") == image_recipe:
            image = machine.Image(**{key: Path(value) if key in PATHS else value
                                     for key, value in stored["image"].items()})
        else:
            image = _build(suite, cache / "apt" / suite, folder)
        if (stored.get("image_recipe"), stored.get("state_recipe")) != (image_recipe, state_recipe):
            _save_state(image, folder / "boot")
            fields = {key: str(value) for key, value in dataclasses.asdict(image).items()}
            description.write_text(json.dumps(
                {"image_recipe": image_recipe, "state_recipe": state_recipe, "image": fields}, indent=1))
        return image


def _recipe(*names: str) -> str:
    digest = hashlib.sha256()
    for name in names:
        digest.update((Path(__file__).parent / name).read_bytes())
    return digest.hexdigest()


def _build(suite: str, apt: Path, folder: Path) -> machine.Image:
    started = time.monotonic()
    (folder / "image.json").unlink(missing_ok=True)
    packages = Packages(suite, apt)
    packages.update()
    built = kernel.build(packages, folder / "kernel")
    if not built.at_least(*SUITES[suite]):
        raise CannotRun(f"{suite} brings kernel {built.release}, expected {SUITES[suite]} or newer")
    root_image.build(packages, built.modules, folder / "root.ext4")
    initramfs.build(packages, built, folder / "initramfs")
    print(f"{suite}: {built.package} {built.version}: image built in {time.monotonic() - started:.0f} s", flush=True)
    return machine.Image(suite, built.image, folder / "initramfs", folder / "root.ext4", folder / "state",
                         built.release, built.package, built.version)


def _save_state(image: machine.Image, scratch: Path) -> None:
    started = time.monotonic()
    shutil.rmtree(scratch, ignore_errors=True)
    guest = EmulatedGuest(image, scratch, f"{image.suite} first boot")
    try:
        guest.boot()
        guest.save(image.state)
    finally:
        guest.stop()
    print(f"{image.suite}: {image.release} booted and saved in {time.monotonic() - started:.0f} s", flush=True)
