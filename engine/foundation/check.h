// CHECK stays on in release: a broken invariant ends the process before it can damage data.
// Never for anything that came from network, YAML or media: those get a typed error.
#pragma once

namespace engine {
// Prints where and what to stderr, then aborts (the kernel's core dump and kill -9 are equally safe
// for data).
[[noreturn]] void check_failed(const char* condition, const char* file, int line) noexcept;
// `call` runs between the two, on the thread that failed: it must not take anything for granted.
void before_abort(void (*call)() noexcept);
}  // namespace engine

#define CHECK(condition) \
  (static_cast<bool>(condition) ? void() : ::engine::check_failed(#condition, __FILE__, __LINE__))

// For conditions too expensive to test in release.
#ifdef NDEBUG
#define DCHECK(condition) (true ? void() : static_cast<void>(static_cast<bool>(condition)))
#else
#define DCHECK(condition) CHECK(condition)
#endif
