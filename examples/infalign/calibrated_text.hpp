// SPDX-License-Identifier: Apache-2.0
/// \file
/// The numbers that calibration adds to a record, as text.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "infalign/calibration/uncertainty.hpp"
#include "infalign/transform/any_transform.hpp"
#include "json_text.hpp"

namespace command {

/// Calibrated, transformed, and standard error of one reward.
class calibrated_text {
 public:
  static constexpr std::array<std::string_view, 3> names = {"calibrated_reward", "transformed_reward", "standard_error"};

  [[nodiscard]] std::string_view operator[](std::size_t i) const { return {text_[i].data(), size_[i]}; }
  [[nodiscard]] double transformed() const { return transformed_; }
  [[nodiscard]] bool is_of(double u, infalign::index_t references) const { return u == u_ && references == references_; }

  void make(double u, infalign::index_t references, const infalign::any_transform& transform) {
    u_ = u;
    references_ = references;
    transformed_ = transform(u);
    write(0, u);
    write(1, transformed_);
    write(2, infalign::calibration_standard_error(u, references));
  }

 private:
  void write(std::size_t i, double value) {
    char* const begin = text_[i].data();
    size_[i] = static_cast<std::uint8_t>(std::to_chars(begin, begin + text_[i].size(), value).ptr - begin);
  }

  double u_ = -1;
  infalign::index_t references_ = 0;
  double transformed_ = 0;
  std::array<std::array<char, 25>, 3> text_{};
  std::array<std::uint8_t, 3> size_{};
};

/// A prompt with K references has no more than 2K + 1 calibrated rewards, so the same numbers come again and again: printing
/// them anew, and transforming, would take most of the time. The last few thousand texts are kept.
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
