// SPDX-License-Identifier: Apache-2.0
/// \file
/// Bytes as states: whatever they are, they are refused, or make a state that can be used, merged and written again to the same bytes.
/// Half of the inputs get the right mark, length and checksum, so that their fields are read.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "fuzz/input.hpp"
#include "infalign/statistics/bytes.hpp"

namespace infalign::fuzz {
namespace {

using bytes = std::vector<std::byte>;

void put(bytes& to, std::size_t at, std::uint32_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) to[at + i] = static_cast<std::byte>(value >> (8 * i) & 0xFF);
}

template <class State>
bytes signed_bytes(bytes fields) {
  bytes all(16);
  const char mark[] = {'i', 'n', 'f', 'S'};
  for (std::size_t i = 0; i < 4; ++i) all[i] = static_cast<std::byte>(mark[i]);
  put(all, 4, byte_form<State>::kind, 2);
  put(all, 6, byte_form<State>::version, 2);
  put(all, 8, static_cast<std::uint32_t>(fields.size()), 4);
  put(all, 12, detail::crc32(fields.data(), fields.size(), detail::crc32(all.data() + 4, 8)), 4);
  all.insert(all.end(), fields.begin(), fields.end());
  return all;
}

void use(const summary& s) {
  if (estimate_of(s).standard_error < 0) disagree("a standard error is negative");
}
void use(const variance_split& s) {
  if (s.sampling_share() > 1) disagree("a share is more than all");
}
void use(const mean_covariance& s) {
  for (index_t i = 0; i < s.values() && s.count() > 1; ++i)
    if (s.covariance(i, i) < 0) disagree("a variance is negative");
}
template <class Sequence>
void use(const Sequence& s) {
  const confidence_interval i = s.interval();
  if (!(i.low - i.low == 0) || !(i.high - i.high == 0)) disagree("an interval is not finite: ", i.low, " … ", i.high);
}

template <class State>
void check(const bytes& given) {
  State state;
  if (!error_of([&] { state = from_bytes<State>(given); }).empty()) return;
  if (to_bytes(state) != given) disagree("bytes of kind ", byte_form<State>::kind, " are not those that were read");
  use(state);
  State merged = state;
  if (error_of([&] { merged.merge(state); }).empty()) use(merged);
}

}  // namespace
}  // namespace infalign::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace infalign;
  fuzz::input in(data, size);
  const int kind = in.below(5);
  const bool raw = in.flag();
  fuzz::bytes fields;
  while (in.left() > 0) fields.push_back(static_cast<std::byte>(in.byte()));
  const auto run = [&]<class State>(const State&) { fuzz::check<State>(raw ? fields : fuzz::signed_bytes<State>(fields)); };
  switch (kind) {
    case 0: run(summary()); break;
    case 1: run(variance_split()); break;
    case 2: run(mean_covariance()); break;
    case 3: run(empirical_bernstein_sequence()); break;
    default: run(betting_sequence());
  }
  return 0;
}
