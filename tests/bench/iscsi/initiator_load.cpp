#include "tests/bench/iscsi/initiator_load.h"

#include <fmt/format.h>
#include <poll.h>

// Before libiscsi's: they use its types without including it.
#include <sys/uio.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#include <chrono>
#include <memory>
#include <vector>

#include "engine/foundation/random.h"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* initiator_name = "iqn.2026-11.com.example:bench";
constexpr std::uint64_t seed = 1;

class Run {
 public:
  explicit Run(const InitiatorLoad& load)
      : load_(load), context_(iscsi_create_context(initiator_name), iscsi_destroy_context) {}

  InitiatorFigures all() {
    if (!connect()) return std::move(figures_);
    slots_.resize(load_.depth);
    begin_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                std::chrono::duration<double>(load_.warmup_seconds));
    end_ = begin_ + std::chrono::duration_cast<Clock::duration>(
                        std::chrono::duration<double>(load_.seconds));
    for (Slot& slot : slots_) {
      slot.run = this;
      slot.data.assign(load_.block_bytes, 0x5a);
      issue(slot);
    }
    while (in_flight_ > 0 && figures_.trouble.empty()) {
      pollfd waiting{.fd = iscsi_get_fd(context_.get()),
                     .events = static_cast<short>(iscsi_which_events(context_.get())),
                     .revents = 0};
      // It spins: what is measured is the target, not how fast this side wakes up.
      ::poll(&waiting, 1, 0);
      if (iscsi_service(context_.get(), waiting.revents) != 0) fail("service");
    }
    figures_.seconds = load_.seconds;
    if (figures_.trouble.empty()) iscsi_logout_sync(context_.get());
    return std::move(figures_);
  }

 private:
  struct Slot {
    Run* run = nullptr;
    std::vector<unsigned char> data;
    Clock::time_point issued;
    scsi_iovec piece{};
  };

  void fail(const char* what) {
    if (!figures_.trouble.empty()) return;
    figures_.trouble = fmt::format("{}: {}", what, iscsi_get_error(context_.get()));
  }

  bool connect() {
    const std::unique_ptr<iscsi_url, decltype(&iscsi_destroy_url)> url(
        iscsi_parse_full_url(context_.get(), load_.url.c_str()), iscsi_destroy_url);
    if (url == nullptr) {
      fail("URL");
      return false;
    }
    iscsi_set_targetname(context_.get(), url->target);
    iscsi_set_session_type(context_.get(), ISCSI_SESSION_NORMAL);
    iscsi_set_header_digest(context_.get(), ISCSI_HEADER_DIGEST_NONE);
    iscsi_set_noautoreconnect(context_.get(), 1);
    lun_ = url->lun;
    if (iscsi_full_connect_sync(context_.get(), url->portal, lun_) != 0) {
      fail("login");
      return false;
    }
    const std::unique_ptr<scsi_task, decltype(&scsi_free_scsi_task)> asked(
        iscsi_readcapacity16_sync(context_.get(), lun_), scsi_free_scsi_task);
    const auto* capacity =
        asked == nullptr || asked->status != SCSI_STATUS_GOOD
            ? nullptr
            : static_cast<scsi_readcapacity16*>(scsi_datain_unmarshall(asked.get()));
    if (capacity == nullptr || load_.block_bytes % capacity->block_length != 0) {
      fail("READ CAPACITY(16)");
      return false;
    }
    lun_block_bytes_ = capacity->block_length;
    places_ = (capacity->returned_lba + 1) * lun_block_bytes_ / load_.block_bytes;
    return true;
  }

  void issue(Slot& slot) {
    const std::uint64_t place = load_.sequential ? next_++ % places_ : random_.below(places_);
    const std::uint64_t lba = place * (load_.block_bytes / lun_block_bytes_);
    const int block = static_cast<int>(lun_block_bytes_);
    slot.issued = Clock::now();
    slot.piece = {.iov_base = slot.data.data(), .iov_len = slot.data.size()};
    const scsi_task* task =
        load_.writes
            ? iscsi_write16_iov_task(context_.get(), lun_, lba, nullptr, load_.block_bytes, block,
                                     0, 0, 0, 0, 0, &Run::ended, &slot, &slot.piece, 1)
            : iscsi_read16_iov_task(context_.get(), lun_, lba, load_.block_bytes, block, 0, 0, 0, 0,
                                    0, &Run::ended, &slot, &slot.piece, 1);
    if (task == nullptr) return fail("command");
    ++in_flight_;
    ++issued_;
  }

  static void ended(iscsi_context* /*context*/, int status, void* task, void* slot) {
    auto& it = *static_cast<Slot*>(slot);
    it.run->take(it, status, static_cast<scsi_task*>(task));
  }

  void take(Slot& slot, int status, scsi_task* task) {
    const auto now = Clock::now();
    scsi_free_scsi_task(task);
    --in_flight_;
    if (status != SCSI_STATUS_GOOD) {
      figures_.trouble = fmt::format("a command ended with status {}", status);
      return;
    }
    if (slot.issued >= begin_ && now < end_) {
      ++figures_.commands;
      figures_.latency.record(static_cast<std::uint64_t>((now - slot.issued).count()));
    }
    if (load_.commands != 0 ? issued_ < load_.commands : now < end_) issue(slot);
  }

  const InitiatorLoad& load_;
  std::unique_ptr<iscsi_context, decltype(&iscsi_destroy_context)> context_;
  int lun_ = 0;
  std::uint32_t lun_block_bytes_ = 0;
  std::uint64_t places_ = 1;
  std::uint64_t next_ = 0;
  std::uint64_t issued_ = 0;
  engine::SeededRandom random_{seed};
  std::vector<Slot> slots_;
  std::uint32_t in_flight_ = 0;
  Clock::time_point begin_;
  Clock::time_point end_;
  InitiatorFigures figures_;
};

}  // namespace

InitiatorFigures run_initiator(const InitiatorLoad& load) { return Run(load).all(); }

}  // namespace bench
