// Random commands of hosts of both protocols, and restarts, against a model that says what the
// standards say in the simplest words: a map of keys, a set of holders.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "target/block/reservations.h"
#include "tests/sim/rounds.h"
#include "tests/target/block/keeping_volume.h"
#include "tests/target/block/reservation_parties.h"

namespace target::block {
namespace {

using Outcome = ReservationOutcome;

struct Model {
  std::map<int, std::uint64_t> keys;  // by party
  int type = 0;                       // 0: no reservation
  int holder = 0;                     // unless all registrants hold it
  bool persists = false;
  std::map<int, std::multiset<int>>
      notices;  // 1: registration preempted, 2: released, 3: preempted

  [[nodiscard]] bool all() const { return type >= 5; }
  [[nodiscard]] bool shared() const { return type >= 3; }
  [[nodiscard]] bool holds(int party) const {
    return type != 0 && (all() ? keys.contains(party) : holder == party);
  }
  [[nodiscard]] bool may(int party, bool writes) const {
    const bool others_read = type == 1 || type == 3 || type == 5;
    if (type == 0 || (!writes && others_read)) return true;
    return holds(party) || (shared() && keys.contains(party));
  }
  void tell(int but, int what) {
    for (const auto& [party, key] : keys) {
      if (party != but) notices[party].insert(what);
    }
  }
  void forget(int party) {
    const bool ends = holds(party) && (!all() || keys.size() == 1);
    keys.erase(party);
    if (!ends) return;
    if (shared()) tell(party, 2);
    type = 0;
  }
  [[nodiscard]] bool is(int party, std::uint64_t key) const {
    const auto found = keys.find(party);
    return found != keys.end() && found->second == key;
  }

  Outcome add(int party, std::uint64_t key) {
    if (key == 0) return Outcome::bad_field;
    if (keys.contains(party) && keys[party] != key) return Outcome::conflict;
    keys[party] = key;
    return Outcome::done;
  }
  Outcome replace(int party, std::uint64_t key, std::uint64_t to, bool ignore) {
    if (to == 0) return Outcome::bad_field;
    if (!ignore && !is(party, key)) return Outcome::conflict;
    keys[party] = to;
    return Outcome::done;
  }
  Outcome remove(int party, std::uint64_t key, bool ignore) {
    if (!keys.contains(party) || (!ignore && !is(party, key))) return Outcome::conflict;
    forget(party);
    return Outcome::done;
  }
  Outcome scsi_register(int party, std::uint64_t key, std::uint64_t to, bool ignore) {
    const std::uint64_t now = keys.contains(party) ? keys[party] : 0;
    if (!ignore && key != now) return Outcome::conflict;
    if (to != 0) {
      keys[party] = to;
    } else if (now != 0) {
      forget(party);
    }
    return Outcome::done;
  }
  // SPEC_I_PT, and ALL_TG_PT: `paths` are treated as if they had sent the same.
  Outcome scsi_register_more(int party, std::uint64_t key, std::uint64_t to, bool ignore,
                             const std::vector<int>& paths, const std::set<int>* others) {
    std::set<int> senders(paths.begin(), paths.end());
    senders.insert(party);
    for (const int sender : senders) {
      if (!ignore && key != (keys.contains(sender) ? keys[sender] : 0)) return Outcome::conflict;
    }
    if (others != nullptr && keys.contains(party)) return Outcome::bad_field;
    // In the order in which the notices of an ending reservation come.
    (void)scsi_register(party, key, to, true);
    for (const int path : paths) (void)scsi_register(path, key, to, true);
    if (others == nullptr || to == 0) return Outcome::done;
    for (const int other : *others) keys.insert({other, to});
    return Outcome::done;
  }
  Outcome reserve(int party, std::uint64_t key, int wanted) {
    if (!is(party, key)) return Outcome::conflict;
    if (type != 0) return holds(party) && type == wanted ? Outcome::done : Outcome::conflict;
    type = wanted;
    holder = party;
    return Outcome::done;
  }
  Outcome release(int party, std::uint64_t key, int wanted) {
    if (!is(party, key)) return Outcome::conflict;
    if (!holds(party)) return Outcome::done;
    if (type != wanted) return Outcome::wrong_release;
    if (shared()) tell(party, 2);
    type = 0;
    return Outcome::done;
  }
  Outcome clear(int party, std::uint64_t key) {
    if (!is(party, key)) return Outcome::conflict;
    tell(party, 3);
    keys.clear();
    type = 0;
    return Outcome::done;
  }
  Outcome preempt(int party, std::uint64_t key, std::uint64_t victim, int wanted) {
    if (!is(party, key)) return Outcome::conflict;
    const bool takes = type != 0 && (all() ? victim == 0 : victim == keys[holder]);
    if (!takes && type != 0 && !all() && victim == 0) return Outcome::bad_field;
    std::set<int> victims;
    for (const auto& [other, its] : keys) {
      const bool meant = (takes && all()) || its == victim;
      if (meant) victims.insert(other);
    }
    if (takes) victims.erase(party);
    if (!takes && victims.empty()) return Outcome::conflict;
    for (const int other : victims) {
      if (other != party) notices[other].insert(1);
      if (takes) {
        keys.erase(other);
      } else {
        forget(other);
      }
    }
    if (takes) {
      if (type != wanted) tell(party, 2);
      type = wanted;
      holder = party;
    }
    return Outcome::done;
  }
};

struct Ear final : ReservationListener {
  std::multiset<int> heard;
  void reservation_notice(ReservationNotice notice) noexcept override {
    heard.insert(static_cast<int>(notice) + 1);
  }
  void abort_commands(AbortTicket) noexcept override {}
};

constexpr int parties = 5;

PartyId party_of(int party) {
  return party % 2 == 0 ? test_host(static_cast<std::uint64_t>(party))
                        : test_nexus("iqn.2026-11.com.example:m", static_cast<std::uint8_t>(party));
}

class Walk {
 public:
  explicit Walk(std::uint64_t seed) : random_(seed) { begin(); }
  ~Walk() { end(); }
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  void step() {
    const int party = number(0, parties - 1);
    const auto key = static_cast<std::uint64_t>(number(0, 4));
    // Mostly the right one, or next to nothing would succeed.
    const bool knows = number(0, 3) != 0 && model_.keys.contains(party);
    const std::uint64_t own = knows ? model_.keys[party] : key;
    const auto other = static_cast<std::uint64_t>(number(0, 4));
    const int type = number(1, 6);
    const bool flag = number(0, 1) != 0;
    const auto as_type = static_cast<ReservationType>(type);
    switch (number(0, 9)) {
      case 0:
        return run(party, change::AddKey{other}, model_.add(party, other));
      case 1:
        return run(party, change::ReplaceKey{own, other, flag},
                   model_.replace(party, own, other, flag));
      case 2:
        return run(party, change::RemoveKey{own, flag}, model_.remove(party, own, flag));
      case 3:
        return run(party, change::Register{own, other, flag},
                   model_.scsi_register(party, own, other, flag));
      case 4:
        return run(party, change::Reserve{own, as_type}, model_.reserve(party, own, type));
      case 5:
        return run(party, change::Release{own, as_type}, model_.release(party, own, type));
      case 6:
        if (number(0, 3) == 0) return run(party, change::Clear{own}, model_.clear(party, own));
        return;
      case 7:
        return run(party, change::Preempt{own, other, as_type, flag},
                   model_.preempt(party, own, other, type));
      case 8:
        return register_more(party, own, other, flag);
      default:
        if (number(0, 9) == 0) restart();
    }
  }

 private:
  int number(int from, int to) { return std::uniform_int_distribution(from, to)(random_); }

  void begin() {
    reservations_ = std::make_unique<Reservations>(volume_);
    for (int party = 0; party < parties; ++party) {
      ears_.push_back(std::make_unique<Ear>());
      paths_.push_back(
          std::make_unique<ReservationPath>(*reservations_, party_of(party), *ears_.back()));
    }
  }
  void end() {
    paths_.clear();
    ears_.clear();
    reservations_.reset();
  }
  void restart() {
    end();
    begin();
    model_.notices.clear();
    if (!model_.persists) model_ = {};
    compare();
  }

  void register_more(int party, std::uint64_t key, std::uint64_t new_key, bool ignore) {
    change::Register wanted{.key = key, .new_key = new_key, .ignore_key = ignore};
    std::vector<int> paths;
    std::set<int> others;
    for (int each = 0; each < parties; ++each) {
      if (each != party && number(0, 3) == 0) {
        paths.push_back(each);
        wanted.other_paths.push_back(party_of(each));
      } else if (number(0, 2) == 0) {
        others.insert(each);
      }
    }
    const bool specified = number(0, 1) != 0;
    if (specified) {
      wanted.others.emplace();
      for (const int other : others) wanted.others->push_back(party_of(other));
    }
    const Outcome expected = model_.scsi_register_more(party, key, new_key, ignore, paths,
                                                       specified ? &others : nullptr);
    run(party, wanted, expected);
  }

  void run(int party, const ReservationChange& change, Outcome expected) {
    std::optional<bool> persist;
    if (change.index() <= 3 && number(0, 3) == 0) persist = number(0, 1) != 0;
    std::optional<Outcome> outcome;
    reservations_->change(*paths_[static_cast<std::size_t>(party)], change, persist,
                          [&](Outcome what) { outcome = what; });
    ASSERT_EQ(outcome, expected) << "change " << change.index() << " of " << party;
    if (expected == Outcome::done && persist) model_.persists = *persist;
    compare();
  }

  void compare() {
    const auto now = *reservations_->report();
    ASSERT_TRUE(now.is_sound());
    ASSERT_EQ(now.persists, model_.persists);
    ASSERT_EQ(now.type ? static_cast<int>(*now.type) : 0, model_.type);
    ASSERT_EQ(now.registrants.size(), model_.keys.size());
    for (int party = 0; party < parties; ++party) {
      SCOPED_TRACE(party);
      const auto at = static_cast<std::size_t>(party);
      const Registrant* const found = now.find(party_of(party));
      ASSERT_EQ(found != nullptr, model_.keys.contains(party));
      if (found != nullptr) {
        ASSERT_EQ(found->key, model_.keys[party]);
        ASSERT_EQ(found->holder, model_.holds(party));
      }
      for (const bool writes : {false, true}) {
        const auto access = writes ? ReservationAccess::write : ReservationAccess::read;
        ASSERT_EQ(paths_[at]->may(access) == ReservationVerdict::allowed,
                  model_.may(party, writes));
      }
      ASSERT_EQ(ears_[at]->heard, model_.notices[party]);
    }
  }

  std::mt19937_64 random_;
  KeepingVolume volume_;
  Model model_;
  std::unique_ptr<Reservations> reservations_;
  std::vector<std::unique_ptr<Ear>> ears_;
  std::vector<std::unique_ptr<ReservationPath>> paths_;
};

TEST(ReservationModel, RandomCommandsOfBothProtocols) {
  for (unsigned seed = 1; seed <= engine::rounds(200); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Walk walk(seed);
    for (int step = 0; step < 300 && !testing::Test::HasFatalFailure(); ++step) walk.step();
    if (testing::Test::HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace target::block
