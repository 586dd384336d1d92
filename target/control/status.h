// What `forebayctl status` shows, as plain values, and their JSON form (API v1).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace target::control {

struct ListenerStatus {
  std::string name;
  std::string protocol{};  // nvme-tcp, iscsi
  std::string address;     // as configured: "192.0.2.10:4420", "[::]:8009"
  bool listening = false;
  std::string reason;  // why not, and what to do
  std::uint64_t connections = 0;
  std::string discovery{};           // of nvme-tcp: also, only, none
  std::string header_digest{};       // permitted, required, refused
  std::string data_digest{};         // the same
  std::string tls{};                 // of nvme-tcp: none, permitted, required
  std::uint64_t state_since_ms = 0;  // since 1970, as of all states here; 0: not seen yet
  std::string group{};
  std::string access = "optimized";  // what hosts are told of this way
};

// Of a pool, and not in the configuration.
struct RetainedVolume {
  std::string name;
  std::string uuid;
  std::uint64_t size_bytes = 0;
  std::uint32_t block_size = 0;
  std::string cache;   // UUID of the device that its image belongs together with; empty: none
  bool dirty = false;  // which may have what the image lacks
};

// One of a device pool.
struct MemberStatus {
  std::uint32_t index = 0;
  std::string uuid;
  std::string state{};   // "there", "missing"
  std::string path{};    // as configured; of one that is missing, where it was last
  std::string device{};  // without symbolic links; empty: missing
  std::string serial{};
  std::string reason{};  // why it is missing
};

// What a disk has done of one kind since the daemon started.
struct DiskWorkStatus {
  std::uint64_t count = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t errors = 0;
  std::uint64_t timeouts = 0;
  std::uint64_t mean_us = 0;  // of late
  std::uint64_t p99_us = 0;   // 99 of 100 took less, in the last minutes
};

struct DiskErrorStatus {
  std::string kind;  // read, write, sync, zero
  std::string error;
  std::int64_t lba = -1;           // of 512 bytes; -1: unknown, or none (sync)
  std::uint64_t offset_bytes = 0;  // on the device, or in a file on it
  std::uint64_t time_ms = 0;       // since 1970
};

// What the disk itself says; what it does not is nullopt.
struct SmartStatus {
  std::string status{};  // passed, failed, not available
  std::string why{};     // it is not available
  std::optional<std::int64_t> temperature_celsius{};
  std::optional<std::uint64_t> power_on_hours{};
  std::optional<std::uint64_t> reallocated_sectors{};
  std::optional<std::uint64_t> pending_sectors{};
  std::optional<std::uint64_t> percentage_used{};  // of the media's wear
  std::optional<std::uint64_t> spare_percent{};    // of its spare blocks, what is left
};

// Of a pool.
struct DiskStatus {
  std::string path;      // the member, or the pool's directory
  std::string device{};  // beneath it; empty: unknown, and so what follows
  std::string model{};
  std::string serial{};
  bool rotational = false;
  DiskWorkStatus reads{};
  DiskWorkStatus writes{};
  DiskWorkStatus syncs{};
  DiskWorkStatus zeroings{};
  std::optional<DiskErrorStatus> last_error{};
  SmartStatus smart{};
  std::string outlier{};                // how much slower than its peers, or than it was; empty: no
  std::vector<std::string> troubles{};  // all that there is to say against it
};

struct PoolStatus {
  std::string name;
  std::string kind;
  bool open = false;
  std::string reason;  // why it is not open, or does not answer
  std::uint64_t size_bytes = 0;
  std::uint64_t free_bytes = 0;
  std::uint64_t promised_bytes = 0;   // of those, to what is answered and not written there yet
  std::string provisioning{};         // of new volumes: thick, thin; empty: a pool in memory
  std::uint64_t reserve_bytes = 0;    // that stay free
  std::uint32_t warn_at_percent = 0;  // of the size, used or promised; 0: never
  std::uint32_t queue_depth = 0;      // of each member, or the directory; 0: as usual
  bool filling = false;               // so much is
  std::vector<RetainedVolume> retained{};
  std::vector<DiskStatus> disks{};  // as it was last open
  std::vector<MemberStatus> members{};
  // Of its labels and tables, replicas that were not whole when it was opened, since the start.
  std::uint64_t rotten_replicas = 0;
  std::uint64_t cut_off_replicas = 0;  // or a change was cut off
  // Sentences about the members of an open device pool, for the operator to act on some time.
  std::vector<std::string> advice{};
  std::uint64_t state_since_ms = 0;
};

struct CacheStatus {
  std::string name;
  std::string path;
  bool open = false;
  std::string reason;  // why it is not open; of an open one: what it has failed to do
  std::string note;    // what an open one does not do
  std::string uuid;
  std::string media;  // "cache line (devdax)"
  std::uint64_t size_bytes = 0;
  std::uint64_t free_bytes = 0;
  std::uint64_t dirty_bytes = 0;  // that waits for a pool
  bool retiring = false;          // its volumes are being detached
  bool retired = false;           // on purpose not open any more: it may be taken out
  // Since it was opened: parts of reads that were bad in it and good in their pools, and those that
  // it alone had, and has lost.
  std::uint64_t healed_reads = 0;
  std::uint64_t lost_reads = 0;
  // And reads that were sent from where they lie in it, without a copy, with their bytes.
  std::uint64_t reads_in_place = 0;
  std::uint64_t bytes_in_place = 0;
  // What was stored in it, and how often that was made durable. In page granularity a store is a
  // write, a fence a sync.
  std::uint64_t stores = 0;
  std::uint64_t stored_bytes = 0;
  std::uint64_t fences = 0;
  std::uint64_t state_since_ms = 0;
};

// Bytes of a volume.
struct LostRange {
  std::uint64_t offset_bytes = 0;
  std::uint64_t length_bytes = 0;
};

// Of one kind of command, since the daemon started.
struct TrafficStatus {
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;
  std::uint64_t errors = 0;
  // By Status::latency_bounds_ns: so many took no longer than that one and longer than the one
  // before; the last: longer than all.
  std::vector<std::uint64_t> latency_counts{};
};

// What a volume's hosts may ask of it in a second, and what waits for that (docs/qos.md).
struct QosStatus {
  std::uint64_t read_iops = 0;  // 0: no limit
  std::uint64_t write_iops = 0;
  std::uint64_t iops = 0;
  std::uint64_t read_bandwidth = 0;  // bytes
  std::uint64_t write_bandwidth = 0;
  std::uint64_t bandwidth = 0;
  std::uint64_t burst_ms = 0;
  std::uint64_t reads_held = 0;  // now
  std::uint64_t writes_held = 0;
  // Of those that were, since the daemon started: how many, and how long, all together.
  std::uint64_t reads_held_total = 0;
  std::uint64_t writes_held_total = 0;
  std::uint64_t read_hold_us_total = 0;
  std::uint64_t write_hold_us_total = 0;
};

// The last scrub of a volume that went to its end.
struct ScrubStatus {
  bool running = false;        // another one, now
  std::uint64_t ended_ms = 0;  // since 1970; 0: none has, since the daemon started
  std::uint64_t bad_blocks = 0;
  std::string result{};  // one sentence
  // What only the cache had, and has badly, as scrubs have found since the start, and write-back
  // now: reads of it fail until it is written. Not in lost_ranges yet.
  std::vector<LostRange> lost{};
};

// What becomes of commands that a volume has no room for, and what has (docs/qos.md, "Overload").
struct OverloadStatus {
  std::uint64_t hold_ms = 0;
  std::uint64_t retries = 0;
  std::uint64_t inaccessible_after_ms = 0;
  std::uint64_t recovery_ms = 0;
  std::uint64_t held = 0;  // now
  // Since the daemon started: how many have been held, how long, all together, were sent back, and
  // how often hosts have been told that the volume is not to be reached; and whether they are now.
  std::uint64_t held_total = 0;
  std::uint64_t hold_us_total = 0;
  std::uint64_t interrupted_total = 0;
  std::uint64_t closings_total = 0;
  bool closed = false;
  // A disk of its pool has been asked, and has answered nothing for seconds.
  bool disk_silent = false;
};

struct VolumeStatus {
  std::string name;
  std::string pool;
  std::string cache;              // device; empty: none, or detached
  std::string configured_cache;   // what the configuration names, and the next start takes
  std::string cache_mode;         // empty: none, or not served
  std::string ordered;            // batch or journal; empty: none, or not served
  std::uint64_t dirty_bytes = 0;  // in the cache, for the pool
  bool draining = false;
  bool detaching = false;         // and when nothing is dirty it has no cache
  std::string detach_error;       // why the last detachment was given up; empty: it was not
  std::uint64_t drain_bytes = 0;  // that a drain under way has left; without one, dirty_bytes
  std::int64_t drain_seconds =
      -1;  // for them, as it goes now; -1: not known, or it does not get on
  // The pool alone, with its journal, has the volume of then; 0: never written.
  std::uint64_t consistent_time_ms = 0;
  bool pool_mixed = false;  // it has not, for the moment: dirty data is on its way
  // What nobody has any more, listed in the pool; and reads that have failed because of that, or of
  // what a cache has lost and nobody has given up yet, since the daemon started.
  std::uint64_t lost_bytes = 0;
  std::vector<LostRange> lost_ranges;  // ascending, at most 24
  std::uint64_t lost_reads = 0;
  QosStatus qos{};
  OverloadStatus overload{};
  std::uint64_t pool_errors = 0;  // what its pool's disks have not done, or not in time
  std::string uuid;
  std::uint64_t size_bytes = 0;
  std::uint32_t block_size = 0;
  std::string state;  // online, degraded, late, cache-missing, failed, refused
  std::string reason;
  std::string note;     // what to know of it while it is online
  bool durable = true;  // false: gone at a power loss (tmpfs) or when the daemon ends (memory)
  bool write_protected = false;  // by a host (NVMe namespace write protection)
  std::uint64_t state_since_ms = 0;
  TrafficStatus reads{};
  TrafficStatus writes{};
  // Reads that its cache had whole, and those that it had not.
  std::uint64_t cache_hits = 0;
  std::uint64_t cache_misses = 0;
  ScrubStatus scrub{};
};

// As the configuration has it: who may come, not who is there.
struct KnownHost {
  std::string name;
  std::string nqn{};
  std::string iqn{};
  std::string chap{};         // none, one-way, mutual: what it has to prove, and is proven
  std::string chap_user{};    // of the host
  std::string mutual_user{};  // of ours
  std::vector<std::string> tls_keys{};  // their names
  std::string dhchap{};                 // by NVMe, as `chap` by iSCSI
  std::string concat{};  // none, permitted, required: whether that makes keys for TLS
};

struct NamespaceStatus {
  std::uint32_t nsid = 0;
  std::string volume;
  std::uint64_t size_bytes = 0;
  std::uint32_t block_size = 0;
  std::vector<std::string> hosts{};  // NQNs that see it; empty: all that the subsystem admits
};

// Of NVMe/TCP.
struct SubsystemStatus {
  std::string nqn;
  std::string serial;
  bool allow_any_host = false;
  std::vector<std::string> hosts{};  // NQNs that it admits; empty if allow_any_host
  std::vector<std::string> listeners{};
  std::vector<NamespaceStatus> namespaces{};
};

// Of NVMe/TCP.
struct HostStatus {
  std::string nqn;
  std::string address;
  std::string subsystem;
  std::uint32_t controller = 0;
  std::uint32_t io_queues = 0;
  std::string security;
  std::uint64_t connected_seconds = 0;
  std::string listener{};
  bool discovery = false;
  // Since it began.
  std::uint64_t read_commands = 0;
  std::uint64_t write_commands = 0;
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;
};

struct LunStatus {
  std::uint32_t lun = 0;
  std::string volume;
  std::uint64_t size_bytes = 0;
  std::uint32_t block_size = 0;
  std::vector<std::string> initiators;  // that see it; empty: all that the target admits
};

// Of iSCSI.
struct TargetStatus {
  std::string name;
  std::string alias;
  bool allow_any_host = false;
  std::vector<std::string> initiators;  // that it admits; empty if allow_any_host
  std::vector<std::string> listeners;
  std::vector<LunStatus> luns;
  // CHAP of hosts that have none of their own; empty: they need none.
  std::string chap_user{};
  std::string mutual_user{};
};

// Of iSCSI.
struct SessionStatus {
  std::string initiator;
  std::string alias;    // of the initiator
  std::string address;  // of its end
  std::string portal;   // of ours
  std::string listener;
  std::uint32_t portal_group = 0;
  std::string target;  // empty: a discovery session
  std::string isid;    // 12 hexadecimal digits: with the name, which port of the initiator it is
  std::uint32_t tsih = 0;
  bool header_digest = false;
  bool data_digest = false;
  std::string security;
  std::uint32_t queue_depth = 0;
  // Since it began.
  std::uint64_t read_commands = 0;
  std::uint64_t write_commands = 0;
  std::uint64_t other_commands = 0;
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t check_conditions = 0;
  std::uint64_t busy = 0;     // answered BUSY or TASK SET FULL
  std::uint64_t aborted = 0;  // ended without an answer
  std::uint64_t connected_seconds = 0;
};

// What one reactor has at this moment.
struct ReactorStatus {
  std::string name;
  std::uint64_t connections = 0;  // those that end included, until nothing of them is left
  std::uint64_t timers = 0;
  std::uint64_t disk_operations = 0;
};

// Of the last apply or reload.
struct ReloadResult {
  std::uint64_t time_ms = 0;  // since 1970; 0: there was none
  std::string by{};
  std::string result{};  // applied, nothing-to-do, refused, needs-confirmation, failed
  std::string reason{};  // of the last three
};

// What an operator has changed beside the configuration file.
struct OverrideStatus {
  std::string kind{};  // mode, drain
  std::string subject{};
  std::string value{};
  std::string file_value{};  // what the file says instead; empty: nothing
  std::string by{};
  std::uint64_t since_ms = 0;
  std::string text{};  // all of it, one sentence
};

struct Status {
  std::string node;
  std::string version;
  // Of the discovery subsystem, as it says itself: a host that has asked by the well-known NQN
  // connects again by this one.
  std::string discovery_nqn{};
  std::string config_file;
  std::string config_hash;  // CRC-32C of the file as applied, 8 hexadecimal digits
  std::uint64_t config_applied_ms = 0;
  std::string config_applied_by{};
  std::string config_note{};    // what to know of it; empty: nothing
  bool config_is_copy = false;  // the file was broken at the start: the last applied copy is served
  std::string config_disk_hash{};  // of the file as it lies on the disk; empty: not to be read
  std::vector<OverrideStatus> overrides{};
  std::string overrides_note{};  // why some may be missing; empty: none is
  ReloadResult last_reload{};
  std::uint64_t certificate_end_ms = 0;  // of the API over TCP, since 1970; 0: none is shown
  std::uint64_t uptime_seconds = 0;
  std::uint64_t memory_used_bytes = 0;
  std::uint64_t memory_limit_bytes = 0;
  std::uint64_t removed_volumes = 0;  // that are still in memory: something of theirs is under way
  std::vector<ListenerStatus> listeners;
  std::vector<PoolStatus> pools;
  std::vector<CacheStatus> caches;
  std::vector<std::uint64_t> latency_bounds_ns{};
  std::vector<VolumeStatus> volumes;
  std::vector<KnownHost> known_hosts;
  std::vector<SubsystemStatus> subsystems;
  std::vector<HostStatus> hosts;
  std::vector<TargetStatus> targets;
  std::vector<SessionStatus> sessions;
  std::vector<ReactorStatus> reactors;

  // Nothing is late, failed or waiting.
  [[nodiscard]] bool healthy() const;
};

// One JSON object; keys as the members are called.
[[nodiscard]] std::string to_json(const Status& status);

}  // namespace target::control
