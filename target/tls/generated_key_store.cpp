#include "target/tls/generated_key_store.h"

#include <algorithm>
#include <utility>

#include "engine/foundation/check.h"
#include "protocol/tls/psk.h"

namespace target::tls {

namespace ptls = protocol::tls;
using KeysGuard = std::lock_guard<std::mutex>;

struct GeneratedKeyStore::Keys {
  struct Entry {
    ChosenKey key;
    engine::Instant since{};
    bool is_held = false;

    [[nodiscard]] bool is_over(engine::Instant now) const {
      return !is_held && now - since > time_to_return;
    }
  };

  mutable std::mutex mutex;  // guards the rest; a leaf
  std::map<std::string, Entry, std::less<>> by_identity;

  // Makes room for one that nobody holds.
  void tidy(engine::Instant now) {
    std::erase_if(by_identity, [now](const auto& item) { return item.second.is_over(now); });
    const auto waits = [](const auto& item) { return !item.second.is_held; };
    const auto waiting = std::ranges::count_if(by_identity, waits);
    if (static_cast<std::size_t>(waiting) < most_waiting) return;
    auto oldest = by_identity.end();
    for (auto at = by_identity.begin(); at != by_identity.end(); ++at) {
      if (!waits(*at)) continue;
      if (oldest == by_identity.end() || at->second.since < oldest->second.since) oldest = at;
    }
    by_identity.erase(oldest);
  }
};

class GeneratedKeyStore::Held final : public GeneratedKeys::Hold {
 public:
  Held(std::shared_ptr<Keys> keys, std::string identity)
      : keys_(std::move(keys)), identity_(std::move(identity)) {}
  ~Held() override {
    const KeysGuard guard(keys_->mutex);
    keys_->by_identity.erase(identity_);
  }
  [[nodiscard]] const std::string& identity() const override { return identity_; }

 private:
  const std::shared_ptr<Keys> keys_;
  const std::string identity_;
};

GeneratedKeyStore::GeneratedKeyStore() : keys_(std::make_shared<Keys>()) {}

GeneratedKeyStore::~GeneratedKeyStore() = default;

std::string GeneratedKeyStore::keep(const GeneratedKey& key, engine::Instant now) {
  const ptls::Hash hash = key.is_sha384 ? ptls::Hash::sha384 : ptls::Hash::sha256;
  CHECK(key.psk.size() == ptls::bytes_of(hash));
  ptls::Secret generated{.size = key.psk.size()};
  std::ranges::copy(key.psk, generated.bytes().begin());
  const std::string identity =
      ptls::psk_identity(ptls::IdentityVersion::v1, hash, {key.host_nqn, key.subsystem_nqn},
                         generated, ptls::Origin::generated);
  const auto psk = ptls::tls_psk(ptls::IdentityVersion::v1, hash, identity, generated,
                                 ptls::Derivation::rfc8446);
  CHECK(psk.has_value());
  const KeysGuard guard(keys_->mutex);
  keys_->tidy(now);
  keys_->by_identity.insert_or_assign(identity,
                                      Keys::Entry{.key = {.name = "generated",
                                                          .host_nqn = key.host_nqn,
                                                          .subsystem_nqn = key.subsystem_nqn,
                                                          .version = ptls::IdentityVersion::v1,
                                                          .derivation = ptls::Derivation::rfc8446,
                                                          .identity = identity,
                                                          .hash = hash,
                                                          .psk = *psk,
                                                          .origin = ptls::Origin::generated},
                                                  .since = now});
  return identity;
}

std::unique_ptr<GeneratedKeys::Hold> GeneratedKeyStore::hold(std::string_view identity,
                                                             engine::Instant now) {
  const KeysGuard guard(keys_->mutex);
  const auto found = keys_->by_identity.find(identity);
  if (found == keys_->by_identity.end()) return nullptr;
  if (found->second.is_held || found->second.is_over(now)) return nullptr;
  found->second.is_held = true;
  return std::make_unique<Held>(keys_, found->first);
}

std::optional<ChosenKey> GeneratedKeyStore::choose(const ptls::ClientHello& hello,
                                                   engine::Instant now) const {
  const KeysGuard guard(keys_->mutex);
  for (const ptls::OfferedPsk& offered : hello.psks) {
    const auto found = keys_->by_identity.find(offered.identity);
    if (found == keys_->by_identity.end() || found->second.is_over(now)) continue;
    const ChosenKey& key = found->second.key;
    if (is_binder_of(key.hash, key.psk, hello.truncated, offered.binder)) return key;
  }
  return std::nullopt;
}

std::size_t GeneratedKeyStore::size() const {
  const KeysGuard guard(keys_->mutex);
  return keys_->by_identity.size();
}

}  // namespace target::tls
