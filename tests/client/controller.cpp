#include "tests/client/controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "engine/foundation/random.h"
#include "engine/foundation/uuid.h"

namespace client {
namespace {

using SteadyClock = std::chrono::steady_clock;

// Base 2.0, CC and CSTS. IOSQES 6 (64 bytes), IOCQES 4 (16 bytes), 4 KiB pages, NVM command set.
constexpr std::uint32_t cc_usual = 6u << 16 | 4u << 20;
constexpr std::uint32_t cc_enable = 1;
constexpr std::uint32_t cc_shutdown_normal = 1u << 14;
constexpr std::uint32_t csts_ready = 1;
constexpr std::uint32_t csts_fatal = 2;
constexpr std::uint32_t csts_shutdown_mask = 3u << 2;
constexpr std::uint32_t csts_shutdown_complete = 2u << 2;

constexpr std::uint8_t discovery_log_page = 0x70;
constexpr std::uint8_t number_of_queues = 0x07;
constexpr std::uint32_t log_piece_bytes = 4096;
constexpr int discovery_attempts = 16;

Error refused(const char* what, const Completion& done) {
  return {ErrorKind::refused, fmt::format("{}: {}", what, done.describe())};
}

}  // namespace

std::string random_host_nqn() {
  return "nqn.2014-08.org.nvmexpress:uuid:" + engine::Uuid::random().text();
}

Result<std::unique_ptr<Controller>> Controller::attach(const AttachOptions& wanted) {
  AttachOptions options = wanted;
  if (options.host_nqn.empty()) options.host_nqn = random_host_nqn();
  if (options.host_id == std::array<std::byte, 16>{}) engine::system_random(options.host_id);
  std::unique_ptr<Controller> made(new Controller(std::move(options)));
  const AttachOptions& chosen = made->options_;

  TRY(made->admin_, Queue::open(chosen.endpoint, chosen.transport));
  TRY(const auto connected,
      made->admin_->connect(
          {.queue_entries_minus_1 = static_cast<std::uint16_t>(chosen.admin_entries - 1),
           .attributes = chosen.connect_attributes,
           .keep_alive_ms = chosen.keep_alive_ms,
           .host_id = chosen.host_id,
           .controller_id = chosen.controller_id,
           .subsystem_nqn = chosen.subsystem_nqn,
           .host_nqn = chosen.host_nqn}));
  if (!connected.ok()) return refused("Connect", connected);
  made->id_ = static_cast<std::uint16_t>(connected.result & 0xffff);
  TRY(made->authenticate(*made->admin_, connected));
  TRY(made->capabilities_, made->read_property(property::cap, 1));
  TRY(made->enable());
  TRY(const auto page, made->identify({.cns = 1}));
  made->data_ = parse_controller_data(page);
  if (made->data_.cntlid != made->id_) {
    return Error{ErrorKind::violation, fmt::format("Connect gave controller {}, Identify says {}",
                                                   made->id_, made->data_.cntlid)};
  }
  return made;
}

ConnectFields Controller::io_connect_fields(std::uint16_t id, std::uint16_t entries) const {
  return {.queue_id = id,
          .queue_entries_minus_1 = static_cast<std::uint16_t>(entries - 1),
          .host_id = options_.host_id,
          .controller_id = id_,
          .subsystem_nqn = options_.subsystem_nqn,
          .host_nqn = options_.host_nqn};
}

Result<std::unique_ptr<Queue>> Controller::open_transport() const {
  TransportOptions transport = options_.transport;
  transport.in_capsule_bytes = data_.in_capsule_bytes();
  return Queue::open(options_.endpoint, transport);
}

Result<std::unique_ptr<Queue>> Controller::open_io_queue(std::uint16_t id, std::uint16_t entries,
                                                         bool flow_control) {
  TRY(auto queue, open_transport());
  ConnectFields fields = io_connect_fields(id, entries);
  if (!flow_control) fields.attributes = disable_sq_flow_control;
  TRY(const auto done, queue->connect(fields));
  if (!done.ok()) return refused("Connect of an I/O queue", done);
  TRY(authenticate(*queue, done));
  return queue;
}

Result<void> Controller::authenticate(Queue& queue, const Completion& connected) const {
  if (options_.dhchap != nullptr) {
    return DhchapHost(*options_.dhchap, options_.host_nqn, options_.subsystem_nqn).prove(queue);
  }
  if ((connected.dw0() & connect_wants_authentication) == 0) return engine::success();
  return Error{ErrorKind::refused, "the target asks for authentication, and there is no key"};
}

Result<Completion> Controller::demand(const char* what, Command command) {
  TRY(auto done, admin_->execute(std::move(command)));
  if (!done.ok()) return refused(what, done);
  return done;
}

Result<std::uint64_t> Controller::read_property(std::uint32_t offset, std::uint8_t size_code) {
  TRY(const auto done, demand("Property Get", property_get_command(offset, size_code)));
  return done.result;
}

Result<void> Controller::write_property(std::uint32_t offset, std::uint64_t value,
                                        std::uint8_t size_code) {
  TRY(demand("Property Set", property_set_command(offset, value, size_code)));
  return engine::success();
}

Result<void> Controller::await_status(std::uint32_t mask, std::uint32_t value) {
  const auto deadline = SteadyClock::now() + options_.transport.time_out;
  for (;;) {
    TRY(const auto status, read_property(property::csts, 0));
    if ((status & mask) == value) return engine::success();
    if ((status & csts_fatal) != 0) return Error{ErrorKind::refused, "CSTS.CFS is set"};
    if (SteadyClock::now() > deadline) {
      return Error{ErrorKind::time_out, fmt::format("CSTS is still {:08x}h", status)};
    }
    std::this_thread::sleep_for(Milliseconds{1});
  }
}

Result<void> Controller::enable() {
  TRY(write_property(property::cc, cc_usual | cc_enable));
  return await_status(csts_ready, csts_ready);
}

Result<void> Controller::disable() {
  TRY(write_property(property::cc, cc_usual));
  return await_status(csts_ready, 0);
}

Result<void> Controller::shut_down() {
  TRY(write_property(property::cc, cc_usual | cc_enable | cc_shutdown_normal));
  return await_status(csts_shutdown_mask, csts_shutdown_complete);
}

Result<Bytes> Controller::identify(const admin::IdentifyFields& fields) {
  TRY(auto done, demand("Identify", admin::identify(fields)));
  return std::move(done.data);
}

Result<NamespaceData> Controller::identify_namespace(std::uint32_t nsid) {
  TRY(const auto page, identify({.cns = 0, .nsid = nsid}));
  return parse_namespace_data(page);
}

Result<std::vector<std::uint32_t>> Controller::active_namespaces() {
  TRY(const auto page, identify({.cns = 2}));
  return parse_namespace_list(page);
}

Result<Bytes> Controller::read_log(const admin::LogFields& fields) {
  Bytes whole;
  while (whole.size() < fields.bytes) {
    admin::LogFields piece = fields;
    piece.offset = fields.offset + whole.size();
    piece.bytes =
        std::min(log_piece_bytes, fields.bytes - static_cast<std::uint32_t>(whole.size()));
    TRY(const auto done, demand("Get Log Page", admin::get_log(piece)));
    whole.insert(whole.end(), done.data.begin(), done.data.end());
  }
  return whole;
}

Result<std::uint32_t> Controller::feature(std::uint8_t fid) {
  TRY(const auto done, demand("Get Features", admin::get_feature(fid)));
  return done.dw0();
}

Result<std::uint16_t> Controller::request_io_queues(std::uint16_t count) {
  const std::uint32_t zero_based = count - 1u;
  TRY(const auto done, demand("Set Features, Number of Queues",
                              admin::set_feature(number_of_queues, zero_based | zero_based << 16)));
  const std::uint32_t granted = std::min(done.dw0() & 0xffff, done.dw0() >> 16) + 1;
  return static_cast<std::uint16_t>(std::min<std::uint32_t>(granted, count));
}

Result<void> Controller::keep_alive() {
  TRY(demand("Keep Alive", admin::keep_alive()));
  return engine::success();
}

Result<DiscoveryLog> Controller::discovery_log() {
  const auto read = [this](std::uint32_t bytes) {
    return read_log({.lid = discovery_log_page, .bytes = bytes, .nsid = 0});
  };
  for (int attempt = 0; attempt < discovery_attempts; ++attempt) {
    TRY(const auto header, read(discovery_header_bytes));
    const auto generation = get<std::uint64_t>(header, 0);
    const auto records = get<std::uint64_t>(header, 8);
    if (records > (1u << 16)) return Error{ErrorKind::violation, "too many discovery records"};
    TRY(const auto log,
        read(static_cast<std::uint32_t>(discovery_header_bytes + records * discovery_entry_bytes)));
    TRY(const auto again, read(discovery_header_bytes));
    if (get<std::uint64_t>(log, 0) == generation && get<std::uint64_t>(again, 0) == generation) {
      return parse_discovery_log(log);
    }
  }
  return Error{ErrorKind::time_out, "the discovery log changes all the time"};
}

}  // namespace client
