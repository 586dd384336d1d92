// FakePort: a connection without a wire. It moves data at once and keeps the answers for the test
// to look at.
#pragma once

#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "target/nvmf/command.h"
#include "target/nvmf/command_outcome.h"
#include "target/reactor/reactor.h"

namespace target::nvmf {

class FakePort final : public CommandPort {
 public:
  struct Answer {
    std::uint16_t cid = 0;
    protocol::nvme::Status status;
    std::uint64_t result = 0;
    std::vector<std::byte> data;
    bool is_in_place = false;
  };

  explicit FakePort(Reactor& reactor) : reactor_(reactor) {
    link_.peer_address = "192.0.2.20:50000";
    link_.local_address = "192.0.2.10:4420";
    link_.listener = "san-a";
  }

  // Where data_ready() goes.
  std::function<void(CommandPermit)> data_ready;
  // Where what is answered well is counted, if anywhere.
  HostCounters* host = nullptr;
  // What the host sends for a command when asked by R2T.
  std::vector<std::byte> host_data;
  std::vector<Answer> answers;
  // Commands that ask for a buffer while this is set wait for ever.
  bool no_buffers = false;
  bool may_pin = true;
  std::vector<Command*> waiting;
  std::optional<QueueBinding> binding;
  std::optional<EndReason> ended;

  // A slot with `entry`; `in_capsule` data is already in its buffer. It lives as long as the port.
  Command& command(const protocol::nvme::SubmissionEntry& entry,
                   std::span<const std::byte> in_capsule = {}) {
    commands_.push_back(std::make_unique<Command>());
    Command& command = *commands_.back();
    command.entry = entry;
    command.port = this;
    if (!in_capsule.empty()) {
      fill(command, in_capsule);
    }
    return command;
  }
  [[nodiscard]] const Answer* answer_to(std::uint16_t cid) const {
    for (const Answer& answer : answers) {
      if (answer.cid == cid) return &answer;
    }
    return nullptr;
  }

  void receive_from_host(Command& command, std::uint32_t bytes) override {
    if (no_buffers) return waiting.push_back(&command);
    host_data.resize(bytes);
    fill(command, host_data);
    data_ready(CommandPermit(command));
  }
  void lease_for_host(Command& command, std::uint32_t bytes) override {
    if (no_buffers) return waiting.push_back(&command);
    command.buffer = *reactor_.lane().buffers().lease({bytes});
    command.data_bytes = bytes;
    data_ready(CommandPermit(command));
  }
  void respond(Command& command, protocol::nvme::Status status, std::uint64_t result) override {
    answers.push_back({command.entry.command_id, status, result, {}, false});
    if (status.is_success()) count(command, command.request.io.data.size());
    command.buffer.release();
  }
  void respond_with_data(Command& command, std::uint32_t bytes, std::uint64_t result) override {
    const auto data = command.buffer.bytes().first(bytes);
    answers.push_back({command.entry.command_id,
                       protocol::nvme::status::success,
                       result,
                       {data.begin(), data.end()},
                       false});
    count(command, bytes);
    command.buffer.release();
  }
  [[nodiscard]] bool may_respond_in_place(const Command&, std::uint32_t) const override {
    return may_pin;
  }
  void respond_in_place(Command& command, engine::PinnedRead read) override {
    Answer& answer = answers.emplace_back();
    answer.cid = command.entry.command_id;
    answer.status = protocol::nvme::status::success;
    answer.is_in_place = true;
    for (const auto piece : read.pieces()) {
      answer.data.insert(answer.data.end(), piece.begin(), piece.end());
    }
    count(command, answer.data.size());
  }
  [[nodiscard]] Command* take_waiting(const block::BlockVolume& volume) override {
    const auto found = std::find_if(waiting.begin(), waiting.end(), [&](const Command* each) {
      return each->request.volume == &volume;
    });
    if (found == waiting.end()) return nullptr;
    Command* const command = *found;
    waiting.erase(found);
    return command;
  }
  [[nodiscard]] bool abort_waiting(std::uint16_t command_id) override {
    for (Command* command : waiting) {
      if (command->entry.command_id != command_id) continue;
      std::erase(waiting, command);
      respond(*command, protocol::nvme::status::abort_requested, 0);
      return true;
    }
    return false;
  }
  void bind(const QueueBinding& accepted) override {
    binding = accepted;
    host = accepted.host;
  }
  void end(EndReason reason) override { ended = reason; }
  [[nodiscard]] const LinkInfo& link() const override { return link_; }
  [[nodiscard]] Reactor& reactor() override { return reactor_; }

  LinkInfo link_;

 private:
  void count(const Command& command, std::uint64_t bytes) {
    const block::CommandKind kind = counted_kind(command.entry.opcode);
    if (host == nullptr || command.request.volume == nullptr || kind == block::CommandKind::other) {
      return;
    }
    const bool is_read = kind == block::CommandKind::read;
    ++(is_read ? host->read_commands : host->write_commands);
    (is_read ? host->bytes_read : host->bytes_written) += bytes;
  }
  void fill(Command& command, std::span<const std::byte> bytes) {
    command.buffer = *reactor_.lane().buffers().lease({bytes.size()});
    std::memcpy(command.buffer.bytes().data(), bytes.data(), bytes.size());
    command.data_bytes = static_cast<std::uint32_t>(bytes.size());
  }

  Reactor& reactor_;
  std::vector<std::unique_ptr<Command>> commands_;
};

}  // namespace target::nvmf
