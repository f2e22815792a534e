// SPDX-License-Identifier: Apache-2.0
/// \file
/// How fields become bytes and bytes fields.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "infalign/core/config.hpp"

namespace infalign {

/// What the byte form of a state is: `kind` and `version`, `fields(state, visit)`, which visits every field in order (a `double`, an
/// `index_t`, a fixed array or a `std::vector` of doubles, or a state), and `wrong(state)`, which says what no sequence of calls can
/// have made of it, or null. A state of your own gets a byte form by a specialisation; kinds from 0x8000 on are yours.
template <class State>
struct byte_form;

namespace detail {

inline constexpr std::size_t byte_header = 16;

/// CRC-32 as in zlib, bit by bit: states are small.
INFALIGN_KEYED inline std::uint32_t crc32(const std::byte* bytes, std::size_t size, std::uint32_t crc = 0) {
  crc = ~crc;
  for (std::size_t i = 0; i < size; ++i) {
    crc ^= std::to_integer<std::uint32_t>(bytes[i]);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1)));
  }
  return ~crc;
}

template <class Unsigned>
INFALIGN_KEYED void append_number(std::vector<std::byte>& to, Unsigned value) {
  for (std::size_t i = 0; i < sizeof value; ++i) to.push_back(static_cast<std::byte>(value >> (8 * i) & 0xFF));
}
template <class Unsigned>
INFALIGN_KEYED Unsigned number_at(const std::byte* bytes) {
  Unsigned value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i)
    value = static_cast<Unsigned>(value | static_cast<Unsigned>(std::to_integer<Unsigned>(bytes[i]) << (8 * i)));
  return value;
}

class byte_writer {
 public:
  explicit byte_writer(std::vector<std::byte>& to) : to_(to) {}
  INFALIGN_KEYED void operator()(const double& x) { append_number(to_, std::bit_cast<std::uint64_t>(x)); }
  INFALIGN_KEYED void operator()(const index_t& x) { append_number(to_, static_cast<std::uint64_t>(x)); }
  template <class T>
  INFALIGN_KEYED void operator()(const std::vector<T>& values) {
    append_number(to_, static_cast<std::uint64_t>(values.size()));
    for (const T& x : values) (*this)(x);
  }
  template <std::size_t N>
  INFALIGN_KEYED void operator()(const double (&values)[N]) {
    for (const double& x : values) (*this)(x);
  }
  template <class State>
    requires std::is_class_v<State>
  INFALIGN_KEYED void operator()(const State& state) {
    byte_form<State>::fields(state, *this);
  }

 private:
  std::vector<std::byte>& to_;
};

/// Reads no further than there are bytes, and makes no sequence longer than they can hold.
class byte_reader {
 public:
  byte_reader(const std::byte* at, std::size_t left) : at_(at), left_(left) {}
  INFALIGN_KEYED void operator()(double& x) { x = std::bit_cast<double>(take()); }
  INFALIGN_KEYED void operator()(index_t& x) { x = static_cast<index_t>(take()); }
  template <class T>
  INFALIGN_KEYED void operator()(std::vector<T>& values) {
    const std::uint64_t n = take();
    if (n > left_ / 8) short_ = true;
    values.clear();
    values.resize(short_ ? 0 : static_cast<std::size_t>(n));
    for (T& x : values) (*this)(x);
  }
  template <std::size_t N>
  INFALIGN_KEYED void operator()(double (&values)[N]) {
    for (double& x : values) (*this)(x);
  }
  template <class State>
    requires std::is_class_v<State>
  INFALIGN_KEYED void operator()(State& state) {
    byte_form<State>::fields(state, *this);
  }
  [[nodiscard]] bool done() const { return left_ == 0 && !short_; }

 private:
  std::uint64_t take() {
    if (left_ < 8) short_ = true;
    if (short_) return 0;
    const auto value = number_at<std::uint64_t>(at_);
    at_ += 8;
    left_ -= 8;
    return value;
  }
  const std::byte* at_;
  std::size_t left_;
  bool short_ = false;
};

}  // namespace detail

}  // namespace infalign
