// The protection of TLS 1.3 records (RFC 8446, 5.2 to 5.3) in one direction, by OpenSSL's AES-GCM,
// piece by piece: from where data lies to where it belongs, without a copy between.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "protocol/tls/hash.h"

struct evp_cipher_ctx_st;

namespace protocol::tls {

enum class ContentType : std::uint8_t {
  change_cipher_spec = 20,
  alert = 21,
  handshake = 22,
  application_data = 23,
};

inline constexpr std::size_t record_header_bytes = 5;
inline constexpr std::size_t record_tag_bytes = 16;
inline constexpr std::size_t record_overhead_bytes =
    record_header_bytes + 1 + record_tag_bytes;  // with the content's type
inline constexpr std::size_t largest_content_bytes = 1U << 14;
inline constexpr std::size_t largest_protected_bytes = largest_content_bytes + 256;

// What a direction is protected with at one moment, for who protects it instead.
struct RecordKeys {
  Hash suite = Hash::sha256;
  Secret key;  // 16 or 32 bytes
  std::array<std::byte, 12> iv{};
  std::uint64_t sequence = 0;  // of the next record
};

// Key, nonces and the count of records of one direction. One thread at a time.
class RecordCipher {
 public:
  enum class Direction : std::uint8_t { seal, open };

  RecordCipher(Hash hash, const Secret& traffic_secret, Direction direction);
  RecordCipher(const RecordCipher&) = delete;
  RecordCipher& operator=(const RecordCipher&) = delete;
  ~RecordCipher();

  // Goes over to the next generation of keys (RFC 8446, 7.2), whose records count from 0.
  void update();
  [[nodiscard]] std::uint64_t records() const { return sequence_; }
  // Not between begin and end. The caller wipes the key.
  [[nodiscard]] RecordKeys keys() const;

  // Sealing: `into` has room for the content and record_overhead_bytes. All content is added, in
  // order; nothing is allocated on the way, so that add() may be abandoned in the middle if the
  // cipher is never used again.
  void begin_sealing(std::size_t content_bytes, std::span<std::byte> into);
  void add(std::span<const std::byte> content) noexcept;
  void end_sealing(ContentType type);

  // Opening: `header` is the record's, `body` all that follows it (its length is at least
  // record_tag_bytes + 1). All of it but the tag is taken, in order, into any places (also where it
  // lies); none of it may be believed before end_opening() has said true.
  void begin_opening(std::span<const std::byte> header, std::span<const std::byte> body);
  void take(std::span<std::byte> into);
  [[nodiscard]] bool end_opening();

 private:
  struct FreeContext {
    void operator()(evp_cipher_ctx_st* context) const;
  };
  void derive_keys();
  void begin(std::span<const std::byte> header);

  const Hash hash_;
  const Direction direction_;
  Secret secret_;
  std::array<std::byte, 12> iv_{};
  std::uint64_t sequence_ = 0;
  std::unique_ptr<evp_cipher_ctx_st, FreeContext> context_;
  std::span<std::byte> sealed_;      // what is left of `into`
  std::span<const std::byte> body_;  // what is left to open, tag included
};

}  // namespace protocol::tls
