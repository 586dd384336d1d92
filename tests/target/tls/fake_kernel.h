// FakeKernel: a stream whose socket carries TLS's records, as Linux does with its module tls: made
// of the bytes that setsockopt() is given, by OpenSSL, with nothing of ours.
#pragma once

#include <linux/tls.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "engine/foundation/check.h"
#include "target/net/record_socket.h"
#include "tests/sim/sim_stream.h"

namespace target::tls {

// What the kernel is, and what it has been asked; outlives the stream.
struct KernelBehaviour {
  bool has_tls = true;
  bool takes_receiving = true;
  bool takes_sending = true;
  bool changes_keys = true;  // since 6.14
  std::size_t largest_control_piece = 64;
  std::size_t full_controls = 0;  // so many records that are not data find no room
  bool attached = false;
  int keys_for_receiving = 0;  // given
  int keys_for_sending = 0;
};

class FakeKernel final : public ByteStream, private RecordSocket {
 public:
  FakeKernel(std::shared_ptr<SimWire> wire, KernelBehaviour& behaviour)
      : wire_(wire), socket_(std::move(wire)), behaviour_(behaviour) {}

  engine::Result<std::size_t, StreamError> read(std::span<const iovec> into) override {
    CHECK(!receiving_);
    return socket_.read(into);
  }
  engine::Result<std::size_t, StreamError> write(std::span<const iovec> from) override {
    if (!sending_) return socket_.write(from);
    std::vector<std::byte> content;
    for (const iovec& piece : from) {
      const auto* const bytes = static_cast<const std::byte*>(piece.iov_base);
      content.insert(content.end(), bytes, bytes + piece.iov_len);
    }
    content.resize(std::min<std::size_t>(content.size(), 16384));
    return seal(23, content);
  }
  void when_readable(std::function<void()> callback) override {
    socket_.when_readable(std::move(callback));
  }
  void when_writable(std::function<void()> callback) override {
    socket_.when_writable(std::move(callback));
  }
  void finish_writing() override { socket_.finish_writing(); }
  void settle() override { socket_.settle(); }
  void close() override { socket_.close(); }
  RecordSocket* record_socket() override { return this; }
  const std::string& peer_address() const override { return socket_.peer_address(); }
  const std::string& local_address() const override { return socket_.local_address(); }

 private:
  struct Cipher {
    std::vector<unsigned char> key;
    std::array<unsigned char, 12> nonce{};
    std::uint64_t sequence = 0;

    // The next record: in place, the tag behind it. False: it does not open.
    bool run(bool seals, std::span<const unsigned char> header, std::span<unsigned char> text,
             unsigned char* tag) {
      auto nonce_now = nonce;
      for (std::size_t i = 0; i < 8; ++i) {
        nonce_now[11 - i] ^= static_cast<unsigned char>(sequence >> (8 * i));
      }
      ++sequence;
      EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
      const EVP_CIPHER* const gcm = key.size() == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
      int done = 0;
      CHECK(EVP_CipherInit_ex(context, gcm, nullptr, key.data(), nonce_now.data(), seals) == 1);
      CHECK(EVP_CipherUpdate(context, nullptr, &done, header.data(), 5) == 1);
      CHECK(EVP_CipherUpdate(context, text.data(), &done, text.data(),
                             static_cast<int>(text.size())) == 1);
      if (!seals) CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, tag) == 1);
      const bool good = EVP_CipherFinal_ex(context, tag, &done) == 1;
      if (seals) CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1);
      EVP_CIPHER_CTX_free(context);
      return good;
    }
  };

  template <class Info>
  static Cipher cipher_of(std::span<const std::byte> bytes) {
    Info info;
    CHECK(bytes.size() == sizeof(info));
    std::memcpy(&info, bytes.data(), sizeof(info));
    Cipher cipher;
    cipher.key.assign(info.key, info.key + sizeof(info.key));
    std::memcpy(cipher.nonce.data(), info.salt, 4);
    std::memcpy(cipher.nonce.data() + 4, info.iv, 8);
    for (const unsigned char byte : info.rec_seq) cipher.sequence = cipher.sequence << 8 | byte;
    return cipher;
  }

  bool attach() override { return behaviour_.attached = behaviour_.has_tls; }

  bool set_keys(Direction direction, std::span<const std::byte> bytes) override {
    CHECK(behaviour_.attached);
    const bool sends = direction == Direction::send;
    if (!(sends ? behaviour_.takes_sending : behaviour_.takes_receiving)) return false;
    int& given = sends ? behaviour_.keys_for_sending : behaviour_.keys_for_receiving;
    if (given != 0 && !behaviour_.changes_keys) return false;
    ++given;
    tls_crypto_info head;
    std::memcpy(&head, bytes.data(), sizeof(head));
    CHECK(head.version == TLS_1_3_VERSION);
    (sends ? sending_ : receiving_) = head.cipher_type == TLS_CIPHER_AES_GCM_128
                                          ? cipher_of<tls12_crypto_info_aes_gcm_128>(bytes)
                                          : cipher_of<tls12_crypto_info_aes_gcm_256>(bytes);
    return true;
  }

  engine::Result<std::size_t, StreamError> seal(std::uint8_t type,
                                                std::span<const std::byte> content) {
    const std::size_t length = content.size() + 1 + 16;
    if (wire_->room - std::min(wire_->room, wire_->to_host.size()) < length + 5) {
      return StreamError::would_block;
    }
    std::vector<unsigned char> record{23, 3, 3, static_cast<unsigned char>(length >> 8),
                                      static_cast<unsigned char>(length & 0xff)};
    record.resize(5 + length);
    std::memcpy(record.data() + 5, content.data(), content.size());
    record[5 + content.size()] = type;
    const std::span all(record);
    CHECK(sending_->run(true, all.first(5), all.subspan(5, content.size() + 1),
                        record.data() + 5 + content.size() + 1));
    const iovec piece{.iov_base = record.data(), .iov_len = record.size()};
    CHECK(socket_.write({&piece, 1}).value() == record.size());
    return content.size();
  }

  engine::Result<Received, StreamError> receive(std::span<const iovec> into) override {
    CHECK(receiving_);
    if (opened_.empty()) {
      auto& wire = wire_->to_target;
      const std::size_t length = wire.size() < 5 ? 0
                                                 : std::to_integer<std::size_t>(wire[3]) << 8 |
                                                       std::to_integer<std::size_t>(wire[4]);
      if (wire.size() < 5 || wire.size() < 5 + length) {
        return wire_->host_closed ? StreamError::closed : StreamError::would_block;
      }
      std::vector<unsigned char> record(5 + length);
      std::memcpy(record.data(), wire.data(), record.size());
      wire.erase(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(record.size()));
      const std::span all(record);
      if (!receiving_->run(false, all.first(5), all.subspan(5, length - 16),
                           record.data() + 5 + length - 16)) {
        return Received{.is_damaged = true};
      }
      type_ = record[5 + length - 16 - 1];
      const auto text = std::as_bytes(all.subspan(5, length - 16 - 1));
      opened_.assign(text.begin(), text.end());
    }
    std::size_t limit = opened_.size();
    if (type_ != 23) limit = std::min(limit, behaviour_.largest_control_piece);
    std::size_t moved = 0;
    for (const iovec& place : into) {
      const std::size_t part = std::min(limit - moved, place.iov_len);
      std::memcpy(place.iov_base, opened_.data() + moved, part);
      moved += part;
    }
    opened_.erase(opened_.begin(), opened_.begin() + static_cast<std::ptrdiff_t>(moved));
    return Received{.bytes = moved, .type = type_, .is_whole = opened_.empty()};
  }

  engine::Result<void, StreamError> send(std::uint8_t type,
                                         std::span<const std::byte> content) override {
    CHECK(sending_);
    if (behaviour_.full_controls != 0) {
      --behaviour_.full_controls;
      return StreamError::would_block;
    }
    if (const auto sealed = seal(type, content); !sealed) return sealed.error();
    return engine::success();
  }

  const std::shared_ptr<SimWire> wire_;
  SimStream socket_;
  KernelBehaviour& behaviour_;
  std::optional<Cipher> receiving_;
  std::optional<Cipher> sending_;
  std::vector<std::byte> opened_;
  std::uint8_t type_ = 0;
};

}  // namespace target::tls
