// SPDX-License-Identifier: Apache-2.0
/// \file
/// The numbers that calibration adds to a record, as text.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "infalign/calibration/uncertainty.hpp"
#include "infalign/transform/any_transform.hpp"

namespace command {

/// The three fields of one reward: `,"calibrated_reward":0.5,"transformed_reward":…,"standard_error":…`.
class calibrated_text {
 public:
  static constexpr std::array<std::string_view, 3> names = {"calibrated_reward", "transformed_reward", "standard_error"};

  [[nodiscard]] std::string_view fields() const { return {text_.data(), size_}; }
  /// Only the number of field `i`.
  [[nodiscard]] std::string_view number(std::size_t i) const {
    return std::string_view(text_.data() + begin_[i], text_.data() + end_[i]);
  }
  [[nodiscard]] double transformed() const { return transformed_; }
  [[nodiscard]] bool is_of(double u, infalign::index_t references) const { return u == u_ && references == references_; }

  void make(double u, infalign::index_t references, const infalign::any_transform& transform) {
    u_ = u;
    references_ = references;
    transformed_ = transform(u);
    size_ = 0;
    write(0, u);
    write(1, transformed_);
    write(2, infalign::calibration_standard_error(u, references));
  }

 private:
  static constexpr std::size_t most = 3 * 32 + 17 + 18 + 14;  ///< numbers with punctuation, and names

  void write(std::size_t i, double value) {
    char* at = text_.data() + size_;
    for (const std::string_view part : {std::string_view(",\""), names[i], std::string_view("\":")})
      at = std::copy(part.begin(), part.end(), at);
    begin_[i] = static_cast<std::uint8_t>(at - text_.data());
    at = std::to_chars(at, text_.data() + text_.size(), value).ptr;
    end_[i] = size_ = static_cast<std::uint8_t>(at - text_.data());
  }

  double u_ = -1;
  infalign::index_t references_ = 0;
  double transformed_ = 0;
  std::array<char, most> text_{};
  std::array<std::uint8_t, 3> begin_{}, end_{};
  std::uint8_t size_ = 0;
};

/// A cache of the last few thousand texts. A prompt with K references has at most 2K + 1 different calibrated rewards, so that the
/// same numbers come again and again. Without the cache, transforming and printing them would take most of the time.
class calibrated_texts {
 public:
  explicit calibrated_texts(infalign::any_transform transform) : transform_(std::move(transform)), kept_(1 << log_size) {}

  const calibrated_text& of(double u, infalign::index_t references) {
    const std::uint64_t key = std::bit_cast<std::uint64_t>(u) + static_cast<std::uint64_t>(references);
    calibrated_text& text = kept_[(key * 0x9E3779B97F4A7C15u) >> (64 - log_size)];
    if (!text.is_of(u, references)) text.make(u, references, transform_);
    return text;
  }

 private:
  static constexpr int log_size = 13;
  infalign::any_transform transform_;
  std::vector<calibrated_text> kept_;
};

}  // namespace command
