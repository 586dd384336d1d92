"""The three ways in which a guest test can end badly."""


class CannotRun(Exception):
    """Something the harness needs is missing; the message names it. Counts as a failure, never as a skip."""


class Failed(Exception):
    """What the guest or the target did is not what the scenario requires."""


class GuestDied(Exception):
    """The guest's kernel or the emulator broke."""
