#include "target/tls/tls_stream.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "engine/foundation/check.h"

namespace target::tls {

namespace ptls = protocol::tls;
using engine::Result;

namespace {

// Read at once before there are keys; a hello is hardly longer.
constexpr std::size_t hello_read_bytes = 4096;
// Sealed and given to the kernel at once: so many whole records.
constexpr std::size_t most_records = 8;

constexpr std::byte tls_first_byte{22};  // a handshake record

// What a thread seals into; what the kernel does not take of it is kept by the connection.
std::span<std::byte> sealing_space() {
  static thread_local const auto space =
      std::make_unique<std::array<std::byte, most_records*(ptls::largest_content_bytes +
                                                           ptls::record_overhead_bytes)>>();
  return *space;
}

TlsFault fault_of(ptls::HelloFault fault) {
  switch (fault) {
    case ptls::HelloFault::no_tls:
    case ptls::HelloFault::malformed:
    case ptls::HelloFault::too_large:
      return TlsFault::malformed;
    case ptls::HelloFault::old_version:
      return TlsFault::old_version;
    case ptls::HelloFault::no_psk:
      return TlsFault::no_psk;
  }
  return TlsFault::malformed;
}

Alert alert_of(ptls::HelloFault fault) {
  switch (fault) {
    case ptls::HelloFault::no_tls:
      return Alert::unexpected_message;
    case ptls::HelloFault::malformed:
      return Alert::decode_error;
    case ptls::HelloFault::too_large:
      return Alert::record_overflow;
    case ptls::HelloFault::old_version:
      return Alert::protocol_version;
    case ptls::HelloFault::no_psk:
      return Alert::handshake_failure;
  }
  return Alert::decode_error;
}

std::string security_text(const ChosenKey& key) {
  const char* const suite = key.hash == ptls::Hash::sha256 ? "aes-128-gcm" : "aes-256-gcm";
  return std::string("tls1.3/") + suite + "/" + key.name;
}

}  // namespace

TlsStream::TlsStream(Reactor& reactor, std::unique_ptr<ByteStream> inner,
                     std::shared_ptr<Door> door)
    : reactor_(reactor), inner_(std::move(inner)), door_(std::move(door)) {}

TlsStream::~TlsStream() { close(); }

Result<std::size_t, StreamError> TlsStream::read(std::span<const iovec> into) {
  if (stage_ < Stage::secure) {
    if (auto agreed = agree(); !agreed) return agreed.error();
  }
  if (stage_ == Stage::failed) return error_;
  return stage_ == Stage::plain ? read_plain(into) : read_secure(into);
}

// Until the handshake is done, or it is plain that there is none.
Result<void, StreamError> TlsStream::agree() {
  std::array<std::byte, hello_read_bytes> space;
  const iovec place{.iov_base = space.data(), .iov_len = space.size()};
  while (stage_ < Stage::secure) {
    const auto got = inner_->read({&place, 1});
    if (!got) {
      if (got.error() == StreamError::would_block) return got.error();
      return lost(got.error());
    }
    const auto bytes = std::span<const std::byte>(space).first(got.value());
    TRY(stage_ == Stage::hello ? take_hello(bytes) : take_handshake(bytes));
  }
  return engine::success();
}

Result<void, StreamError> TlsStream::take_hello(std::span<const std::byte> bytes) {
  if (hello_.raw().empty() && bytes.front() != tls_first_byte) {
    if (door_->policy() == Policy::required) return fail(TlsFault::plain_refused);
    stage_ = Stage::plain;
    first_bytes_.assign(bytes.begin(), bytes.end());
    return engine::success();
  }
  const auto complete = hello_.add(bytes);
  if (!complete) return refuse(fault_of(complete.error()), alert_of(complete.error()));
  if (!complete.value()) return engine::success();
  const auto hello = ptls::parse_client_hello(hello_.message());
  if (!hello) return refuse(fault_of(hello.error()), alert_of(hello.error()));
  return begin_handshake(hello.value());
}

Result<void, StreamError> TlsStream::begin_handshake(const ptls::ClientHello& hello) {
  auto chosen = door_->keys().choose(hello, std::chrono::system_clock::now(), reactor_.now());
  if (const auto* const refusal = std::get_if<KeyRefusal>(&chosen)) {
    host_nqn_ = refusal->host_nqn;
    // One alert whatever is wrong: it does not tell which identities there are.
    return refuse(refusal->fault, Alert::decrypt_error);
  }
  key_ = std::get<ChosenKey>(std::move(chosen));
  host_nqn_ = key_->host_nqn;
  if (!door_->context().allows(key_->hash)) {
    return refuse(TlsFault::no_common_suite, Alert::handshake_failure);
  }
  handshake_ = std::make_unique<ptls::ServerHandshake>(
      door_->context(),
      ptls::ServerHandshake::Psk{.identity = key_->identity, .hash = key_->hash, .key = key_->psk});
  stage_ = Stage::handshake;
  const ptls::HelloGatherer whole = std::exchange(hello_, {});
  return take_handshake(whole.raw());
}

Result<void, StreamError> TlsStream::take_handshake(std::span<const std::byte> bytes) {
  const auto taken = handshake_->take(bytes, pending_);
  flush();
  if (!taken) return fail(TlsFault::handshake_failed, taken.error());
  if (!taken.value()) return engine::success();
  const ptls::HandshakeResult& result = *taken.value();
  const auto rest = handshake_->rest();
  records_ = std::make_unique<TlsRecords>(result, rest, door_->counters());
  handshake_.reset();
  stage_ = Stage::secure;
  if (door_->may_use_kernel()) kernel_ = KernelRecords::offer(inner_->record_socket(), *records_);
  hand_over();
  const bool uses_kernel = kernel_ != nullptr;
  const bool is_generated = key_->origin == ptls::Origin::generated;
  security_ = std::make_shared<const StreamSecurity>(
      StreamSecurity{.text = security_text(*key_) + (uses_kernel ? "/kernel" : ""),
                     .host_nqn = key_->host_nqn,
                     .subsystem_nqn = key_->subsystem_nqn,
                     .generated_identity = is_generated ? key_->identity : std::string()});
  door_->agreed(*key_, result, peer_address(), uses_kernel, reactor_.now());
  key_.reset();
  return engine::success();
}

StreamError TlsStream::refuse(TlsFault fault, Alert alert, const std::string& detail) {
  append_plain_alert(alert, pending_);
  flush();
  return fail(fault, detail);
}

StreamError TlsStream::fail(TlsFault fault, const std::string& detail) {
  door_->failed(fault, {.address = peer_address(), .host_nqn = host_nqn_}, detail, reactor_.now());
  // Who is let in by nobody has been told of it here.
  error_ = stage_ == Stage::secure ? StreamError::broken : StreamError::refused;
  stage_ = Stage::failed;
  handshake_.reset();
  return error_;
}

// The connection below has ended.
StreamError TlsStream::lost(StreamError error) {
  // Those who have said nothing are no hosts: a port scan, a check whether the port is open.
  if (stage_ == Stage::handshake || (stage_ == Stage::hello && !hello_.raw().empty())) {
    (void)fail(TlsFault::abandoned);
  }
  stage_ = Stage::failed;
  error_ = error;
  return error;
}

TlsStream::Read TlsStream::read_plain(std::span<const iovec> into) {
  if (first_bytes_.empty()) return inner_->read(into);
  std::size_t taken = 0;
  for (const iovec& place : into) {
    const std::size_t step = std::min(place.iov_len, first_bytes_.size() - taken);
    std::memcpy(place.iov_base, first_bytes_.data() + taken, step);
    taken += step;
  }
  first_bytes_.erase(first_bytes_.begin(),
                     first_bytes_.begin() + static_cast<std::ptrdiff_t>(taken));
  return taken;
}

// Receiving where a record of ours has ended, sending when all that was sealed has been sent.
void TlsStream::hand_over() {
  if (kernel_ == nullptr) return;
  if (!kernel_->receives()) {
    if (records_->has_input() || records_->has_part_of_record()) return;
    kernel_->take_receiving();
    if (kernel_->is_refused()) {
      kernel_.reset();
      return;
    }
    door_->counters().kernel_connections.fetch_add(1, std::memory_order_relaxed);
  }
  if (pending_.empty()) kernel_->take_sending();
}

TlsStream::Read TlsStream::read_kernel(std::span<const iovec> into) {
  const auto got = kernel_->read(into, pending_);
  if (!pending_.empty()) flush();
  if (!got) return got.error();
  if (got.value().fault) return fail(*got.value().fault);
  if (got.value().is_closed) return StreamError::closed;
  return got.value().bytes;
}

TlsStream::Read TlsStream::read_secure(std::span<const iovec> into) {
  for (;;) {
    hand_over();
    if (kernel_ != nullptr && kernel_->receives()) return read_kernel(into);
    if (!records_->has_input()) {
      auto room = records_->room();
      // The kernel takes over where a record begins: nothing is read beyond that.
      if (kernel_ != nullptr) room = room.first(records_->missing_bytes());
      const iovec place{.iov_base = room.data(), .iov_len = room.size()};
      const auto got = inner_->read({&place, 1});
      if (!got) {
        // Hosts end a connection without close_notify too. Nothing is concluded from where it ends;
        // within a record it was cut off.
        const bool is_cut = records_->has_part_of_record();
        records_->received(0);
        return got.error() == StreamError::closed && is_cut ? StreamError::broken : got.error();
      }
      records_->received(got.value());
      if (!records_->has_input()) continue;
    }
    const auto taken = records_->read(into, pending_);
    if (!pending_.empty()) flush();
    if (!taken) return fail(taken.error());
    if (taken.value().is_closed) return StreamError::closed;
    if (taken.value().bytes != 0) return taken.value().bytes;
  }
}

Result<std::size_t, StreamError> TlsStream::write(std::span<const iovec> from) {
  if (stage_ == Stage::plain) return inner_->write(from);
  if (stage_ != Stage::secure) return stage_ == Stage::failed ? error_ : StreamError::would_block;
  flush();
  if (write_error_ != StreamError::would_block) return write_error_;
  if (!pending_.empty()) return StreamError::would_block;
  hand_over();
  if (kernel_ != nullptr && kernel_->sends()) {
    TRY(kernel_->settle_debts());
    return inner_->write(from);
  }
  std::size_t offered = 0;
  for (const iovec& piece : from) offered += piece.iov_len;
  std::size_t taken = 0;
  while (taken < offered && pending_.empty()) {
    const auto space = sealing_space();
    const auto sealed = records_->seal(from, taken, space);
    if (sealed.is_unreadable) {
      stage_ = Stage::failed;
      error_ = StreamError::unreadable;
      return error_;
    }
    taken += sealed.bytes;
    std::span<const std::byte> left = space.first(sealed.length);
    while (!left.empty()) {
      const iovec piece{.iov_base = const_cast<std::byte*>(left.data()), .iov_len = left.size()};
      const auto sent = inner_->write({&piece, 1});
      if (!sent && sent.error() != StreamError::would_block) return sent.error();
      if (!sent) break;
      left = left.subspan(sent.value());
    }
    pending_.assign(left.begin(), left.end());
    if (!pending_.empty()) watch_writable();
  }
  return taken;
}

void TlsStream::flush() {
  std::span<const std::byte> left = pending_;
  while (!left.empty()) {
    const iovec piece{.iov_base = const_cast<std::byte*>(left.data()), .iov_len = left.size()};
    const auto sent = inner_->write({&piece, 1});
    if (!sent) {
      if (sent.error() == StreamError::would_block) break;
      write_error_ = sent.error();
      left = {};
      break;
    }
    left = left.subspan(sent.value());
  }
  if (left.empty()) {
    pending_ = {};
    if (std::exchange(finishes_, false)) inner_->finish_writing();
    return;
  }
  pending_.erase(pending_.begin(),
                 pending_.begin() + static_cast<std::ptrdiff_t>(pending_.size() - left.size()));
  watch_writable();
}

void TlsStream::watch_writable() {
  if (std::exchange(watches_writable_, true)) return;
  inner_->when_writable([this] {
    watches_writable_ = false;
    flush();
    if (owes_goodbye_) say_goodbye();
    if (!pending_.empty()) return;
    if (const auto call = std::exchange(writable_, {})) call();
  });
}

void TlsStream::when_writable(std::function<void()> callback) {
  writable_ = std::move(callback);
  watch_writable();
}

void TlsStream::when_readable(std::function<void()> callback) {
  const bool is_here = (stage_ == Stage::secure && records_->has_input()) ||
                       (stage_ == Stage::plain && !first_bytes_.empty());
  if (!is_here) return inner_->when_readable(std::move(callback));
  readable_ = std::make_shared<std::function<void()>>(std::move(callback));
  reactor_.post([waiting = std::weak_ptr(readable_)] {
    const auto readable = waiting.lock();
    if (readable == nullptr) return;
    if (const auto call = std::exchange(*readable, {})) call();
  });
}

void TlsStream::say_goodbye() {
  const auto said = kernel_->say(Alert::close_notify);
  owes_goodbye_ = !said && said.error() == StreamError::would_block;
  if (owes_goodbye_) return watch_writable();
  inner_->finish_writing();
}

void TlsStream::finish_writing() {
  if (stage_ == Stage::secure && kernel_ != nullptr && kernel_->sends()) return say_goodbye();
  if (stage_ == Stage::secure) records_->append_alert(Alert::close_notify, pending_);
  if (stage_ != Stage::secure && pending_.empty()) return inner_->finish_writing();
  finishes_ = true;
  flush();
}

void TlsStream::close() {
  if (std::exchange(is_closed_, true)) return;
  if (stage_ == Stage::handshake || (stage_ == Stage::hello && !hello_.raw().empty())) {
    (void)fail(TlsFault::abandoned);
  }
  stage_ = Stage::failed;
  error_ = StreamError::broken;
  writable_ = {};
  readable_.reset();
  pending_ = {};
  handshake_.reset();
  kernel_.reset();
  records_.reset();
  inner_->close();
}

}  // namespace target::tls
