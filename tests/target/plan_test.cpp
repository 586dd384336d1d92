#include "target/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <string>
#include <utility>

#include "config/parse.h"

namespace target {
namespace {

using config::Part;

constexpr const char* nqn_of_a =
    "nqn.2014-08.org.nvmexpress:uuid:1b4e28ba-2fa1-11d2-883f-0016d3cca427";
constexpr const char* nqn_of_b =
    "nqn.2014-08.org.nvmexpress:uuid:7d4441a0-9dc0-11d1-b245-5ffdce74fad2";
constexpr const char* iqn_of_c = "iqn.1993-08.org.debian:01:5a7c1e9f2b";
constexpr const char* store = "nqn.2026-11.com.example:store";
constexpr const char* scsi_store = "iqn.2026-11.com.example:store";

const std::string base = R"(apiVersion: forebay/v1
node: store1
listeners:
  l1: {protocol: nvme-tcp, address: 127.0.0.1, port: 4420}
  l2: {protocol: nvme-tcp, address: 127.0.0.1, port: 4421}
  s1: {protocol: iscsi, address: 127.0.0.1}
cache_devices:
  d: {path: /dev/dax0.0}
pools:
  p: {kind: file, directory: /srv/p}
volumes:
  one: {pool: p, size: 1GiB}
  two: {pool: p, size: 2GiB}
  three: {pool: p, size: 2GiB, cache: {device: d}}
hosts:
  a: {nqn: "nqn.2014-08.org.nvmexpress:uuid:1b4e28ba-2fa1-11d2-883f-0016d3cca427"}
  b: {nqn: "nqn.2014-08.org.nvmexpress:uuid:7d4441a0-9dc0-11d1-b245-5ffdce74fad2"}
  c: {iqn: "iqn.1993-08.org.debian:01:5a7c1e9f2b"}
subsystems:
  nqn.2026-11.com.example:store:
    listeners: [l1, l2]
    hosts: [a, b]
    namespaces:
      1: {volume: one}
      2: {volume: two, hosts: [a]}
targets:
  iqn.2026-11.com.example:store:
    listeners: [s1]
    hosts: [c]
    luns:
      0: {volume: three}
)";

config::Config parsed(const std::string& text) {
  auto outcome = config::parse_text(text, "f.yaml");
  for (const auto& message : outcome.messages) {
    EXPECT_NE(message.severity, config::Severity::error) << config::format(message);
  }
  return outcome.config ? std::move(*outcome.config) : config::Config{};
}

std::string with(const std::string& what, const std::string& by, std::string text = base) {
  const std::size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return at == std::string::npos ? text : text.replace(at, what.size(), by);
}

nvmf::ControllerSnapshot controller(const char* host, const char* listener) {
  nvmf::ControllerSnapshot shown;
  shown.subsystem_nqn = store;
  shown.host_nqn = host;
  shown.listener = listener;
  shown.queues.resize(3);
  return shown;
}

// a by two paths, b by one, c over iSCSI.
Running running() {
  Running now{.hash = "e41c7a90", .applied_ms = 1'000, .applied_by = "root"};
  now.nvmf.controllers = {controller(nqn_of_a, "l1"), controller(nqn_of_a, "l2"),
                          controller(nqn_of_b, "l1")};
  iscsi::SessionSnapshot session;
  session.target_name = scsi_store;
  session.initiator_name = iqn_of_c;
  session.listener = "s1";
  session.peer_address = "127.0.0.1:50000";
  now.iscsi.sessions = {session};
  engine::PoolStatus pool;
  pool.name = "p";
  pool.open = true;
  pool.size = {std::uint64_t{100} << 30};
  pool.free = {std::uint64_t{50} << 30};
  now.pools = {pool};
  engine::CacheStatus cache;
  cache.name = "d";
  cache.open = true;
  now.caches = {cache};
  const auto volume = [](std::uint64_t gib) {
    return Running::Volume{.state = engine::VolumeState::online, .size = {gib << 30}};
  };
  now.volumes = {{"one", volume(1)}, {"two", volume(2)}, {"three", volume(2)}};
  now.volumes["three"].cache.emplace().device = "d";
  return now;
}

Plan plan_of(const std::string& after, const PlanRequest& request = {},
             const Running& now = running()) {
  return make_plan(parsed(base), parsed(after), now, request);
}

const HostEffect& host(const Plan& plan, const std::string& name) {
  const auto found = std::ranges::find(plan.hosts, name, &HostEffect::name);
  EXPECT_NE(found, plan.hosts.end()) << name;
  return *found;
}

void expect_unconcerned(const Plan& plan, const std::vector<std::string>& names) {
  for (const auto& name : names) {
    EXPECT_TRUE(host(plan, name).sentences.empty()) << name << "\n" << screen(plan);
    EXPECT_FALSE(host(plan, name).events.any()) << name;
  }
}

TEST(Plan, OfWhatRunsIsNothingToDo) {
  const Plan plan = plan_of(base);
  EXPECT_EQ(plan.result(), PlanResult::nothing_to_do);
  EXPECT_EQ(static_cast<int>(plan.result()), 0);
  EXPECT_NE(screen(plan).find("Exit 0"), std::string::npos);
}

TEST(Plan, EveryKeyHasARule) {
  for (const Part part :
       {Part::settings, Part::listener, Part::cache_device, Part::pool, Part::volume, Part::host,
        Part::subsystem, Part::space, Part::target, Part::lun}) {
    for (const auto& key : config::compared_keys(part)) {
      EXPECT_TRUE(rule_of(part, key).has_value()) << key;
    }
  }
  EXPECT_FALSE(rule_of(Part::volume, "no such key").has_value());
}

TEST(Plan, ANewNamespaceIsToldToWhoSeesIt) {
  const std::string after =
      with("      2: {volume: two, hosts: [a]}",
           "      2: {volume: two, hosts: [a]}\n      3: {volume: four, hosts: [b]}",
           with("  two: {pool", "  four: {pool: p, size: 5GiB}\n  two: {pool"));
  const Plan plan = plan_of(after);
  EXPECT_EQ(plan.result(), PlanResult::changes) << screen(plan);
  ASSERT_EQ(plan.changes.size(), 2U);
  EXPECT_EQ(plan.changes[0].what, "create 5GiB on pool p (50 GiB free)");
  EXPECT_EQ(plan.changes[1].effect, Effect::notified);
  EXPECT_TRUE(host(plan, "b").events.namespace_attributes);
  EXPECT_EQ(host(plan, "b").pause, "none");
  expect_unconcerned(plan, {"a", "c"});
  const std::string text = screen(plan);
  EXPECT_NE(text.find("+ volume four   create 5GiB"), std::string::npos) << text;
  EXPECT_NE(text.find("c     none (not concerned)"), std::string::npos) << text;
  EXPECT_NE(text.find("Exit 2: changes pending"), std::string::npos) << text;
}

TEST(Plan, AVolumeThatGrowsIsToldByBothProtocols) {
  const Plan nvme = plan_of(with("one: {pool: p, size: 1GiB}", "one: {pool: p, size: 3GiB}"));
  EXPECT_TRUE(host(nvme, "a").events.namespace_attributes);
  EXPECT_TRUE(host(nvme, "b").events.namespace_attributes);
  expect_unconcerned(nvme, {"c"});
  const Plan scsi = plan_of(with("three: {pool: p, size: 2GiB", "three: {pool: p, size: 3GiB"));
  EXPECT_TRUE(host(scsi, "c").events.capacity_changed);
  EXPECT_FALSE(host(scsi, "c").events.luns_changed);
  expect_unconcerned(scsi, {"a", "b"});
}

TEST(Plan, WhetherADiskThatGoesIsInUseIsTold) {
  const std::string after = with("hosts: [a, b]", "hosts: [a]");
  const auto use_of = [&](std::uint64_t commands, std::optional<engine::Duration> last) {
    Running now = running();
    now.volumes["one"].commands_in_flight = commands;
    now.volumes["one"].since_last_write = last;
    const Plan plan = plan_of(after, {}, now);
    const auto& uses = host(plan, "b").uses;
    EXPECT_TRUE(host(plan, "a").uses.empty()) << "it keeps what it has";
    EXPECT_EQ(plan_hash(plan), plan_hash(plan_of(after))) << "that changes by itself";
    EXPECT_EQ(uses.size(), 1U);
    const std::string use = uses.empty() ? "" : uses.front();
    std::string shown = screen(plan);
    std::erase_if(shown, [](char c) { return c == ' ' || c == '\n'; });
    std::string wanted = use + ".";
    std::erase(wanted, ' ');
    EXPECT_NE(shown.find(wanted), std::string::npos) << screen(plan);
    EXPECT_NE(to_json(plan).find('"' + use + '"'), std::string::npos) << to_json(plan);
    return use;
  };
  using std::chrono::minutes;
  using std::chrono::seconds;
  EXPECT_EQ(use_of(37, seconds(0)),
            "one is in use: last write less than 2 s ago, 37 commands in flight");
  EXPECT_EQ(use_of(0, seconds(59)), "one is in use: last write 59 s ago, nothing in flight");
  EXPECT_EQ(use_of(1, std::nullopt),
            "one is in use: not written to since it is served, 1 command in flight");
  EXPECT_EQ(use_of(0, minutes(90)), "one: last write 90 min ago, nothing in flight");
  EXPECT_EQ(use_of(0, std::nullopt), "one: not written to since it is served, nothing in flight");
}

TEST(Plan, AHostThatWouldLoseItsDiskMustBeNamed) {
  const std::string after = with("hosts: [a, b]", "hosts: [a]");
  const Plan bare = plan_of(after);
  EXPECT_EQ(bare.result(), PlanResult::needs_confirmation);
  EXPECT_EQ(static_cast<int>(bare.result()), 3);
  EXPECT_EQ(bare.unconfirmed, std::vector<std::string>{"b"});
  EXPECT_EQ(host(bare, "b").pause, "permanent");
  EXPECT_EQ(host(bare, "b").lost_volumes, std::vector<std::string>{"one"});
  EXPECT_TRUE(host(bare, "b").events.connections_end);
  EXPECT_NE(screen(bare).find("forebayctl apply f.yaml --disconnect b"), std::string::npos)
      << screen(bare);
  expect_unconcerned(bare, {"a", "c"});
  for (const std::string name : {"b", nqn_of_b}) {
    EXPECT_EQ(plan_of(after, {.disconnect = {name}}).result(), PlanResult::changes);
  }
  EXPECT_EQ(plan_of(after, {.disconnect = {"a"}}).result(), PlanResult::needs_confirmation);
}

TEST(Plan, ANamespaceTakenFromAHostThatSeesItMustBeConfirmed) {
  const Plan gone = plan_of(with("      2: {volume: two, hosts: [a]}\n", ""));
  EXPECT_EQ(gone.unconfirmed, std::vector<std::string>{"a"});
  EXPECT_FALSE(host(gone, "a").events.connections_end);
  expect_unconcerned(gone, {"b", "c"});
  const Plan masked = plan_of(with("1: {volume: one}", "1: {volume: one, hosts: [a]}"));
  EXPECT_EQ(masked.unconfirmed, std::vector<std::string>{"b"});
  expect_unconcerned(masked, {"a", "c"});
  const Plan other = plan_of(with("1: {volume: one}", "1: {volume: three}"));
  EXPECT_EQ(other.unconfirmed, (std::vector<std::string>{"a", "b"}));
  const Plan lun = plan_of(with("0: {volume: three}", "1: {volume: three}"));
  EXPECT_EQ(lun.result(), PlanResult::changes) << "the disk is still there";
  EXPECT_TRUE(host(lun, "c").events.luns_changed);
}

TEST(Plan, AListenerThatGoesIsAPathLessOrTheLast) {
  std::string after = with("listeners: [l1, l2]", "listeners: [l2]");
  const Plan plan = plan_of(after);
  EXPECT_EQ(plan.unconfirmed, std::vector<std::string>{"b"}) << "a has another path";
  EXPECT_TRUE(host(plan, "a").events.connections_end);
  EXPECT_NE(host(plan, "a").sentences.at(0).find("other paths go on"), std::string::npos);
  const Plan moved =
      plan_of(with("address: 127.0.0.1, port: 4420", "address: 127.0.0.1, port: 4500"));
  EXPECT_EQ(moved.unconfirmed, std::vector<std::string>{"b"});
}

TEST(Plan, LimitsOfASubsystemMakeItsHostsComeAgain) {
  const Plan plan = plan_of(with("    hosts: [a, b]", "    mdts: 512KiB\n    hosts: [a, b]"));
  EXPECT_EQ(plan.result(), PlanResult::changes);
  EXPECT_EQ(plan.changes.at(0).effect, Effect::reconnects);
  EXPECT_EQ(host(plan, "a").effect, Effect::reconnects);
  EXPECT_EQ(host(plan, "a").pause, "about 10 s");
  expect_unconcerned(plan, {"c"});
}

TEST(Plan, OptionsOfAListenerAreForThoseWhoComeLater) {
  const Plan plan = plan_of(with("port: 4420}", "port: 4420, max_r2t: 2, idle_timeout: 60s}"));
  EXPECT_EQ(plan.result(), PlanResult::changes);
  EXPECT_EQ(plan.changes.at(0).effect, Effect::live);
  expect_unconcerned(plan, {"a", "b", "c"});
}

TEST(Plan, SecretsWithNewContentAreAChange) {
  const std::string chap = with(
      "  c: {iqn: \"iqn.1993-08.org.debian:01:5a7c1e9f2b\"}",
      "  c: {iqn: \"iqn.1993-08.org.debian:01:5a7c1e9f2b\", chap: {user: c, secret: \"file:/s\"}}");
  const config::Config same = parsed(chap);
  const Plan plan =
      make_plan(same, same, running(), {.rotated = {{config::SecretRef::Source::file, "/s"}}});
  EXPECT_EQ(plan.result(), PlanResult::changes);
  ASSERT_EQ(plan.changes.size(), 1U);
  EXPECT_EQ(plan.changes[0].change.path, "hosts.c");
  expect_unconcerned(plan, {"a", "b", "c"});
}

// Whatever the file says of them: a host's format has set the blocks, and they stay.
TEST(Plan, BlocksThatAHostHasSetAreNotTheFiles) {
  Running now = running();
  now.volumes["one"].block_size = {4096};
  now.volumes["one"].has_blocks_of_host = true;
  const char* const line = "one: {pool: p, size: 1GiB}";
  const Plan follows =
      plan_of(with(line, "one: {pool: p, size: 1GiB, block_size: 4096}", base), {}, now);
  EXPECT_TRUE(follows.warnings.empty()) << screen(follows);
  const std::string old = with(line, "one: {pool: p, size: 1GiB, block_size: 512}");
  const Plan same = make_plan(parsed(old), parsed(old), now, {});
  EXPECT_EQ(same.result(), PlanResult::nothing_to_do) << screen(same);
  ASSERT_EQ(same.warnings.size(), 1U) << screen(same);
  EXPECT_EQ(same.warnings[0].path, "volumes.one.block_size");
  EXPECT_NE(same.warnings[0].text.find("of 4096 bytes"), std::string::npos);
  for (const auto& [from, to] : {std::pair(base, old), std::pair(old, base)}) {
    const Plan plan = make_plan(parsed(from), parsed(to), now, {});
    EXPECT_EQ(plan.result(), PlanResult::changes) << screen(plan);
    EXPECT_EQ(plan.changes.at(0).effect, Effect::live);
    EXPECT_NE(screen(plan).find("nothing changes"), std::string::npos) << screen(plan);
    expect_unconcerned(plan, {"a", "b", "c"});
  }
}

TEST(Plan, WhoMayFormatIsToldWhereThatIsNews) {
  Running now = running();
  const std::string after =
      with("one: {pool: p, size: 1GiB}", "one: {pool: p, size: 1GiB, allow_format: true}");
  expect_unconcerned(plan_of(after, {}, now), {"a", "b", "c"});
  now.volumes["one"].takes_other_blocks = true;
  const Plan plan = plan_of(after, {}, now);
  EXPECT_TRUE(host(plan, "a").events.namespace_attributes);
  expect_unconcerned(plan, {"c"});
}

struct Refusal {
  const char* what;
  const char* by;
  const char* path;
  const char* reason;
};

TEST(Plan, WhatCannotBeIsRefusedWithItsPlaceAndReason) {
  const std::vector<Refusal> table{
      {"node: store1", "node: store2", "node", "taken at the start"},
      {"node: store1", "node: store1\nmemory: 2GiB", "memory", "taken at the start"},
      {"node: store1", "node: store1\nreactors: {count: 2}", "reactors.count", "restart"},
      {"node: store1", "node: store1\ncontrol: {socket: /run/x}", "control.socket", "restart"},
      {"one: {pool: p, size: 1GiB}", "one: {pool: p, size: 512MiB}", "volumes.one.size",
       "512MiB is smaller than the existing 1GiB; shrinking is refused."},
      {"one: {pool: p, size: 1GiB}", "one: {pool: p, size: 80GiB}", "volumes.one.size",
       "there is no space for 79 GiB more"},
      {"one: {pool: p, size: 1GiB}", "one: {pool: p, size: 1GiB, block_size: 512}",
       "volumes.one.block_size", "make another one, and copy"},
      {"  p: {kind: file, directory: /srv/p}",
       "  p: {kind: file, directory: /srv/p}\n  q: {kind: file, directory: /srv/q}\n", "", ""},
      {"directory: /srv/p", "directory: /srv/other", "pools.p.directory", "stays what its label"},
      {"path: /dev/dax0.0", "path: /dev/dax0.1", "cache_devices.d.path", "forebayctl retire"},
      {"path: /dev/dax0.0", "path: /dev/dax0.0, require: cache-line", "cache_devices.d.require",
       "retire"},
      {"    hosts: [a, b]", "    serial: ABC\n    hosts: [a, b]",
       "subsystems.nqn.2026-11.com.example:store.serial", "hosts know their disks by it"},
      {"    hosts: [a, b]", "    model: Other\n    hosts: [a, b]",
       "subsystems.nqn.2026-11.com.example:store.model", "hosts know their disks by it"},
      {"  two: {pool", "  huge: {pool: p, size: 60GiB}\n  two: {pool", "volumes.huge.size",
       "there is no space for it"},
  };
  for (const Refusal& row : table) {
    const Plan plan = plan_of(with(row.what, row.by));
    if (*row.path == '\0') {
      EXPECT_NE(plan.result(), PlanResult::refused) << row.by;
      continue;
    }
    EXPECT_EQ(plan.result(), PlanResult::refused) << row.by;
    ASSERT_EQ(plan.refusals.size(), 1U) << screen(plan);
    EXPECT_EQ(plan.refusals[0].path, row.path);
    EXPECT_NE(plan.refusals[0].text.find(row.reason), std::string::npos) << plan.refusals[0].text;
    EXPECT_NE(screen(plan).find(row.reason), std::string::npos);
  }
}

TEST(Plan, ACacheIsTakenFromAVolumeThatIsClean) {
  const std::string after =
      with("three: {pool: p, size: 2GiB, cache: {device: d}}", "three: {pool: p, size: 2GiB}");
  EXPECT_EQ(plan_of(after).changes.at(0).effect, Effect::drains);
  Running dirty = running();
  dirty.volumes["three"].cache->dirty = {std::uint64_t{11} << 30};
  const Plan plan = plan_of(after, {}, dirty);
  ASSERT_EQ(plan.refusals.size(), 1U);
  EXPECT_NE(plan.refusals[0].text.find("removed, but d holds 11 GiB dirty data"), std::string::npos)
      << plan.refusals[0].text;
  EXPECT_NE(plan.refusals[0].text.find("(forebayctl drain three)"), std::string::npos);
}

TEST(Plan, AListenerThatComesToAGroupOfWhichSomethingIsSaidIsToldToItsHosts) {
  const AccessStates said({{"east", block::AccessState::inaccessible}});
  Running now = running();
  now.access = said;
  const auto with_group = [](const char* listener) {
    return with(std::string(listener) + ": {", std::string(listener) + ": {group: east, ");
  };
  const Plan nvme = plan_of(with_group("l2"), {.access = said}, now);
  EXPECT_EQ(nvme.changes.at(0).effect, Effect::live);
  EXPECT_EQ(host(nvme, "a").effect, Effect::notified);
  EXPECT_TRUE(host(nvme, "a").events.ana);
  EXPECT_EQ(host(nvme, "a").sentences,
            (std::vector<std::string>{
                "AEN \"asymmetric namespace access changed\": l2 becomes inaccessible"}));
  expect_unconcerned(nvme, {"b", "c"});
  const auto json = boost::json::parse(to_json(nvme));
  EXPECT_EQ(json.at("hosts").at(0).at("events"), boost::json::array{"ana-changed"});

  const Plan scsi = plan_of(with_group("s1"), {.access = said}, now);
  EXPECT_TRUE(host(scsi, "c").events.access_changed);
  EXPECT_EQ(host(scsi, "c").sentences,
            (std::vector<std::string>{"unit attention: asymmetric access state changed"}));
  expect_unconcerned(scsi, {"a", "b"});

  // What goes with the plan is a change, though the file is as it was.
  now.access = AccessStates({{"l1", block::AccessState::change}});
  Plan dropped = plan_of(base, {}, now);
  EXPECT_EQ(dropped.result(), PlanResult::nothing_to_do);
  dropped.overrides = {{.kind = Override::Kind::access, .subject = "l1", .value = "change"}};
  dropped.drops_overrides = true;
  EXPECT_EQ(dropped.result(), PlanResult::changes);
  EXPECT_EQ(host(dropped, "a").sentences,
            (std::vector<std::string>{
                "AEN \"asymmetric namespace access changed\": l1 becomes optimized"}));
  EXPECT_NE(screen(dropped).find("--drop-overrides\n"), std::string::npos) << screen(dropped);
  EXPECT_EQ(screen(dropped).find("systemctl reload"), std::string::npos) << "it keeps them";
}

TEST(Plan, InitiatorsAreToldWhatAnotherModeMeans) {
  const auto mode = [](const char* word) {
    return with("cache: {device: d}", std::string("cache: {device: d, mode: ") + word + "}");
  };
  const auto small = [](const std::string& text) {
    return parsed(with("three: {pool: p,", "three: {block_size: 512, pool: p,", text));
  };
  Running now = running();
  now.caches[0].guarantee.medium = engine::PmemMedium::devdax;
  const Plan past = plan_of(mode("write-around"), {}, now);
  EXPECT_TRUE(host(past, "c").events.inquiry_changed) << screen(past);
  EXPECT_FALSE(host(past, "c").events.mode_changed);
  EXPECT_FALSE(host(past, "c").events.capacity_changed) << "it has blocks of 4096";
  const Plan of_small = make_plan(small(base), small(mode("write-around")), now, {});
  EXPECT_TRUE(host(of_small, "c").events.capacity_changed) << "on a disk of 512";
  now.volumes["three"].cache->backing_atomic_bytes = 4096;
  const Plan on_large = make_plan(small(base), small(mode("write-around")), now, {});
  EXPECT_FALSE(host(on_large, "c").events.capacity_changed);
  const Plan read_only = plan_of(mode("read-only"), {}, now);
  EXPECT_TRUE(host(read_only, "c").events.mode_changed);
  EXPECT_FALSE(host(read_only, "c").events.inquiry_changed);
  expect_unconcerned(plan_of(mode("write-through"), {}, now), {"a", "b", "c"});
  now.caches[0].guarantee.medium = engine::PmemMedium::tmpfs;
  expect_unconcerned(plan_of(mode("write-around"), {}, now), {"a", "b", "c"});
}

// It is judged when the cache is opened: until then nothing would hold a volume to it.
TEST(Plan, AtomicIsSaidToNeedARestartWhicheverWayItChanges) {
  const std::string with_it = with("three: {pool: p,", "three: {atomic: required, pool: p,");
  for (const auto& [before, after] : {std::pair(base, with_it), {with_it, base}}) {
    const Plan plan = make_plan(parsed(before), parsed(after), running(), {});
    EXPECT_EQ(plan.result(), PlanResult::refused);
    ASSERT_EQ(plan.refusals.size(), 1U) << screen(plan);
    EXPECT_EQ(plan.refusals[0].path, "volumes.three.atomic");
    EXPECT_NE(plan.refusals[0].text.find("is taken at the start of the daemon"), std::string::npos)
        << plan.refusals[0].text;
  }
}

TEST(Plan, AVolumeForAPoolThatIsNotThereIsRefused) {
  Running late = running();
  late.pools[0].open = false;
  late.pools[0].reason = "its disk is not there";
  const Plan plan =
      plan_of(with("  two: {pool", "  four: {pool: p, size: 5GiB}\n  two: {pool"), {}, late);
  ASSERT_EQ(plan.refusals.size(), 1U);
  EXPECT_NE(plan.refusals[0].text.find("its disk is not there"), std::string::npos);
}

TEST(Plan, WhatTheMachineSaysIsARefusal) {
  const config::Message message{
      .file = "f.yaml", .at = {.line = 3, .column = 5}, .path = "pools.q", .text = "no label."};
  const Plan plan = plan_of(base, {.messages = {message}});
  EXPECT_EQ(plan.result(), PlanResult::refused);
}

TEST(Plan, ARenamedVolumeIsNobodysLoss) {
  const std::string renamed =
      with("2: {volume: two,", "2: {volume: duo,",
           with("two: {pool: p, size: 2GiB}", "duo: {was: two, pool: p, size: 3GiB}"));
  const Plan plan = plan_of(renamed);
  ASSERT_EQ(plan.result(), PlanResult::changes) << screen(plan);
  ASSERT_EQ(plan.changes.size(), 1U);
  EXPECT_EQ(plan.changes[0].what, "renamed from two; hosts keep their disk; size: 2GiB -> 3GiB");
  EXPECT_TRUE(host(plan, "a").lost_volumes.empty());
  EXPECT_TRUE(host(plan, "a").events.namespace_attributes) << "it grows";
  expect_unconcerned(plan, {"b", "c"});

  // What the next start would not find is refused.
  Running retains = running();
  retains.pools[0].retained.push_back({.name = "duo", .uuid = {}, .size = {}, .block_size = {}});
  const Plan taken = plan_of(renamed, {}, retains);
  ASSERT_EQ(taken.refusals.size(), 1U) << screen(taken);
  EXPECT_EQ(taken.refusals[0].path, "volumes.duo.was");
  EXPECT_NE(taken.refusals[0].text.find("retains another volume duo"), std::string::npos);
  Running unwritten = running();
  unwritten.volumes["duo"] = unwritten.volumes.extract("two").mapped();
  const std::string without = with("was: two, ", "", renamed);
  const auto end = [&] { return make_plan(parsed(renamed), parsed(without), unwritten, {}); };
  EXPECT_EQ(end().result(), PlanResult::changes) << screen(end());
  unwritten.pools[0].renaming = {"duo"};
  ASSERT_EQ(end().refusals.size(), 1U);
  EXPECT_EQ(end().refusals[0].text, "pool p calls it two yet: keep the line until it does not.");
}

TEST(Plan, WarningsAreNoRefusals) {
  const std::string shared = with("2: {volume: two, hosts: [a]}", "2: {volume: two}");
  const Plan plan = plan_of(shared);
  EXPECT_EQ(plan.result(), PlanResult::changes);
  ASSERT_EQ(plan.warnings.size(), 1U) << screen(plan);
  EXPECT_NE(plan.warnings[0].text.find("is open to 2 hosts"), std::string::npos);
  Running reserved = running();
  reserved.volumes["two"].is_reserved = true;
  EXPECT_TRUE(plan_of(shared, {}, reserved).warnings.empty());
  const Plan single =
      plan_of(with("listeners: [l1, l2]", "listeners: [l1]"), {.disconnect = {"a", "b"}});
  ASSERT_EQ(single.warnings.size(), 1U);
  EXPECT_NE(single.warnings[0].text.find("one path only"), std::string::npos);
}

TEST(Plan, AsJsonItHasWhatTheScreenHas) {
  const Plan plan = plan_of(with("hosts: [a, b]", "hosts: [a]"), {.hash = "a90c4f30"});
  const auto json = boost::json::parse(to_json(plan));
  EXPECT_EQ(json.at("result").as_string(), "needs-confirmation");
  EXPECT_EQ(json.at("exit_code").as_int64(), 3);
  EXPECT_EQ(json.at("running_hash").as_string(), "e41c7a90");
  EXPECT_EQ(json.at("file_hash").as_string(), "a90c4f30");
  EXPECT_EQ(json.at("unconfirmed").as_array().at(0).as_string(), "b");
  EXPECT_EQ(
      json.at("changes").as_array().at(0).at("keys").as_array().at(0).at("before").as_string(),
      "[a, b]");
  EXPECT_FALSE(json.at("applied").as_bool());
}

}  // namespace
}  // namespace target
