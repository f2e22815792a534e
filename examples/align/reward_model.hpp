// SPDX-License-Identifier: Apache-2.0
/// \file
/// A Bradley–Terry reward model, linear in hashed character n-grams, learned from preferences between two words.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "word_data.hpp"

namespace align {

/// The n-grams (n = 1 … 4) of a word between its boundary marks, hashed to buckets.
struct ngram_features {
  static constexpr std::uint32_t buckets = 1u << 15;
  static constexpr int longest = 4;

  std::array<std::uint16_t, longest*(longest_word + 2)> bucket{};
  int count = 0;

  explicit ngram_features(const word& w) {
    std::array<std::uint32_t, longest_word + 2> mark{};
    mark[0] = 1;
    for (int i = 0; i < w.length; ++i) mark[static_cast<std::size_t>(i) + 1] = static_cast<std::uint32_t>(w[i]) + 3;
    mark[static_cast<std::size_t>(w.length) + 1] = 2;
    const auto n_marks = static_cast<std::size_t>(w.length) + 2;
    for (std::size_t begin = 0; begin < n_marks; ++begin) {
      std::uint32_t packed = 0;  // 5 bits a character: no two n-grams share it
      for (std::size_t end = begin; end < begin + longest && end < n_marks; ++end) {
        packed = packed * 32 + mark[end];
        bucket[static_cast<std::size_t>(count++)] = static_cast<std::uint16_t>((packed * 2654435761u) >> 17);
      }
    }
  }
};

template <class Scalar>
class reward_model {
 public:
  using vector = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;

  [[nodiscard]] vector& weights() { return weights_; }
  [[nodiscard]] const vector& weights() const { return weights_; }

  [[nodiscard]] Scalar operator()(const word& w) const {
    const ngram_features f(w);
    Scalar sum = 0;
    for (int i = 0; i < f.count; ++i) sum += weights_[f.bucket[static_cast<std::size_t>(i)]];
    return sum;
  }

  /// Rewards of many words, in their order.
  [[nodiscard]] std::vector<Scalar> operator()(const std::vector<word>& words) const {
    std::vector<Scalar> rewards(words.size());
    std::transform(words.begin(), words.end(), rewards.begin(), [this](const word& w) { return (*this)(w); });
    return rewards;
  }

  /// Mean of -log σ(r(preferred) - r(other)) over the pairs; adds its gradient to `gradient`.
  Scalar loss(const std::vector<word>& preferred, const std::vector<word>& other, vector& gradient) const {
    Scalar total = 0;
    const auto share = Scalar(1) / static_cast<Scalar>(preferred.size());
    for (std::size_t i = 0; i < preferred.size(); ++i) {
      const Scalar margin = (*this)(preferred[i]) - (*this)(other[i]);
      total += share * std::log1p(std::exp(-margin));
      const Scalar slope = -share / (1 + std::exp(margin));
      add(preferred[i], slope, gradient);
      add(other[i], -slope, gradient);
    }
    return total;
  }

 private:
  static void add(const word& w, Scalar slope, vector& gradient) {
    const ngram_features f(w);
    for (int i = 0; i < f.count; ++i) gradient[f.bucket[static_cast<std::size_t>(i)]] += slope;
  }

  vector weights_ = vector::Zero(ngram_features::buckets);
};

}  // namespace align
