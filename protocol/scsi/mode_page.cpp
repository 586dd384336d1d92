#include "protocol/scsi/mode_page.h"

#include <algorithm>
#include <array>
#include <bit>

#include "engine/foundation/byte_cursor.h"
#include "protocol/wire/endian.h"
#include "protocol/wire/layout.h"

namespace protocol::scsi {

namespace {

constexpr std::uint8_t caching_code = 0x08;
constexpr std::uint8_t control_code = 0x0a;
constexpr std::uint8_t exceptions_code = 0x1c;
constexpr std::uint8_t all_pages = 0x3f;
constexpr std::uint8_t all_subpages = 0xff;

// SPC-4, "Mode parameter header": of the 6 and of the 10 byte CDB.
struct ModeHeader6 {
  std::uint8_t data_length;  // of what stands behind it
  std::uint8_t medium_type;
  std::uint8_t device_specific;
  std::uint8_t descriptor_bytes;
};
static_assert(wire::is_wire_struct<ModeHeader6, 4>);

struct ModeHeader10 {
  wire::be16 data_length;
  std::uint8_t medium_type;
  std::uint8_t device_specific;
  std::uint8_t long_lba;  // LONGLBA 0
  std::uint8_t reserved5;
  wire::be16 descriptor_bytes;
};
static_assert(wire::is_wire_struct<ModeHeader10, 8>);

// SBC-4, "Mode parameter block descriptors".
struct ShortDescriptor {
  wire::be32 blocks;
  std::uint8_t reserved4;
  wire::be24 block_bytes;
};
static_assert(wire::is_wire_struct<ShortDescriptor, 8>);

struct LongDescriptor {
  wire::be64 blocks;
  wire::Reserved<4> reserved8;
  wire::be32 block_bytes;
};
static_assert(wire::is_wire_struct<LongDescriptor, 16>);

// DEVICE-SPECIFIC PARAMETER (SBC-4).
constexpr std::uint8_t write_protected_bit = 0x80;
constexpr std::uint8_t dpo_and_fua_accepted = 0x10;

// SBC-4, "Caching mode page". WCE 0: what is answered is on stable media; RCD 0.
using CachingPage = std::array<std::uint8_t, 20>;
// SPC-4, "Control mode page".
using ControlPage = std::array<std::uint8_t, 12>;
// SPC-4, "Informational Exceptions Control mode page".
using ExceptionsPage = std::array<std::uint8_t, 12>;

constexpr std::size_t control_byte2 = 2;  // TST 7:5, D_SENSE 2, GLTSD 1
constexpr std::size_t control_byte4 = 4;  // SWP 3
constexpr std::uint8_t descriptor_sense_bit = 0x04;
constexpr std::uint8_t software_write_protect_bit = 0x08;

constexpr CachingPage caching_page{caching_code, sizeof(CachingPage) - 2};

// QUEUE ALGORITHM MODIFIER 1h: commands may be reordered. TST 1: each nexus has a task set of its
// own. TAS 0: tasks that another nexus has aborted are not answered.
constexpr ControlPage control_page(const ModeState& state) {
  ControlPage page{control_code, sizeof(ControlPage) - 2, 0x20, 0x10};
  if (state.descriptor_sense) page[control_byte2] |= descriptor_sense_bit;
  if (state.software_write_protect) page[control_byte4] |= software_write_protect_bit;
  return page;
}
constexpr ControlPage changeable_control{control_code, sizeof(ControlPage) - 2,
                                         descriptor_sense_bit, 0, software_write_protect_bit};

// DEXCPT 1: exceptions are not reported by sense data.
constexpr ExceptionsPage exceptions_page{exceptions_code, sizeof(ExceptionsPage) - 2, 0x08};

// What MODE SELECT may change of a page that it may not change.
template <class Page>
constexpr Page unchangeable(const Page& page) {
  return Page{page[0], page[1]};
}

void put_pages(Answer& answer, const ModeSense& command, const ModeState& state) {
  const bool all = command.page == all_pages;
  const bool changeable = command.control == ModePageControl::changeable;
  const ModeState shown = command.control == ModePageControl::defaults ? ModeState{} : state;
  if (all || command.page == caching_code) {
    answer.put(changeable ? unchangeable(caching_page) : caching_page);
  }
  if (all || command.page == control_code) {
    answer.put(changeable ? changeable_control : control_page(shown));
  }
  if (all || command.page == exceptions_code) {
    answer.put(changeable ? unchangeable(exceptions_page) : exceptions_page);
  }
}

std::uint32_t shown_blocks(const ModeFacts& facts) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(facts.size.value, 0xffff'ffffu));
}

void put_block_descriptor(Answer& answer, const ModeSense& command, const ModeFacts& facts) {
  if (command.long_lba_accepted) {
    LongDescriptor made{};
    made.blocks = facts.size.value;
    made.block_bytes = facts.block_size.bytes;
    answer.put(made);
  } else {
    ShortDescriptor made{};
    made.blocks = shown_blocks(facts);
    made.block_bytes = facts.block_size.bytes;
    answer.put(made);
  }
}

// Reads the parameter list of MODE SELECT front to back.
class SelectReader {
 public:
  SelectReader(std::span<const std::byte> data, const ModeState& state, const ModeFacts& facts)
      : data_(data), state_(state), facts_(facts) {}

  Parsed<ModeState> read(bool ten_byte_cdb) {
    std::size_t descriptor_bytes = 0;
    bool long_lba = false;
    if (ten_byte_cdb) {
      TRY(auto head, take<ModeHeader10>());
      if (head.medium_type != 0) return sense::invalid_list(2);
      descriptor_bytes = head.descriptor_bytes;
      long_lba = (head.long_lba & 1u) != 0;
    } else {
      TRY(auto head, take<ModeHeader6>());
      if (head.medium_type != 0) return sense::invalid_list(1);
      descriptor_bytes = head.descriptor_bytes;
    }
    if (descriptor_bytes != 0) {
      const std::size_t one = long_lba ? sizeof(LongDescriptor) : sizeof(ShortDescriptor);
      if (descriptor_bytes != one) return sense::invalid_list(ten_byte_cdb ? 6 : 3);
      if (long_lba) {
        TRY(check_descriptor<LongDescriptor>(0xffff'ffff'ffff'ffffu, facts_.size.value));
      } else {
        TRY(check_descriptor<ShortDescriptor>(0xffff'ffffu, shown_blocks(facts_)));
      }
    }
    while (at_ < data_.size()) {
      TRY(page());
    }
    return state_;
  }

 private:
  template <class T>
  Parsed<T> take() {
    const auto value = engine::ByteReader(data_.subspan(at_)).read<T>();
    if (!value) return sense::parameter_list_length_error;
    at_ += sizeof(T);
    return *value;
  }

  // It may say what is so already, or leave the count open: anything else would be a format or a
  // resize (SBC-4, "NUMBER OF LOGICAL BLOCKS").
  template <class Descriptor>
  Parsed<void> check_descriptor(std::uint64_t as_large_as_can_be, std::uint64_t shown) {
    const std::size_t start = at_;
    TRY(auto descriptor, take<Descriptor>());
    const std::uint64_t blocks = descriptor.blocks;
    if (blocks != 0 && blocks != as_large_as_can_be && blocks != shown) {
      return sense::invalid_list(start);
    }
    if (descriptor.block_bytes != facts_.block_size.bytes) {
      return sense::invalid_list(start + offsetof(Descriptor, block_bytes));
    }
    return engine::success();
  }

  Parsed<void> page() {
    TRY(auto code_byte, take<std::uint8_t>());
    // Bit 7 is reserved here, and often sent back as MODE SENSE shows it (PS).
    const std::uint8_t code = code_byte & 0x7f;
    switch (code) {
      case caching_code:
        return check_page(caching_page, unchangeable(caching_page));
      case exceptions_code:
        return check_page(exceptions_page, unchangeable(exceptions_page));
      case control_code: {
        const std::size_t start = at_ - 1;
        TRY(check_page(control_page(state_), changeable_control));
        const auto bit_set = [&](std::size_t byte, std::uint8_t bit) {
          return (static_cast<std::uint8_t>(data_[start + byte]) & bit) != 0;
        };
        state_.descriptor_sense = bit_set(control_byte2, descriptor_sense_bit);
        state_.software_write_protect = bit_set(control_byte4, software_write_protect_bit);
        return engine::success();
      }
      default:
        return sense::invalid_list(at_ - 1, 5);  // SPF (bit 6) too: there are no subpages
    }
  }

  // The page whose first byte has been taken: as long as it must be, and the same but for what is
  // changeable.
  template <std::size_t size>
  Parsed<void> check_page(const std::array<std::uint8_t, size>& current,
                          const std::array<std::uint8_t, size>& changeable) {
    const std::size_t start = at_ - 1;
    TRY(auto length, take<std::uint8_t>());
    if (length != current[1]) return sense::invalid_list(start + 1);
    if (data_.size() - start < size) return sense::parameter_list_length_error;
    for (std::size_t i = 2; i < size; ++i) {
      const auto given = static_cast<std::uint8_t>(data_[start + i]);
      const unsigned refused = unsigned(given ^ current[i]) & ~unsigned{changeable[i]};
      if (refused != 0) {
        return sense::invalid_list(start + i,
                                   static_cast<std::uint8_t>(std::bit_width(refused) - 1));
      }
    }
    at_ = start + size;
    return engine::success();
  }

  std::span<const std::byte> data_;
  std::size_t at_ = 0;
  ModeState state_;
  const ModeFacts& facts_;
};

}  // namespace

std::optional<Sense> put_mode_sense(Answer& answer, const ModeSense& command,
                                    const ModeState& state, const ModeFacts& facts) {
  const bool is_all = command.page == all_pages;
  if (!is_all && command.page != caching_code && command.page != control_code &&
      command.page != exceptions_code) {
    return sense::invalid_cdb(2, 5);
  }
  if (command.subpage != 0 && command.subpage != all_subpages) return sense::invalid_cdb(3);
  if (command.control == ModePageControl::saved) return sense::saving_not_supported;

  const std::size_t start = answer.full_bytes();
  const auto device_specific = static_cast<std::uint8_t>(
      dpo_and_fua_accepted |
      (facts.write_protected || state.software_write_protect ? write_protected_bit : 0));
  const bool long_lba = command.ten_byte_cdb && command.long_lba_accepted;
  std::size_t descriptor_bytes = 0;
  if (command.block_descriptor) {
    descriptor_bytes = long_lba ? sizeof(LongDescriptor) : sizeof(ShortDescriptor);
  }
  if (command.ten_byte_cdb) {
    ModeHeader10 head{};
    head.device_specific = device_specific;
    head.long_lba = long_lba && command.block_descriptor ? 1 : 0;
    head.descriptor_bytes = static_cast<std::uint16_t>(descriptor_bytes);
    answer.put(head);
  } else {
    ModeHeader6 head{};
    head.device_specific = device_specific;
    head.descriptor_bytes = static_cast<std::uint8_t>(descriptor_bytes);
    answer.put(head);
  }
  if (command.block_descriptor) put_block_descriptor(answer, command, facts);
  put_pages(answer, command, state);
  const std::size_t whole = answer.full_bytes() - start;
  if (command.ten_byte_cdb) {
    answer.put_at(start, wire::be16{static_cast<std::uint16_t>(whole - 2)});
  } else {
    answer.put_at(start, static_cast<std::uint8_t>(whole - 1));
  }
  return std::nullopt;
}

Parsed<ModeState> parse_mode_select(const ModeSelect& command, std::span<const std::byte> data,
                                    const ModeState& state, const ModeFacts& facts) {
  if (command.parameter_bytes == 0) return state;
  if (!command.page_format) return sense::invalid_cdb(1, 4);
  if (data.size() < command.parameter_bytes) return sense::parameter_list_length_error;
  return SelectReader(data.first(command.parameter_bytes), state, facts).read(command.ten_byte_cdb);
}

}  // namespace protocol::scsi
