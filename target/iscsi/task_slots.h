// TaskSlots: the tasks a session may have outstanding, by their Initiator Task Tags, and what the
// connection knows of each.
#pragma once

#include <array>
#include <boost/intrusive/unordered_set.hpp>
#include <cstdint>
#include <memory>
#include <vector>

#include "target/net/host_transfer.h"
#include "target/net/transfer_buffers.h"
#include "target/scsi/task.h"

namespace target::iscsi {

// A task, and how its data comes and goes.
struct TaskSlot : scsi::Task, BufferHolder {
  TaskSlot() : BufferHolder(Task::buffer, request.volume) {}

  enum class State : std::uint8_t {
    unused,
    arriving,   // its immediate data is arriving, or waits for a buffer
    executing,  // the nexus's: in its hands or parked in the engine
    waiting,    // for a transfer buffer
    receiving,  // unsolicited data, or that of R2Ts, is to come
  };
  State state = State::unused;
  bool immediate = false;
  bool in_window = false;  // has a place in the CmdSN window
  bool to_host = false;    // waiting: for a buffer to fill for the host
  bool owes = false;       // counted as one of which the initiator owes data
  bool failed = false;     // data came with a wrong digest

  // Unsolicited data (RFC 7143, 4.2.5.2), in order from the start of the command's data on.
  bool unsolicited_open = false;       // more may come
  std::uint32_t unsolicited_most = 0;  // bytes of it
  std::uint32_t arrived = 0;           // bytes of it that are there
  std::uint32_t unsolicited_sn = 0;    // DataSN of the next

  std::uint32_t asked = 0;  // waiting, receiving: bytes that the nexus asked for

  // R2Ts.
  HostTransfer transfer;
  bool soliciting = false;           // `transfer` has begun
  std::uint32_t solicited_left = 0;  // bytes that were asked for and are not there
  std::uint32_t next_sn = 0;         // R2TSN of the next R2T, or DataSN of the next Data-In
  std::array<std::uint32_t, HostTransfer::most_windows> data_sn{};  // of the next Data-Out of each

  std::uint16_t index = 0;       // of this slot; part of the transfer tag
  std::uint16_t generation = 0;  // of its use; so is this: a tag of an earlier task is none now
  TaskSlot* next_free = nullptr;
  boost::intrusive::unordered_set_member_hook<
      boost::intrusive::link_mode<boost::intrusive::normal_link>>
      by_tag;

  [[nodiscard]] std::uint32_t transfer_tag(std::size_t window) const {
    return std::uint32_t{generation} << 16 |
           static_cast<std::uint32_t>(index * HostTransfer::most_windows + window);
  }
};

// Slots are made in blocks when an initiator first uses its session so deeply, and kept: none is
// made for a command.
class TaskSlots {
 public:
  // Beside the commands of the window, so many that are marked for immediate delivery.
  static constexpr std::uint32_t most_immediate = 16;
  static constexpr std::uint32_t most_depth = 1024;

  TaskSlots() = default;
  TaskSlots(const TaskSlots&) = delete;
  TaskSlots& operator=(const TaskSlots&) = delete;
  ~TaskSlots() { by_tag_.clear(); }

  // Before the first command: 1 .. most_depth commands may be outstanding.
  void begin(std::uint32_t depth);

  // Whether there is place for one more of this kind.
  [[nodiscard]] bool full(bool immediate) const {
    return immediate ? immediate_ >= most_immediate : outstanding_ - immediate_ >= depth_;
  }
  [[nodiscard]] TaskSlot* find(std::uint32_t tag);
  // Not while full, nor for a tag in use.
  [[nodiscard]] TaskSlot& take(std::uint32_t tag, bool immediate);
  void give_back(TaskSlot& slot);
  // The slot and window of a transfer tag; nullptr: it is none of a slot in use.
  [[nodiscard]] TaskSlot* by_transfer_tag(std::uint32_t transfer_tag, std::size_t& window);

  [[nodiscard]] std::uint32_t outstanding() const { return outstanding_; }
  template <class F>
  void for_each(F&& visit) {
    for (std::uint32_t i = 0; i < made_; ++i) visit(at(i));
  }

 private:
  struct Tag {
    using type = std::uint32_t;
    std::uint32_t operator()(const TaskSlot& slot) const { return slot.tag; }
  };
  // Linux counts, others count up: the low bits tell tags apart.
  struct Hash {
    std::size_t operator()(std::uint32_t tag) const { return tag ^ tag >> 16; }
  };
  using Index = boost::intrusive::unordered_set<
      TaskSlot,
      boost::intrusive::member_hook<TaskSlot, decltype(TaskSlot::by_tag), &TaskSlot::by_tag>,
      boost::intrusive::key_of_value<Tag>, boost::intrusive::hash<Hash>,
      boost::intrusive::equal<std::equal_to<>>, boost::intrusive::power_2_buckets<true>,
      boost::intrusive::constant_time_size<false>>;
  static constexpr std::uint32_t block_slots = 16;
  static constexpr std::size_t buckets = 256;

  [[nodiscard]] TaskSlot& at(std::uint32_t index) {
    return blocks_[index / block_slots][index % block_slots];
  }
  void make_block();

  std::uint32_t depth_ = 0;
  std::uint32_t made_ = 0;
  std::uint32_t outstanding_ = 0;
  std::uint32_t immediate_ = 0;  // of outstanding_
  TaskSlot* free_ = nullptr;
  std::vector<std::unique_ptr<TaskSlot[]>> blocks_;
  std::array<Index::bucket_type, buckets> buckets_;
  Index by_tag_{Index::bucket_traits(buckets_.data(), buckets)};
};

}  // namespace target::iscsi
