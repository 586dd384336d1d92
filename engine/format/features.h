// Feature bits, as every format of ours begins with.
#pragma once

#include <boost/endian/arithmetic.hpp>

namespace engine::format {

// A reader that does not know a bit that is set may go on, may only read, or must refuse.
struct Features {
  boost::endian::little_uint64_t compatible;
  boost::endian::little_uint64_t read_only;
  boost::endian::little_uint64_t incompatible;
};
static_assert(sizeof(Features) == 24 && alignof(Features) == 1);

}  // namespace engine::format
