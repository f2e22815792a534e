// SPDX-License-Identifier: Apache-2.0
/// \file
/// A stream of random numbers on the library's counter-based generator: the same on every machine and in every thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "infalign/core/rng.hpp"

namespace align {

class random_stream {
 public:
  explicit random_stream(std::uint64_t seed) : seed_(seed) {}

  /// Uniform on [0, 1).
  double uniform() { return infalign::uniform_at(seed_, position_++); }
  /// Uniform on 0 … n-1.
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(uniform() * static_cast<double>(n)); }

  /// The seed of another generator.
  std::uint64_t seed() { return static_cast<std::uint64_t>(uniform() * 0x1p53); }

  template <class T>
  void shuffle(std::vector<T>& values) {
    for (std::size_t n = values.size(); n > 1; --n) std::swap(values[n - 1], values[below(n)]);
  }

  /// An independent stream for a part of the work, whatever this one has been used for.
  [[nodiscard]] random_stream child(std::uint64_t name) const {
    const infalign::philox4x32 block(name, 1, seed_);
    return random_stream((std::uint64_t{block.word[2]} << 32) | block.word[3]);
  }

 private:
  std::uint64_t seed_;
  std::uint64_t position_ = 0;
};

}  // namespace align
