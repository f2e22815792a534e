// SPDX-License-Identifier: Apache-2.0
/// \file
/// What every fuzz target is made of: the bytes of an input, read from the front, and a way to fail with a message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"

namespace infalign::fuzz {

/// The bytes of an input. Past their end there are zeros, so that every input is a case, and a short one a small case.
class input {
 public:
  input(const std::uint8_t* bytes, std::size_t size) : at_(bytes), left_(size) {}

  std::uint8_t byte() {
    if (left_ == 0) return 0;
    --left_;
    return *at_++;
  }
  template <class T>
  T raw() {
    std::uint8_t bytes[sizeof(T)];
    for (std::uint8_t& b : bytes) b = byte();
    T value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
  }
  bool flag() { return (byte() & 1) != 0; }
  /// 0 … n-1
  int below(int n) { return byte() % n; }
  template <class T, std::size_t N>
  T one_of(const T (&values)[N]) {
    return values[byte() % N];
  }
  [[nodiscard]] std::size_t left() const { return left_; }

 private:
  const std::uint8_t* at_;
  std::size_t left_;
};

/// Ends the program with a message. libFuzzer then keeps the input in a file.
template <class... Parts>
[[noreturn]] void disagree(const Parts&... parts) {
  std::ostringstream message;
  message.precision(17);
  (message << ... << parts);
  std::cerr << "DISAGREEMENT: " << message.str() << '\n';
  std::abort();
}

/// The message of the error that a call throws, or an empty one. Exceptions that are none of the library's end the program.
template <class Call>
std::string error_of(Call&& call) {
  try {
    call();
  } catch (const error& e) {
    return e.what();
  }
  return {};
}

/// Numbers that follow from a seed: many values for a few bytes of input.
class stream {
 public:
  explicit stream(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  std::uint64_t bits() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// In [-1, 1).
  double signed_unit() { return static_cast<double>(bits() >> 11) * 0x1p-52 - 1; }

 private:
  std::uint64_t state_;
};

/// `values` as text, for messages; of long ones the beginning.
template <class T>
std::string text_of(const std::vector<T>& values) {
  std::ostringstream text;
  text.precision(17);
  text << '{';
  for (std::size_t i = 0; i < values.size() && i < 64; ++i) {
    text << (i > 0 ? ", " : "");
    if constexpr (std::is_class_v<T>)
      text << static_cast<float>(values[i]);
    else
      text << values[i];
  }
  text << (values.size() > 64 ? ", …}" : "}");
  return text.str();
}

/// Groups as a fuzzer makes them: sizes, packed values and their offsets.
template <class T>
struct group_values {
  std::vector<index_t> offsets{0};
  std::vector<T> values;

  [[nodiscard]] std::size_t size() const { return offsets.size() - 1; }
  [[nodiscard]] std::vector<T> group(std::size_t g) const {
    return {values.begin() + offsets[g], values.begin() + offsets[g + 1]};
  }
  [[nodiscard]] index_t size_of(std::size_t g) const { return offsets[g + 1] - offsets[g]; }
  [[nodiscard]] index_t smallest() const {
    index_t least = size() == 0 ? 0 : size_of(0);
    for (std::size_t g = 1; g < size(); ++g) least = size_of(g) < least ? size_of(g) : least;
    return least;
  }
  /// Groups of `sizes` values, each made by `value`.
  template <class Value>
  static group_values of(const std::vector<index_t>& sizes, Value&& value) {
    group_values result;
    for (const index_t n : sizes) {
      for (index_t i = 0; i < n; ++i) result.values.push_back(value());
      result.offsets.push_back(static_cast<index_t>(result.values.size()));
    }
    return result;
  }
};

}  // namespace infalign::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);
