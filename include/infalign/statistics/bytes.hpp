// SPDX-License-Identifier: Apache-2.0
/// \file
/// States as bytes: to be sent to another machine, or kept in a file, and merged there.
///
/// \code
/// const std::vector<std::byte> sent = infalign::to_bytes(of_this_shard);
/// total.merge(infalign::from_bytes<infalign::summary>(sent));
/// \endcode
///
/// The form is the same on every machine: `infS`, kind and version of the state (16 bits each), the length of the rest (32), a CRC-32 of
/// kind, version, length and rest (32), then the fields: integers and IEEE doubles of 64 bits, sequences behind their length. Numbers
/// are little-endian. A newer library reads what an older one wrote.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/views.hpp"
#include "infalign/statistics/confidence_sequence.hpp"
#include "infalign/statistics/detail/byte_archive.hpp"
#include "infalign/statistics/mean_covariance.hpp"
#include "infalign/statistics/summary.hpp"
#include "infalign/statistics/variance_split.hpp"

namespace infalign {

namespace detail {
/// Counts beyond 2^53 are no numbers that a double can hold, and sums of them may overflow.
INFALIGN_KEYED inline bool is_count(index_t n) {
  return n >= 0 && n <= (index_t{1} << 53);
}

}  // namespace detail

/// The byte form of a state. Cost: its size.
template <class State>
[[nodiscard]] INFALIGN_KEYED std::vector<std::byte> to_bytes(const State& state) {
  std::vector<std::byte> bytes;
  for (const char c : {'i', 'n', 'f', 'S'}) bytes.push_back(static_cast<std::byte>(c));
  detail::append_number(bytes, std::uint16_t{byte_form<State>::kind});
  detail::append_number(bytes, std::uint16_t{byte_form<State>::version});
  bytes.resize(detail::byte_header);
  detail::byte_writer write(bytes);
  byte_form<State>::fields(state, write);
  const auto put = [&](std::size_t at, std::uint32_t value) {
    std::vector<std::byte> number;
    detail::append_number(number, value);
    std::memcpy(bytes.data() + at, number.data(), 4);
  };
  put(8, static_cast<std::uint32_t>(bytes.size() - detail::byte_header));
  const std::uint32_t head = detail::crc32(bytes.data() + 4, 8);
  put(12, detail::crc32(bytes.data() + detail::byte_header, bytes.size() - detail::byte_header, head));
  return bytes;
}

/// The state that was written. Errors: `domain_error` for bytes that are no state, one of another kind, of a newer version, damaged (the
/// checksum differs), or whose fields no calls can have made.
template <class State>
[[nodiscard]] INFALIGN_KEYED State from_bytes(span<const std::byte> bytes) {
  using form = byte_form<State>;
  constexpr const char* function = "from_bytes";
  const auto size = static_cast<std::size_t>(bytes.size());
  const std::byte* const at = bytes.data();
  constexpr char mark[] = {'i', 'n', 'f', 'S'};
  expects<domain_error>(size >= detail::byte_header && std::memcmp(at, mark, 4) == 0, function, "bytes are no state");
  const auto kind = detail::number_at<std::uint16_t>(at + 4), version = detail::number_at<std::uint16_t>(at + 6);
  const auto length = detail::number_at<std::uint32_t>(at + 8), crc = detail::number_at<std::uint32_t>(at + 12);
  expects<domain_error>(length == size - detail::byte_header, function, "the state has ", length, " bytes, but ",
                        size - detail::byte_header, " are there");
  const std::uint32_t found = detail::crc32(at + detail::byte_header, length, detail::crc32(at + 4, 8));
  expects<domain_error>(found == crc, function, "bytes are damaged: the checksum differs");
  expects<domain_error>(kind == form::kind, function, "the state is of kind ", kind, ", not ", form::kind);
  expects<domain_error>(version >= 1 && version <= form::version, function, "the state has version ", version,
                        ", this library reads up to ", form::version);
  State state;
  detail::byte_reader read(at + detail::byte_header, length);
  form::fields(state, read);
  expects<domain_error>(read.done(), function, "the state has ", length, " bytes, which do not fit its fields");
  const char* const wrong = form::wrong(state);
  expects<domain_error>(wrong == nullptr, function, "the state is impossible: ", wrong == nullptr ? "" : wrong);
  return state;
}

template <>
struct byte_form<summary> {
  static constexpr std::uint16_t kind = 1, version = 1;
  template <class S, class Visit>
  static void fields(S& s, Visit&& visit) {
    visit(s.count);
    visit(s.mean);
    visit(s.m2);
  }
  /// NaN and infinity are what a summary makes of such values.
  INFALIGN_KEYED static const char* wrong(const summary& s) {
    if (!detail::is_count(s.count)) return "a count is negative or above 2^53";
    if (s.m2 < 0) return "a sum of squares is negative";
    return s.count == 0 && (s.mean != 0 || s.m2 != 0) ? "there are values, but none is counted" : nullptr;
  }
};

template <>
struct byte_form<variance_split> {
  static constexpr std::uint16_t kind = 2, version = 1;
  template <class S, class Visit>
  static void fields(S& s, Visit&& visit) {
    visit(s.means);
    visit(s.within_squares);
    visit(s.within_count);
    visit(s.sampling);
  }
  INFALIGN_KEYED static const char* wrong(const variance_split& s) {
    for (const summary* part : {&s.means, &s.sampling})
      if (const char* const found = byte_form<summary>::wrong(*part)) return found;
    if (!detail::is_count(s.within_count) || s.within_squares < 0) return "a sum is negative";
    return s.sampling.count > s.means.count ? "a part is larger than the whole" : nullptr;
  }
};

struct mean_covariance_fields {
  template <class S, class Visit>
  static void visit(S& s, Visit&& visit) {
    visit(s.count_);
    visit(s.means_);
    visit(s.products_);
  }
  static const std::vector<double>& means(const mean_covariance& s) { return s.means_; }
  static const std::vector<double>& products(const mean_covariance& s) { return s.products_; }
};
template <>
struct byte_form<mean_covariance> {
  static constexpr std::uint16_t kind = 3, version = 1;
  template <class S, class Visit>
  static void fields(S& s, Visit&& visit) {
    mean_covariance_fields::visit(s, visit);
  }
  INFALIGN_KEYED static const char* wrong(const mean_covariance& s) {
    const std::vector<double>&means = mean_covariance_fields::means(s), &products = mean_covariance_fields::products(s);
    if (!detail::is_count(s.count())) return "a count is negative or above 2^53";
    if (products.size() != means.size() * (means.size() + 1) / 2) return "the number of products is not that of its means";
    if (s.count() > 0 && means.empty()) return "units without values are counted";
    for (const std::vector<double>* part : {&means, &products})
      for (const double x : *part)
        if (s.count() == 0 && x != 0) return "there are values, but none is counted";
    // Those of a single unit too, which may be merged with others.
    for (std::size_t i = 0, diagonal = 0; i < means.size(); diagonal += i + 2, ++i)
      if (products[diagonal] < 0) return "a variance is negative";
    return nullptr;
  }
};

struct sequence_fields {
  template <class S, class Visit>
  static void visit(S& s, Visit&& visit) {
    visit(s.bets_.alpha);
    visit(s.bets_.count);
    visit(s.bets_.sum);
    visit(s.bets_.squares);
    visit(s.range_.lowest);
    visit(s.range_.highest);
    if constexpr (requires { s.penalty_; }) {
      visit(s.bet_sum_);
      visit(s.weighted_);
      visit(s.penalty_);
    } else {
      visit(s.higher_);
      visit(s.lower_);
    }
  }
  template <class S>
  INFALIGN_KEYED static const char* wrong(const S& s) {
    const auto n = static_cast<double>(s.bets_.count);
    if (!(s.bets_.alpha > 0 && s.bets_.alpha < 1)) return "the level is outside (0, 1)";
    if (!(s.range_.highest > s.range_.lowest && s.range_.highest - s.range_.lowest < infinity<double>))
      return "the range is empty";
    if (!detail::is_count(s.bets_.count) || !(s.bets_.sum >= 0 && s.bets_.sum <= n) ||
        !(s.bets_.squares >= 0 && s.bets_.squares <= n))
      return "the sums are not those of so many values";
    if constexpr (requires { s.penalty_; }) {
      if (!(s.bet_sum_ >= 0 && s.weighted_ >= 0 && s.weighted_ <= s.bet_sum_ && s.penalty_ >= 0 &&
            s.penalty_ < infinity<double>) ||
          (s.bets_.count > 0) != (s.bet_sum_ > 0) || s.bet_sum_ > n)
        return "the bets are not those of so many values";
    } else {
      for (const auto* capital : {&s.higher_, &s.lower_})
        for (const double x : *capital)
          if (!(x - x == 0)) return "a capital is not finite";
    }
    return nullptr;
  }
};
template <>
struct byte_form<empirical_bernstein_sequence> : sequence_fields {
  static constexpr std::uint16_t kind = 4, version = 1;
  template <class S, class Visit>
  static void fields(S& s, Visit&& to) {
    sequence_fields::visit(s, to);
  }
};
template <>
struct byte_form<betting_sequence> : sequence_fields {
  static constexpr std::uint16_t kind = 5, version = 1;
  template <class S, class Visit>
  static void fields(S& s, Visit&& to) {
    sequence_fields::visit(s, to);
  }
};

}  // namespace infalign
