// What every wire struct must be, checked at compile time right after its declaration.
#pragma once

#include <cstddef>
#include <type_traits>

namespace protocol::wire {

// True for a struct of `Bytes` bytes that may be copied to and from any place in a stream.
template <class T, std::size_t Bytes>
inline constexpr bool is_wire_struct =
    sizeof(T) == Bytes &&
    alignof(T) == 1 && std::is_trivially_copyable_v<T>&& std::is_standard_layout_v<T>;

}  // namespace protocol::wire
