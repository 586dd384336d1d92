// An association: the admin queue brought up to a ready controller, I/O queues, and the usual admin
// commands.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/client/dhchap_host.h"
#include "tests/client/identify.h"
#include "tests/client/queue.h"

namespace client {

constexpr const char* discovery_nqn = "nqn.2014-08.org.nvmexpress.discovery";

// Who connects to what. Host NQN and id are random when left empty.
struct AttachOptions {
  Endpoint endpoint = {};
  TransportOptions transport = {};
  std::string subsystem_nqn = {};
  std::string host_nqn = {};
  std::array<std::byte, 16> host_id{};
  std::uint32_t keep_alive_ms = 0;       // KATO; nobody sends keep-alives but the caller
  std::uint16_t admin_entries = 32;      // honest count
  std::uint16_t controller_id = 0xffff;  // dynamic
  std::uint8_t connect_attributes = 0;   // CATTR of the admin queue
  // Every queue proves this, asked to or not; nullptr: none does, and who is asked to fails.
  std::shared_ptr<const DhchapOptions> dhchap = {};
};

// Not thread safe. Destruction closes every connection of it without a shutdown, as a dying host
// would.
class Controller {
 public:
  // Opens the admin queue, Connect, CC.EN, waits for CSTS.RDY, Identify Controller.
  // Errors: refused with the command and status when one is answered with an error.
  static Result<std::unique_ptr<Controller>> attach(const AttachOptions& options);

  // Opens an I/O queue pair. `entries` is honest; flow control is disabled when asked for.
  [[nodiscard]] Result<std::unique_ptr<Queue>> open_io_queue(std::uint16_t id,
                                                             std::uint16_t entries = 128,
                                                             bool flow_control = false);
  // The same with every Connect field open to change; the status is in the completion.
  [[nodiscard]] ConnectFields io_connect_fields(std::uint16_t id, std::uint16_t entries) const;
  // An I/O connection after ICReq/ICResp, before Connect.
  [[nodiscard]] Result<std::unique_ptr<Queue>> open_transport() const;

  [[nodiscard]] Queue& admin() { return *admin_; }
  [[nodiscard]] const ControllerData& data() const { return data_; }
  [[nodiscard]] const AttachOptions& options() const { return options_; }
  [[nodiscard]] std::uint16_t id() const { return id_; }
  [[nodiscard]] std::uint64_t capabilities() const { return capabilities_; }

  [[nodiscard]] Result<std::uint64_t> read_property(std::uint32_t offset, std::uint8_t size_code);
  [[nodiscard]] Result<void> write_property(std::uint32_t offset, std::uint64_t value,
                                            std::uint8_t size_code = 0);
  // Waits until (CSTS & mask) == value. CSTS is asked again and again, a millisecond apart.
  [[nodiscard]] Result<void> await_status(std::uint32_t mask, std::uint32_t value);
  // CC.SHN normal, waits for CSTS.SHST complete.
  [[nodiscard]] Result<void> shut_down();
  // CC.EN 0, waits for CSTS.RDY 0.
  [[nodiscard]] Result<void> disable();
  // CC.EN 1 with the usual settings, waits for CSTS.RDY 1.
  [[nodiscard]] Result<void> enable();

  // These turn an error status into `refused`; use admin().execute where the status is what is
  // tested.
  [[nodiscard]] Result<Bytes> identify(const admin::IdentifyFields& fields);
  [[nodiscard]] Result<NamespaceData> identify_namespace(std::uint32_t nsid);
  [[nodiscard]] Result<std::vector<std::uint32_t>> active_namespaces();
  // Reads in pieces of at most 4 KiB when `in_pieces`.
  [[nodiscard]] Result<Bytes> read_log(const admin::LogFields& fields);
  [[nodiscard]] Result<std::uint32_t> feature(std::uint8_t fid);
  // Number of Queues: asks for `count` I/O queues, returns how many were allocated (both honest).
  [[nodiscard]] Result<std::uint16_t> request_io_queues(std::uint16_t count);
  [[nodiscard]] Result<void> keep_alive();
  // The discovery log, read in pieces and again when its generation changed in between.
  [[nodiscard]] Result<DiscoveryLog> discovery_log();

 private:
  // Connect's response says whether it is asked for.
  [[nodiscard]] Result<void> authenticate(Queue& queue, const Completion& connected) const;
  explicit Controller(AttachOptions options) : options_(std::move(options)) {}
  [[nodiscard]] Result<Completion> demand(const char* what, Command command);

  AttachOptions options_;
  std::unique_ptr<Queue> admin_;
  ControllerData data_;
  std::uint16_t id_ = 0xffff;
  std::uint64_t capabilities_ = 0;
};

// "nqn.2014-08.org.nvmexpress:uuid:..." with a fresh random UUID.
[[nodiscard]] std::string random_host_nqn();

}  // namespace client
