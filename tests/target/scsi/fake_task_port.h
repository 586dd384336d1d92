// FakeTaskPort: a session without a wire. It moves data at once and keeps the answers for the test
// to look at.
#pragma once

#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "target/reactor/reactor.h"
#include "target/scsi/nexus.h"
#include "target/scsi/task.h"

namespace target::scsi {

class FakeTaskPort final : public TaskPort {
 public:
  struct Answer {
    std::uint32_t tag = 0;
    protocol::scsi::Status status = protocol::scsi::Status::good;
    std::optional<protocol::scsi::Sense> sense;
    protocol::scsi::SenseFormat sense_format = protocol::scsi::SenseFormat::fixed;
    std::vector<std::byte> data;
    std::uint32_t command_bytes = 0;
    bool is_in_place = false;
  };

  explicit FakeTaskPort(Reactor& reactor) : reactor_(reactor) {}

  // Where data_ready() goes.
  Nexus* nexus = nullptr;
  std::vector<Answer> answers;
  std::vector<std::uint32_t> dropped;
  // Tasks that ask for a buffer or for data while this is set wait.
  bool holds = false;
  std::vector<Task*> waiting;
  bool may_pin = true;
  bool digests = false;

  // A slot that lives as long as the port. `data` is what the host sends.
  Task& task(std::uint32_t tag, std::vector<std::byte> data = {}) {
    slots_.push_back(std::make_unique<Slot>());
    Slot& slot = *slots_.back();
    slot.task.tag = tag;
    slot.task.port = this;
    slot.host_data = std::move(data);
    return slot.task;
  }
  [[nodiscard]] const Answer* answer_to(std::uint32_t tag) const {
    for (const Answer& answer : answers) {
      if (answer.tag == tag) return &answer;
    }
    return nullptr;
  }
  [[nodiscard]] bool was_dropped(std::uint32_t tag) const {
    return std::find(dropped.begin(), dropped.end(), tag) != dropped.end();
  }
  void release_waiting() {
    holds = false;
    for (Task* task : std::exchange(waiting, {})) bring(*task);
  }

  void receive_from_host(Task& task, std::uint32_t bytes) override {
    slot_of(task).wanted = bytes;
    slot_of(task).receives = true;
    if (holds) return waiting.push_back(&task);
    bring(task);
  }
  void lease_for_host(Task& task, std::uint32_t bytes) override {
    slot_of(task).wanted = bytes;
    slot_of(task).receives = false;
    if (holds) return waiting.push_back(&task);
    bring(task);
  }
  void respond(Task& task, protocol::scsi::Status status) override {
    answer(task, status, std::nullopt, {}, false);
  }
  void respond(Task& task, const protocol::scsi::Sense& sense) override {
    answer(task, protocol::scsi::Status::check_condition, sense, {}, false);
  }
  void respond_with_data(Task& task, std::uint32_t bytes,
                         const protocol::scsi::Sense* sense) override {
    CHECK(sense == nullptr);
    const auto data = task.buffer.bytes().first(bytes);
    answer(task, protocol::scsi::Status::good, std::nullopt, {data.begin(), data.end()}, false);
  }
  [[nodiscard]] bool may_respond_in_place(const Task&, std::uint32_t) const override {
    return may_pin;
  }
  void respond_in_place(Task& task, engine::PinnedRead read) override {
    std::vector<std::byte> data;
    for (const auto piece : read.pieces()) data.insert(data.end(), piece.begin(), piece.end());
    answer(task, protocol::scsi::Status::good, std::nullopt, std::move(data), true);
  }
  void drop(Task& task) override {
    dropped.push_back(task.tag);
    task.buffer.release();
  }
  [[nodiscard]] bool take_back(Task& task) override { return std::erase(waiting, &task) != 0; }
  [[nodiscard]] bool wants_sums() const override { return digests; }
  [[nodiscard]] Reactor& reactor() override { return reactor_; }

 private:
  struct Slot {
    Task task;
    std::vector<std::byte> host_data;
    std::uint32_t wanted = 0;
    bool receives = false;
  };
  Slot& slot_of(const Task& task) {
    for (const auto& slot : slots_) {
      if (&slot->task == &task) return *slot;
    }
    CHECK(false);
    return *slots_.front();
  }
  void bring(Task& task) {
    Slot& slot = slot_of(task);
    task.buffer = *reactor_.lane().buffers().lease({slot.wanted});
    if (slot.receives) {
      CHECK(slot.host_data.size() >= slot.wanted);
      std::memcpy(task.buffer.bytes().data(), slot.host_data.data(), slot.wanted);
      task.data_bytes = slot.wanted;
    }
    nexus->data_ready(TaskPermit(task));
  }
  void answer(Task& task, protocol::scsi::Status status,
              const std::optional<protocol::scsi::Sense>& sense, std::vector<std::byte> data,
              bool in_place) {
    answers.push_back({task.tag, status, sense, task.sense_format, std::move(data),
                       task.command_bytes, in_place});
    task.buffer.release();
  }

  Reactor& reactor_;
  std::vector<std::unique_ptr<Slot>> slots_;
};

}  // namespace target::scsi
