// What one configuration file asks for, as plain structs: already checked, units resolved, defaults
// filled in. Made only by config/parse.h; nothing here knows YAML, and nothing here has looked at
// the machine.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/foundation/units.h"
#include "engine/foundation/uuid.h"

namespace config {

using engine::operator""_KiB;
using engine::operator""_MiB;
using engine::operator""_GiB;

// Where a value stands in the file, both from 1. Line 0: it does not stand there, the default is
// used.
struct Position {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 means the default's own zero.
  friend auto operator<=>(const Position&, const Position&) = default;
};

// A value that later messages ("the address is not up", "shrinking is refused") must point at.
template <class T>
struct Located {
  T value{};
  Position at;
};

// A literal address; names are never resolved. IPv4 stands in the first four bytes, network order.
struct IpAddress {
  enum class Family {
    any,  // "*": every address of both families, one dual-stack socket
    ipv4,
    ipv6,
  };
  Family family = Family::any;
  std::array<std::byte, 16> bytes{};
  std::string scope;  // of a link-local IPv6 address: the interface's name, without '%'
  std::string text;   // canonical, with the scope; "*" for any

  // "*", 0.0.0.0 or ::
  [[nodiscard]] bool is_wildcard() const { return bytes == std::array<std::byte, 16>{}; }
  // 127.0.0.0/8 or ::1
  [[nodiscard]] bool is_loopback() const;
  friend bool operator==(const IpAddress&, const IpAddress&) = default;
};

// The addresses of one family whose first `prefix` bits are those of `bytes`.
struct IpNetwork {
  IpAddress::Family family = IpAddress::Family::ipv4;  // never any
  std::array<std::byte, 16> bytes{};  // IPv4 in the first four; zero behind the prefix
  std::uint32_t prefix = 0;
  std::string text;  // "10.0.0.0/8"
  friend bool operator==(const IpNetwork&, const IpNetwork&) = default;
};

// Where a secret lies. It never stands in the file itself, and nothing here reads it.
struct SecretRef {
  enum class Source {
    file,        // `name` is an absolute path
    credential,  // `name` is a file below $CREDENTIALS_DIRECTORY, where the service manager puts it
  };
  Source source = Source::file;
  std::string name;
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 means the default's own zero.
  friend auto operator<=>(const SecretRef&, const SecretRef&) = default;
};

struct Reactors {
  std::uint32_t count = 1;
  std::vector<std::uint32_t> cpus;  // empty: not pinned; otherwise `count` of them, one each
  Position at;                      // of `cpus` where given, else of `reactors`
};

// What a listener tells hosts about discovery.
enum class Discovery {
  also,  // the discovery subsystem beside the I/O subsystems
  only,  // nothing else: no subsystem refers to it
  none,  // Connect to the discovery NQN is refused
};

enum class Digests {
  permitted,  // each of header and data digest as the host asks in ICReq
  required,   // a host that does not ask for both is refused
  refused,    // never granted in ICResp
};

enum class Tls {
  none,       // every connection is plain
  permitted,  // each as the host begins it
  required,   // one that is plain is refused
};

// Secure channel concatenation: authentication makes the PSK for TLS.
enum class Concat {
  none,       // refused
  permitted,  // as the host asks for it, where the listener has TLS
  required,   // of a connection without TLS nothing but that is made
};

// NVMe/TCP behaviour of one listener.
struct NvmeTcpOptions {
  bool c2h_success = true;  // SUCCESS flag in C2HData where SQ flow control is disabled
  Digests digests = Digests::permitted;
  engine::ByteCount in_capsule_data = 8_KiB;  // I/O queues; Admin and Fabrics have 8 KiB always
  std::uint32_t max_r2t = 4;  // outstanding for one command; the host's MAXR2T also bounds it
  engine::ByteCount max_h2c_data = 128_KiB;           // MAXH2CDATA, a multiple of 4 KiB
  std::chrono::milliseconds icreq_timeout{10'000};    // from accept to a complete ICReq
  std::chrono::milliseconds connect_timeout{10'000};  // from ICResp to a successful Fabrics Connect
  Tls tls = Tls::none;                                // of TLS 1.3 with keys of hosts
  // By their names in RFC 8446; never empty.
  std::vector<std::string> tls_suites{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"};
  std::vector<std::string> tls_groups{"x25519", "secp256r1", "secp384r1"};
  bool tls_kernel = true;                          // records are the kernel's where it can
  std::chrono::milliseconds auth_timeout{30'000};  // from there to the end of DH-HMAC-CHAP
};

// iSCSI behaviour of one listener: what it offers in negotiation, where the initiator may narrow
// it (RFC 7143, section 13), and how long it waits.
struct IscsiOptions {
  Digests header_digest = Digests::permitted;
  Digests data_digest = Digests::permitted;
  bool initial_r2t = false;    // true: only data that was asked for, or came with its command
  bool immediate_data = true;  // data in the command's own PDU
  engine::ByteCount first_burst = 64_KiB;  // most data of a write that was not asked for
  engine::ByteCount max_burst = 1_MiB;     // data of one R2T, or of one sequence of Data-In
  engine::ByteCount max_recv_data_segment = 256_KiB;  // data of one PDU from the initiator
  std::uint32_t max_outstanding_r2t = 4;              // for one command
  std::uint32_t queue_depth = 128;                    // commands under way in one session
  std::chrono::milliseconds login_timeout{15'000};    // from accept to the full-feature phase
  std::chrono::milliseconds nop_interval{30'000};     // of silence, after which a ping goes out
  std::chrono::milliseconds nop_timeout{30'000};      // for the answer to it
};

enum class Protocol { nvme_tcp, iscsi };

struct Listener {
  std::string name;
  Position at;
  Protocol protocol = Protocol::nvme_tcp;
  Located<IpAddress> address;
  Located<std::uint16_t> port{.value = 4420, .at = {}};  // of iSCSI 3260
  std::string group;  // of listeners that are one way; its own name unless written
  std::uint32_t max_connections = 4096;
  // No byte arrives although the peer owes some (the rest of a PDU, data asked for by R2T). A
  // connection that owes nothing may be silent: keep-alive and NOP watch over it.
  std::chrono::milliseconds idle_timeout{30'000};
  // Of NVMe/TCP.
  Discovery discovery = Discovery::also;
  NvmeTcpOptions nvme_tcp;
  // Of iSCSI. Portals with one tag lead to one target port (RFC 7143, section 4.4).
  std::uint16_t portal_group = 1;
  IscsiOptions iscsi;
};

// What the media under a cache must guarantee: the coarsest unit that may become persistent at a
// time.
enum class Require { byte, cache_line, page };

// A devdax device or a file that holds cached blocks of volumes.
struct CacheDevice {
  std::string name;
  Position at;
  Located<std::string> path;                  // absolute, normal form
  std::optional<Located<engine::Uuid>> uuid;  // any other cache there, or none, is refused
  Located<Require> require{.value = Require::page, .at = {}};  // page: any media will do
  // Chosen when the cache is formatted: one that was formatted otherwise is refused. nullopt: it is
  // as it is.
  std::optional<Located<bool>> payload_crc;
};

struct Pool {
  enum class Kind {
    file,    // a labelled directory of image files
    device,  // labelled disks
    memory,  // tests and benchmarks only: empty after each start
  };
  enum class Layout { single, linear, stripe };
  std::string name;
  Position at;
  Kind kind = Kind::file;
  Located<std::string> directory;             // absolute, normal form; kind file only
  std::optional<Located<engine::Uuid>> uuid;  // not of kind memory; any other pool is refused
  // Of kind device alone.
  Located<Layout> layout{};
  std::optional<Located<engine::ByteCount>> chunk_size;  // of a stripe; else as it was made
  std::vector<Located<std::string>> members;             // their paths, in any order
  // Of kind file alone. Of volumes that are made from now on.
  enum class Provisioning { thick, thin };
  Located<Provisioning> provisioning{};
  Located<engine::ByteCount> reserve{};  // of the file system, stays free; thin: always written
  // Not of kind memory. Percent that, in use, is worth a warning; thin: 80 unless written.
  std::optional<Located<std::uint32_t>> warn_at;
  // Not of kind memory. Operations that each member, or the directory, is given at once.
  std::optional<Located<std::uint32_t>> queue_depth;
};

struct VolumeCache {
  enum class Mode {
    write_back,     // a write is answered when the cache has it
    write_through,  // a write is answered when the pool has it
    write_around,   // writes go straight to the pool; what is read is kept
    pass_through,   // the same, and nothing more is kept
    read_only,      // nothing is written
  };
  Position at;
  Located<std::string> device;  // a name in Config::cache_devices
  Mode mode = Mode::write_back;
  std::optional<Located<engine::ByteCount>> guaranteed;  // nullopt: nothing
  std::optional<Located<engine::ByteCount>> maximum;     // nullopt: all of the device
  // Of what the volume may hold, low below high: writing back begins at high and ends at low.
  std::uint32_t dirty_low_percent = 40;
  std::uint32_t dirty_high_percent = 60;
  std::chrono::milliseconds max_dirty_age{30'000};
  enum class Ordered {
    batch,    // between batches the pool alone is the volume as it was at one moment
    journal,  // always, at twice the volume of writes
  };
  Ordered ordered = Ordered::batch;
};

// What all hosts of a volume together may ask of it in a second; 0: no limit (docs/qos.md).
struct VolumeQos {
  std::uint64_t read_iops = 0;
  std::uint64_t write_iops = 0;
  std::uint64_t iops = 0;  // of both kinds together
  engine::ByteCount read_bandwidth;
  engine::ByteCount write_bandwidth;
  engine::ByteCount bandwidth;
  std::chrono::milliseconds burst{100};  // for so long what is not used is kept
};

// What becomes of commands that a volume has no room for (docs/qos.md, "Overload").
struct VolumeOverload {
  std::chrono::milliseconds hold{10'000};
  std::uint32_t retries = 3;
  std::chrono::milliseconds inaccessible_after{25'000};  // not below hold
  std::chrono::milliseconds recovery{5'000};
};

// Its UUID is not here: the pool's own record of the volume holds it.
struct Volume {
  std::string name;
  Position at;
  Located<std::string> was{};  // its name before; empty: none. No volume of the file is called so.
  Located<std::string> pool;
  Located<engine::ByteCount> size;  // a multiple of 4096
  Located<engine::BlockSize> block_size;
  enum class Atomic {
    offered,   // writes of several blocks are as whole as its cache and its disks make them
    required,  // whole or not at all, also when power fails: always through its cache
  };
  Located<Atomic> atomic{};
  bool allow_format = false;         // a host may make all of it zeros (NVMe, Format NVM)
  std::optional<VolumeCache> cache;  // never of a volume of a memory pool
  VolumeQos qos;
  VolumeOverload overload;
};

// CHAP as RFC 7143, section 12.1.3 has it: the initiator proves `secret`, and with mutual_secret
// the target proves that in turn.
struct Chap {
  Position at;
  Located<std::string> user;  // CHAP_N of the initiator
  Located<SecretRef> secret;
  std::optional<Located<std::string>> mutual_user;  // both or neither, and never the same secret
  std::optional<Located<SecretRef>> mutual_secret;
};

// DH-HMAC-CHAP (NVMe): the host proves `key`, and the controller its own where the host asks.
struct DhchapKeys {
  Located<SecretRef> key;
  std::optional<Located<SecretRef>> controller_key;  // never the same as `key`
};

struct Dhchap {
  Position at;
  DhchapKeys keys;
  // "sha256" ..., "ffdhe2048" ... and "none", the best first. Empty: all, but of groups not "none".
  std::vector<Located<std::string>> hashes;
  std::vector<Located<std::string>> groups;
  bool required = true;
  bool discovery = false;  // required of it at discovery too
  Concat concat = Concat::permitted;
  struct Previous {
    Position at;
    DhchapKeys keys;
    Located<std::chrono::sys_seconds> until;  // then they are good no more
  };
  std::optional<Previous> previous;  // during a rotation
};

struct Host {
  std::string name;
  Position at;
  std::string nqn;               // empty: no NVMe host
  std::optional<Dhchap> dhchap;  // of the NVMe host; nullopt: it need not prove who it is
  // iSCSI initiator name in small letters; empty: none.
  std::string iqn;
  // Of the NVMe host alone: its TLS keys, each of them valid.
  std::vector<Located<SecretRef>> tls_psk;
  std::vector<Located<SecretRef>> tls_psk_old;  // valid beside them until then
  std::optional<Located<std::chrono::sys_seconds>> tls_psk_old_until;
  // Of the initiator alone.
  std::optional<Chap> chap;         // nullopt: it need not prove who it is
  std::vector<IpNetwork> networks;  // where it may come from; empty: anywhere
};

// Who may connect to a subsystem or target.
struct Access {
  bool allow_any_host = false;
  Position allow_any_host_at;
  std::vector<Located<std::string>> hosts;  // names in Config::hosts; empty if allow_any_host
};

// One volume as hosts see it: a namespace or a LUN.
struct Export {
  std::uint32_t number = 0;  // NSID, 1 ... FFFFFFFEh; or LUN, 0 ... 16383
  Position at;
  Located<std::string> volume;
  // Names in Config::hosts. nullopt: every host of the subsystem or target; an empty list: none.
  std::optional<std::vector<Located<std::string>>> hosts;
};

struct Subsystem : Access {
  std::string nqn;
  Position at;
  std::vector<Located<std::string>>
      listeners;  // names in Config::listeners, never a discovery-only one
  std::optional<std::string>
      serial;  // at most 20 printable ASCII characters; nullopt: made from the NQN
  std::string model = "Forebay";  // at most 40 printable ASCII characters
  std::uint16_t cntlid_min = 1;
  std::uint16_t cntlid_max = 0xffef;
  std::uint32_t max_io_queues = 128;           // for each controller
  std::uint32_t max_queue_depth = 1024;        // entries; CAP.MQES is one less
  engine::ByteCount mdts = 1_MiB;              // a power of two, 64 KiB or more
  std::map<std::uint32_t, Export> namespaces;  // by NSID, at most max_namespaces
};

inline constexpr std::size_t max_namespaces = 1024;  // in one subsystem

// An iSCSI target node.
struct Target : Access {
  std::string iqn;  // iqn., eui. or naa., in small letters
  Position at;
  std::optional<std::string> alias;             // at most 255 printable ASCII characters
  std::vector<Located<std::string>> listeners;  // names in Config::listeners, all of iSCSI
  std::optional<Chap> chap;                     // of hosts that have none of their own
  std::map<std::uint32_t, Export> luns;         // at most max_luns
};

inline constexpr std::size_t max_luns = 1024;         // of one target
inline constexpr std::size_t max_portal_groups = 64;  // of one target

// Of all iSCSI targets together.
struct Iscsi {
  // What discovery sessions have to prove; nullopt: nothing. They see no more than their initiator
  // may use in any case.
  std::optional<Chap> discovery_chap;
  std::uint32_t max_sessions = 512;
};

// Where Prometheus asks.
struct Metrics {
  Position at;
  Located<IpAddress> address;  // 127.0.0.1 unless written
  Located<std::uint16_t> port{.value = 9930, .at = {}};
  std::vector<Located<std::string>> stages;  // volumes of which each stage has a histogram
  bool status_page = true;  // also there; by default where the address is a loopback one
};

// "10.0.0.5:9931", "[fd00::5]:9931", "*:9931".
struct IpEndpoint {
  IpAddress address;
  std::uint16_t port = 0;
  std::string text;  // canonical
  friend bool operator==(const IpEndpoint&, const IpEndpoint&) = default;
};

struct Control {
  Located<std::string> socket{.value = "/run/forebay/control.sock", .at = {}};
  std::optional<Located<std::string>> group;  // may use the socket beside root; nullopt: root only
  std::vector<Located<IpEndpoint>> listen;    // over TCP, with tokens; empty: nowhere
  bool has_tls = true;                        // false: every one of `listen` is a loopback address
  // Of TLS; both there where it is used.
  std::optional<Located<SecretRef>> certificate;
  std::optional<Located<SecretRef>> key;
};

struct Scrub {
  // Of the volume that is scrubbed, bytes per second; where nobody asks for another one.
  Located<engine::ByteCount> rate{.value = 100_MiB, .at = {}};
};

enum class LogLevel { error, warn, info, debug };

struct Config {
  std::string file;  // as named by the caller; the first field of every message
  std::string node;
  Reactors reactors;
  Located<engine::ByteCount> memory{.value = 1_GiB, .at = {}};
  std::map<std::string, Listener> listeners;
  std::map<std::string, CacheDevice> cache_devices;
  std::map<std::string, Pool> pools;
  std::map<std::string, Volume> volumes;
  std::map<std::string, Host> hosts;
  std::map<std::string, Subsystem> subsystems;  // by NQN
  std::map<std::string, Target> targets;        // by name in small letters
  Iscsi iscsi;
  std::optional<Metrics> metrics;  // nullopt: nobody can ask
  Control control;
  Scrub scrub;
  LogLevel log_level = LogLevel::info;
};

}  // namespace config
