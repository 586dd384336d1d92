// FaultGuard: touching mapped memory that may be gone. A poisoned page or a truncated file raises
// SIGBUS at the load or store that meets it; under the guard that is an answer, not a crash.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace engine {

// Makes this process survive a SIGBUS inside touch_guarded(). Every other SIGBUS goes where it went
// before. Called when a region is opened; again, and from any thread, does no harm.
void install_fault_handler();

// Runs `leaf(argument)`; nullopt when it ended, or the address inside `range` that could not be
// touched. `leaf` is then abandoned in the middle: it must own no object and hold no lock, nor call
// anything that does. Its thread alone is affected. Costs about 4 ns.
[[nodiscard]] std::optional<const std::byte*> touch_guarded(std::span<const std::byte> range,
                                                            void (*leaf)(const void*) noexcept,
                                                            const void* argument) noexcept;

// The same for a closure that captures by reference.
template <class Leaf>
[[nodiscard]] std::optional<const std::byte*> touch_guarded(std::span<const std::byte> range,
                                                            const Leaf& leaf) noexcept {
  return touch_guarded(
      range, [](const void* closure) noexcept { (*static_cast<const Leaf*>(closure))(); }, &leaf);
}

}  // namespace engine
