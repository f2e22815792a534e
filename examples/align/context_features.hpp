// SPDX-License-Identifier: Apache-2.0
/// \file
/// What the language model sees of the word so far: a handful of indices into its tables.
///
/// Letters counted from the beginning carry the prompt; letters, pairs and the triple counted from the end carry the local
/// spelling, which is what transfers to prompts that training never saw.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "word_data.hpp"

namespace align {

struct context_features {
  static constexpr int from_end = 8;              ///< the last letters, by their distance from the end
  static constexpr int pairs_from_end = 3;        ///< neighbouring letters, by their distance from the end
  static constexpr int log2_triple_buckets = 11;  ///< the last three letters, hashed

  // The blocks of the tables, one after another.
  static constexpr int first_from_end = prompt_length * n_letters;
  static constexpr int first_pair = first_from_end + from_end * n_letters;
  static constexpr int first_triple = first_pair + pairs_from_end * n_letters * n_letters;
  static constexpr int first_length = first_triple + (1 << log2_triple_buckets);
  static constexpr int count = first_length + longest_word + 1;
  static constexpr int most_active = prompt_length + from_end + pairs_from_end + 2;

  std::array<std::uint16_t, most_active> active{};
  int n_active = 0;

  context_features() = default;
  /// `w` has at least the letters of a prompt.
  explicit context_features(const word& w) {
    for (int i = 0; i < prompt_length; ++i) add(i * n_letters + w[i]);
    for (int i = 0; i < from_end && i < w.length; ++i) add(first_from_end + i * n_letters + w[-1 - i]);
    for (int i = 0; i < pairs_from_end && i + 1 < w.length; ++i)
      add(first_pair + (i * n_letters + w[-2 - i]) * n_letters + w[-1 - i]);
    const auto triple = static_cast<std::uint32_t>((w[-3] * n_letters + w[-2]) * n_letters + w[-1]);
    add(first_triple + static_cast<int>((triple * 2654435761u) >> (32 - log2_triple_buckets)));
    add(first_length + w.length);
  }

 private:
  void add(int feature) { active[static_cast<std::size_t>(n_active++)] = static_cast<std::uint16_t>(feature); }
};

}  // namespace align
