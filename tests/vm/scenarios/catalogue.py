"""Which scenario runs on which kernel, in the short form and in the long one."""

from dataclasses import dataclass

from lab.lab import Lab, Scenario
from scenarios import administration, authentication, changes, connecting, data, disk_pools, events, filesystems, iscsi, outages, overload, persistent_memory, plans, security, service, several_hosts, soak

SCENARIOS: tuple[Scenario, ...] = (
    connecting.discover, connecting.queues, connecting.digests, connecting.ipv6, connecting.reconnect_50_times,
    filesystems.ext4, filesystems.xfs,
    administration.identify, administration.logs, administration.features, administration.resets,
    data.block_sizes, data.large_io, data.zeroing, data.comparing,
    outages.target_killed, outages.target_stopped, outages.target_silent, outages.path_lost,
    overload.cache_full, overload.cache_full_three_minutes, overload.path_inaccessible,
    several_hosts.two_hosts,
    changes.late_volume, changes.volume_grown, changes.discovery_changes,
)
# What the older kernel has not, or its nvme-cli: Get LBA Status there announces less room than it asks for.
TRIXIE_ONLY: tuple[Scenario, ...] = (security.tls, data.without_data, events.persistent_events, events.commands_by_hand)
# What only the newest kernel has.
FORKY_ONLY: tuple[Scenario, ...] = (security.concatenation,)
# What a host must prove; the older kernel cannot.
AUTHENTICATION: tuple[Scenario, ...] = (authentication.dhchap, authentication.dhchap_all)
AUTHENTICATION_SHORT = {"dhchap"}
# Hosts that speak iSCSI.
ISCSI: tuple[Scenario, ...] = (iscsi.iscsi_login, iscsi.iscsi_ext4, iscsi.iscsi_xfs, iscsi.iscsi_multipath, iscsi.iscsi_grown,
                               iscsi.iscsi_reservations, iscsi.iscsi_target_killed, iscsi.iscsi_and_nvme, plans.plans_come_true)
ISCSI_SHORT = {"iscsi_login", "iscsi_and_nvme", "plans_come_true"}
# A host under User-mode Linux instead of a stock kernel, in the long form only.
SOAKS: tuple[Scenario, ...] = (soak.killed_again_and_again,)
# The target is in a guest, too.
GUEST_TARGETS: tuple[Scenario, ...] = (persistent_memory.fsdax_power_cut, persistent_memory.devdax_power_cut,
                                       persistent_memory.failing_pool, persistent_memory.failing_pool_power_cut,
                                       persistent_memory.poisoned_page, disk_pools.disk_pulled, disk_pools.disks_mixed_up,
                                       disk_pools.raid_leg_pulled, disk_pools.logical_volume_grown,
                                       disk_pools.flaky_member, disk_pools.file_system_full, service.installed_service)
GUEST_TARGETS_SHORT = {"fsdax_power_cut", "failing_pool", "disk_pulled"}
# Likewise, and the older kernel's hosts have no TLS.
TRIXIE_GUEST_TARGETS: tuple[Scenario, ...] = (security.kernel_tls,)
# Those that ask most of the engine run again with a cache in front of the pool, smaller than what they write.
CACHED: tuple[Scenario, ...] = (filesystems.ext4, filesystems.xfs, data.zeroing, data.large_io, outages.target_killed,
                                outages.target_stopped, changes.volume_grown)
# What the short form leaves out: the project's own client does the same to the target, or the short form has its like.
TRIXIE_LONG = {"ipv6", "reconnect_50_times", "xfs", "features", "resets", "zeroing", "large_io", "comparing", "target_killed",
               "target_stopped", "target_silent", "cache_full_three_minutes", "commands_by_hand"}
# The older kernel's share of the short form, and that of cached volumes.
BOOKWORM_SHORT = {"discover", "ext4"}
CACHED_SHORT = {"cached_ext4", "cached_target_killed"}


@dataclass(frozen=True)
class Case:
    suite: str
    scenario: Scenario
    long: bool  # runs in the long form only
    cached: bool = False

    @property
    def name(self) -> str:
        return ("cached_" if self.cached else "") + self.scenario.__name__

    @property
    def uses_uml(self) -> bool:
        return self.scenario in SOAKS

    def run(self, lab: Lab) -> None:
        lab.cached = self.cached
        self.scenario(lab)


def cases(long: bool) -> list[Case]:
    every = [Case("trixie", scenario, scenario.__name__ in TRIXIE_LONG) for scenario in SCENARIOS]
    every += [Case("trixie", scenario, scenario.__name__ in TRIXIE_LONG) for scenario in TRIXIE_ONLY]
    every += [Case("forky", scenario, True) for scenario in FORKY_ONLY]
    every += [Case("bookworm", scenario, scenario.__name__ not in BOOKWORM_SHORT) for scenario in SCENARIOS]
    every += [Case("trixie", scenario, f"cached_{scenario.__name__}" not in CACHED_SHORT, cached=True)
              for scenario in CACHED]
    every += [Case("trixie", scenario, scenario.__name__ not in GUEST_TARGETS_SHORT) for scenario in GUEST_TARGETS]
    every += [Case("bookworm", scenario, True) for scenario in GUEST_TARGETS]
    every += [Case("trixie", scenario, True) for scenario in TRIXIE_GUEST_TARGETS]
    every += [Case("trixie", scenario, scenario.__name__ not in AUTHENTICATION_SHORT) for scenario in AUTHENTICATION]
    every += [Case("trixie", scenario, scenario.__name__ not in ISCSI_SHORT) for scenario in ISCSI]
    every += [Case("bookworm", scenario, True) for scenario in ISCSI]
    every += [Case("trixie", scenario, True) for scenario in SOAKS]
    return [case for case in every if long or not case.long]
