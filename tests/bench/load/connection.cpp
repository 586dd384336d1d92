#include "tests/bench/load/connection.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/foundation/crc32c.h"
#include "tests/client/command.h"

namespace bench {
namespace {

// Big enough that one recv empties a busy socket, small enough to stay in the core's cache.
constexpr std::size_t inbox_bytes = 512 << 10;
constexpr std::size_t capsule_bytes = 72;
constexpr std::size_t h2c_header_bytes = 24;
constexpr std::size_t record_bytes = 16384;  // the most that a record of TLS holds

std::size_t align_up(std::size_t value, std::size_t unit) {
  return (value + unit - 1) / unit * unit;
}

// The header of a capsule with everything but CID and LBA (and digest).
std::vector<std::byte> capsule_template(const ConnectionSettings& settings, bool read,
                                        bool in_capsule) {
  const std::uint32_t blocks = settings.unit_bytes / settings.lba_bytes;
  client::Command command = client::io::read(settings.nsid, 0, blocks, settings.lba_bytes);
  if (!read) command.entry.byte(0, client::opcode::write);
  command.entry.sgl(in_capsule ? client::sgl_in_capsule : client::sgl_transport, 0,
                    settings.unit_bytes);
  client::Pdu pdu = client::command_capsule(command.entry.bytes());
  if (in_capsule) pdu.data.resize(settings.unit_bytes);
  client::Bytes encoded = client::encode(pdu, settings.outgoing);
  const std::size_t data_at = in_capsule ? client::get<std::uint8_t>(encoded, 3) : encoded.size();
  encoded.resize(data_at);
  return encoded;
}

}  // namespace

LoadConnection::LoadConnection(const ConnectionSettings& settings,
                               std::span<const std::byte> pattern)
    : settings_(settings),
      pattern_(pattern.first(settings.unit_bytes)),
      pattern_digest_(engine::crc32c(pattern_)),
      slots_(settings.depth),
      inbox_(inbox_bytes) {
  const bool in_capsule = settings.unit_bytes <= settings.in_capsule_bytes;
  read_template_ = capsule_template(settings, true, false);
  write_template_ = capsule_template(settings, false, in_capsule);
  for (Slot& slot : slots_) slot.by_r2t = !in_capsule;
  free_.reserve(settings.depth);
  for (std::uint32_t i = settings.depth; i-- > 0;) free_.push_back(static_cast<std::uint16_t>(i));
  if (settings.keep_data) buffers_.resize(std::size_t{settings.depth} * settings.unit_bytes);
  if (settings.tls != nullptr) record_.resize(record_bytes);
  outbox_.reserve(std::size_t{settings.depth} * 4 + 4096,
                  std::size_t{settings.depth} * 512 + 65536);
}

LoadConnection::~LoadConnection() {
  if (settings_.socket >= 0) ::close(settings_.socket);
}

std::optional<std::uint16_t> LoadConnection::acquire() {
  if (free_.empty()) return std::nullopt;
  const std::uint16_t slot = free_.back();
  free_.pop_back();
  return slot;
}

std::span<std::byte> LoadConnection::data(std::uint16_t slot) {
  if (buffers_.empty()) return {};
  return std::span(buffers_).subspan(std::size_t{slot} * settings_.unit_bytes,
                                     settings_.unit_bytes);
}

std::span<const std::byte> LoadConnection::write_data(std::uint16_t slot) const {
  if (buffers_.empty()) return pattern_;
  return std::span(buffers_).subspan(std::size_t{slot} * settings_.unit_bytes,
                                     settings_.unit_bytes);
}

void LoadConnection::submit(std::uint16_t slot) {
  slots_[slot].received = 0;
  slots_[slot].requested = 0;
  slots_[slot].submitted = true;
  write_capsule(slot);
}

void LoadConnection::write_capsule(std::uint16_t slot) {
  const Request& request = slots_[slot].request;
  const std::vector<std::byte>& from = request.read ? read_template_ : write_template_;
  const std::span<std::byte> header = outbox_.header(from.size());
  std::memcpy(header.data(), from.data(), from.size());
  client::put(header, 8 + 2, slot);
  client::put(header, 8 + 40, request.unit * (settings_.unit_bytes / settings_.lba_bytes));
  if (settings_.outgoing.header_digest) {
    client::put(header, capsule_bytes, engine::crc32c(header.first(capsule_bytes)));
  }
  if (request.read || slots_[slot].by_r2t) return;
  const auto payload = write_data(slot);
  outbox_.data(payload);
  if (settings_.outgoing.data_digest) {
    queue_digest(buffers_.empty() ? pattern_digest_ : engine::crc32c(payload));
  }
}

void LoadConnection::queue_digest(std::uint32_t digest) {
  client::put(outbox_.header(digest_bytes), 0, digest);
}

void LoadConnection::queue_h2c_data(std::uint16_t slot, std::uint16_t ttag, std::uint32_t offset,
                                    std::uint32_t bytes) {
  const client::Framing& framing = settings_.outgoing;
  const std::size_t after_header = h2c_header_bytes + (framing.header_digest ? digest_bytes : 0);
  const std::size_t data_at =
      align_up(after_header, std::max<std::uint32_t>(framing.data_alignment, 4));
  for (std::uint32_t sent = 0; sent < bytes;) {
    const std::uint32_t piece = std::min(bytes - sent, settings_.maxh2cdata);
    const bool last = sent + piece == bytes;
    const auto payload = write_data(slot).subspan(offset + sent, piece);
    const std::span<std::byte> header = outbox_.header(data_at);
    std::fill(header.begin(), header.end(), std::byte{0});
    client::put(header, 0, static_cast<std::uint8_t>(client::PduType::h2c_data));
    client::put(
        header, 1,
        static_cast<std::uint8_t>((framing.header_digest ? client::pdu_flag::header_digest : 0) |
                                  (framing.data_digest ? client::pdu_flag::data_digest : 0) |
                                  (last ? client::pdu_flag::last : 0)));
    client::put(header, 2, static_cast<std::uint8_t>(h2c_header_bytes));
    client::put(header, 3, static_cast<std::uint8_t>(data_at));
    client::put(
        header, 4,
        static_cast<std::uint32_t>(data_at + piece + (framing.data_digest ? digest_bytes : 0)));
    client::put(header, 8, slot);
    client::put(header, 10, ttag);
    client::put(header, 12, offset + sent);
    client::put(header, 16, piece);
    if (framing.header_digest) {
      client::put(header, h2c_header_bytes, engine::crc32c(header.first(h2c_header_bytes)));
    }
    outbox_.data(payload);
    if (framing.data_digest) queue_digest(engine::crc32c(payload));
    sent += piece;
  }
}

bool LoadConnection::flush() {
  if (settings_.tls != nullptr) return flush_sealed();
  const int failure = outbox_.flush(settings_.socket);
  return failure == 0 || fail(fmt::format("send: {}", std::strerror(failure)));
}

bool LoadConnection::flush_sealed() {
  while (!outbox_.empty()) {
    const auto written = settings_.tls->write_some(outbox_.gather(record_));
    if (!written) return fail(written.error().describe());
    if (written.value() == 0) break;
    outbox_.sent(written.value());
  }
  return true;
}

bool LoadConnection::receive(std::vector<Done>& done) {
  if (settings_.tls != nullptr) return receive_sealed(done);
  const ssize_t got = ::recv(settings_.socket, inbox_.data() + inbox_used_,
                             inbox_.size() - inbox_used_, MSG_DONTWAIT);
  if (got < 0) {
    if (errno == EAGAIN || errno == EINTR) return true;
    return fail(fmt::format("receive: {}", std::strerror(errno)));
  }
  if (got == 0) return fail("the target closed the connection");
  return take(static_cast<std::size_t>(got), done);
}

// OpenSSL reads ahead of what it gives out, and a socket that has been read tells of nothing more.
bool LoadConnection::receive_sealed(std::vector<Done>& done) {
  do {
    const auto got = settings_.tls->read_some(std::span(inbox_).subspan(inbox_used_));
    if (!got) return fail(got.error().describe());
    if (got.value() == 0) return true;
    if (!take(got.value(), done)) return false;
  } while (settings_.tls->has_more());
  return true;
}

bool LoadConnection::take(std::size_t received, std::vector<Done>& done) {
  std::span<const std::byte> bytes = std::span(inbox_).first(inbox_used_ + received);
  if (!parse(bytes, done)) return false;
  // What is left is the beginning of a header or a digest.
  if (!bytes.empty()) std::memmove(inbox_.data(), bytes.data(), bytes.size());
  inbox_used_ = bytes.size();
  return true;
}

bool LoadConnection::fail(std::string what) {
  if (error_.empty()) error_ = std::move(what);
  return false;
}

}  // namespace bench
