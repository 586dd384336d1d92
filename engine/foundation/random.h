// Randomness: one seeded generator for everything simulated, the kernel's for identities and
// secrets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace engine {

// xoshiro256** seeded through splitmix64: fast, repeatable from one printed seed, not for secrets.
// Satisfies UniformRandomBitGenerator.
class SeededRandom {
 public:
  using result_type = std::uint64_t;
  explicit SeededRandom(std::uint64_t seed);

  result_type operator()();
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return ~std::uint64_t{0}; }

  // Uniform in [0, bound); bound > 0.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound);
  // True with probability numerator/denominator.
  [[nodiscard]] bool chance(std::uint64_t numerator, std::uint64_t denominator) {
    return below(denominator) < numerator;
  }
  void fill(std::span<std::byte> bytes);

 private:
  std::uint64_t state_[4];
};

// Fills with the kernel's randomness (getrandom); for UUIDs, challenges, generation tags.
void system_random(std::span<std::byte> bytes);

}  // namespace engine
