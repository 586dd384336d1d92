"""What is measured: one line a case, and what is asked of it."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    direction: str  # read or write
    block_bytes: int
    depth: int
    pattern: str = "random"


ALL = [
    Case("4 KiB random read, depth 1", "read", 4096, 1),
    Case("4 KiB random read, depth 32", "read", 4096, 32),
    Case("4 KiB random read, depth 128", "read", 4096, 128),
    Case("4 KiB random write, depth 1", "write", 4096, 1),
    Case("4 KiB random write, depth 32", "write", 4096, 32),
    Case("4 KiB random write, depth 128", "write", 4096, 128),
    Case("128 KiB sequential read, depth 16", "read", 131072, 16, "sequential"),
    Case("128 KiB sequential write, depth 16", "write", 131072, 16, "sequential"),
]

# One core of the client against one core of the target, here with a client that sleeps when it has nothing to do.
SATURATION = Case("4 KiB random read, depth 128, client not polling", "read", 4096, 128)

# A host that behaves, beside others that are stuck.
NEIGHBOUR = Case("4 KiB random read, depth 1, beside stuck hosts", "read", 4096, 1)

IDLE_HOSTS = (0, 100)

# Stated bound: CPU of an idle target with this many connected hosts, in percent of one core.
IDLE_BOUND_HOSTS = 100
IDLE_BOUND_PERCENT = 1.0

# Aims: depth 1 within this factor of the echo's median latency, depth 32 at least this part of its rate.
AIM_DEPTH_1_LATENCY = 1.5
AIM_DEPTH_32_RATE = 0.5
# ... and one core of the client saturates one core of the target: it is done with at most this part of the time that the
# target takes for the same I/Os. (A target that is not saturated polls, and looks as busy as the client.)
AIM_CLIENT_TO_TARGET = 0.95
# ... and a host beside stuck ones: its slowest I/O within this factor of its own p99.9.
AIM_NEIGHBOUR_MAX_TO_P999 = 3
