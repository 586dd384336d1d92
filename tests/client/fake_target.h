// The smallest NVMe/TCP responder over memory: something for the client and the load generator to
// be tested against. It can be told to misbehave, so that tests see the client notice.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/client/connection.h"

namespace client {

// What a fake target does wrong, on I/O queues only. Each is one illegal or untrue thing.
enum class Fault {
  none,
  data_out_of_sequence,       // C2HData starts at the wrong offset
  data_beyond_buffer,         // one block more than was read
  success_without_last,       // SUCCESS in a C2HData that is not the last
  success_with_flow_control,  // SUCCESS although SQ flow control is on
  short_data,                 // a success response after half of the data
  no_last_flag,               // a response although LAST_PDU never came
  wrong_data_digest,
  wrong_header_digest,
  unaligned_data,        // PDO ignores HPDA
  response_twice,        // a second completion of the same command
  response_of_nobody,    // a CID that was never used
  response_for_success,  // a response capsule after SUCCESS
  r2t_beyond_data,
  r2t_out_of_sequence,
  r2t_too_many,       // more than MAXR2T allows
  success_too_early,  // a write answered before its data was sent
  terminate,          // C2HTermReq instead of an answer
  lost_write,         // every 16th write is acknowledged and not done
  torn_write,         // every 16th write is done by half (inside a block)
  misplaced_write,    // every 16th write lands one block further
};

struct FakeTargetOptions {
  std::string address = "127.0.0.1";  // or "::1"
  std::uint16_t port = 0;             // 0: any free one
  std::uint64_t blocks = 8192;
  std::uint32_t block_bytes = 4096;
  std::uint32_t in_capsule_bytes = 8192;
  std::uint32_t maxh2cdata = 131072;
  std::uint32_t r2t_bytes = 1u << 20;        // largest R2T
  std::uint32_t c2h_piece_bytes = 1u << 20;  // largest C2HData
  std::uint8_t cpda = 0;
  bool digests = true;  // agrees to digests when asked
  bool success_flag = true;
  Fault fault = Fault::none;
};

// Serves until destroyed; one thread for each connection.
class FakeTarget {
 public:
  explicit FakeTarget(const FakeTargetOptions& options = {});
  FakeTarget(const FakeTarget&) = delete;
  FakeTarget& operator=(const FakeTarget&) = delete;
  ~FakeTarget();

  [[nodiscard]] Endpoint endpoint() const { return {options_.address, port_}; }
  static constexpr const char* subsystem_nqn = "nqn.2026-11.com.example:fake";

  // Shared by its connections.
  const FakeTargetOptions& options() const { return options_; }
  std::mutex& storage_mutex() { return storage_mutex_; }
  Bytes& storage() { return storage_; }
  std::atomic<std::uint64_t> writes{0};
  std::atomic<std::uint64_t> keep_alives{0};

 private:
  void accept_loop();

  FakeTargetOptions options_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::mutex storage_mutex_;
  Bytes storage_;
  std::mutex sockets_mutex_;
  std::vector<int> sockets_;  // guarded by sockets_mutex_; -1 once its thread has ended
  std::list<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace client
