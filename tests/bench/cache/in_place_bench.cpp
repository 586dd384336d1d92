#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>

#include "tests/bench/cache/cache_bench.h"
#include "tests/bench/cache/joined_host.h"

namespace engine {
namespace {

constexpr std::uint64_t read_blocks = 32;  // 128 KiB
constexpr std::size_t read_bytes = read_blocks * block_bytes;

// A TCP connection over loopback whose other end, on another core, throws away what arrives.
class Sink {
 public:
  Sink() {
    const int listening = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* const name = reinterpret_cast<sockaddr*>(&address);
    CHECK(::bind(listening, name, length) == 0 && ::listen(listening, 1) == 0);
    CHECK(::getsockname(listening, name, &length) == 0);
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(::connect(socket_, name, length) == 0);
    const int taking = ::accept(listening, nullptr, nullptr);
    CHECK(taking >= 0);
    ::close(listening);
    taker_ = std::thread([taking] {
      on_core(1, [taking] {
        while (::recv(taking, nullptr, 1U << 20, MSG_TRUNC) > 0) {
        }
      });
      ::close(taking);
    });
  }
  ~Sink() {
    ::close(socket_);
    taker_.join();
  }
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

  void send(std::span<const std::span<const std::byte>> pieces) const {
    std::array<iovec, 16> vectors;
    CHECK(pieces.size() <= vectors.size());
    std::size_t left = 0;
    for (std::size_t at = 0; at < pieces.size(); ++at) {
      vectors[at] = {.iov_base = const_cast<std::byte*>(pieces[at].data()),
                     .iov_len = pieces[at].size()};
      left += pieces[at].size();
    }
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = pieces.size();
    // A blocking socket takes all of it.
    CHECK(::sendmsg(socket_, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(left));
  }

 private:
  int socket_ = -1;
  std::thread taker_;
};

// Of this thread, the kernel's part too.
double core_ns() {
  timespec used{};
  CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) == 0);
  return static_cast<double>(used.tv_sec) * 1e9 + static_cast<double>(used.tv_nsec);
}

// One thread that reads 128 KiB anywhere in a volume of which the cache has all, and sends it.
class Reader {
 public:
  explicit Reader(JoinedVolume& joined)
      : volume_(joined.volume()), lane_(must(UringLane::create(joined.budget()))) {}
  ~Reader() {
    while (!lane_->guests_are_quiet() || lane_->has_tasks()) run_lane();
  }

  void fill() {
    auto data = lane_->buffers().lease({read_bytes});
    CHECK(data.has_value());
    SeededRandom(1).fill(data->bytes());
    for (std::uint64_t at = 0; at < places(); ++at) {
      run(VolumeIo::Kind::write, at, data->bytes().first(read_bytes));
    }
    (void)await_in_place(0);  // the keeper has to see how much the volume has now
  }
  // Nanoseconds of the core for each read; a turn's are sent together.
  double copied(const Sink& sink, std::uint64_t reads) {
    std::array<BufferLease, turn_reads> buffers;
    return measure(reads, [&](SeededRandom& random) {
      for (BufferLease& buffer : buffers) {
        buffer = std::move(lane_->buffers().lease({read_bytes}).value());
        run(VolumeIo::Kind::read, random.below(places()), buffer.bytes().first(read_bytes));
      }
      for (BufferLease& buffer : buffers) {
        const std::span<const std::byte> bytes = buffer.bytes().first(read_bytes);
        sink.send({&bytes, 1});
        buffer.release();
      }
    });
  }
  double sent_in_place(const Sink& sink, std::uint64_t reads) {
    std::array<PinnedRead, turn_reads> pinned;
    return measure(reads, [&](SeededRandom& random) {
      for (PinnedRead& read : pinned) {
        read = await_in_place(random.below(places()));
      }
      for (PinnedRead& read : pinned) {
        sink.send(read.pieces());
        read.release();
      }
    });
  }

 private:
  struct Command : VolumeIo {
    bool is_open = true;
  };
  template <class Turn>
  static double measure(std::uint64_t reads, const Turn& turn) {
    SeededRandom random(7);
    std::vector<double> samples;
    for (std::uint64_t at = 0; at < reads; at += sample_turns * turn_reads) {
      const double begin = core_ns();
      for (std::uint64_t i = 0; i < sample_turns; ++i) turn(random);
      samples.push_back((core_ns() - begin) / static_cast<double>(sample_turns * turn_reads));
    }
    return median(samples);
  }
  [[nodiscard]] std::uint64_t places() const { return volume_.size().value / read_blocks; }
  [[nodiscard]] PinnedRead in_place(std::uint64_t place) {
    return volume_.read_in_place(*lane_, {.lba = {place * read_blocks}, .blocks = {read_blocks}});
  }
  // A volume may refuse for a moment, where the machine has stood still with pins held: that costs
  // no time of this thread.
  [[nodiscard]] PinnedRead await_in_place(std::uint64_t place) {
    for (int tries = 0; tries < 1000; ++tries) {
      if (PinnedRead read = in_place(place)) return read;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    give_up("nothing is given out where it lies");
  }
  void run(VolumeIo::Kind kind, std::uint64_t place, std::span<std::byte> data) {
    Command io;
    io.kind = kind;
    io.lba = {place * read_blocks};
    io.blocks = {read_blocks};
    io.data = data;
    io.done = [](VolumeIo& ended, IoStatus status) noexcept {
      CHECK(status == IoStatus::ok);
      static_cast<Command&>(ended).is_open = false;
    };
    volume_.submit(*lane_, io);
    while (io.is_open) run_lane();
  }
  void run_lane() {
    lane_->finish_turn();
    (void)lane_->reap();
  }

  static constexpr std::uint64_t turn_reads = 16;
  static constexpr std::uint64_t sample_turns = 4;

  Volume& volume_;
  std::unique_ptr<UringLane> lane_;
};

}  // namespace

void measure_in_place(const BenchPlan& usual) {
  BenchPlan plan = usual;
  // A turn's reads may be pinned only if the volume has enough in the cache.
  plan.writes = std::max<std::uint64_t>(plan.writes, 60'000);
  const CacheFile file(plan.memory, plan.device_bytes());
  const std::uint64_t reads = usual.writes / read_blocks;
  for (int repeat = 0; repeat < plan.repeats; ++repeat) {
    for (const bool crc : {false, true}) {
      const std::string kind = crc ? "crc" : "plain";
      JoinedVolume joined(plan, file, crc);
      const Sink sink;
      on_core(0, [&] {
        Reader reader(joined);
        reader.fill();
        tell(kind + " copied ns", reader.copied(sink, reads));
        tell(kind + " in place ns", reader.sent_in_place(sink, reads));
      });
    }
  }
}

}  // namespace engine
