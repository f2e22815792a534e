// SPDX-License-Identifier: Apache-2.0
/// \file
/// Views whose sizes, strides, offsets or pointers are wrong, and views that overlap. A call either throws an error of the library, and
/// then has written nothing, or it stays within the memory that it was given, which AddressSanitizer watches: every view ends where an
/// allocation does. Sizes that are wrong but possible are no case here, since nobody could know how much memory there is.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "fuzz/input.hpp"
#include "infalign/infalign.hpp"

namespace infalign::fuzz {
namespace {

constexpr index_t most = std::numeric_limits<index_t>::max(), least = std::numeric_limits<index_t>::min();

/// Memory of views, in pieces of exactly the size that each of them needs.
template <class T>
class arena {
 public:
  /// `n` values of their own; or sometimes, to overlap, the end of an earlier piece.
  T* take(input& in, index_t n) {
    if (!pieces_.empty() && in.below(6) == 5) {
      auto& shared = pieces_[in.byte() % pieces_.size()];
      if (static_cast<index_t>(shared->size()) >= n) return shared->data() + (static_cast<index_t>(shared->size()) - n);
    }
    auto piece = std::make_unique<std::vector<T>>();
    for (index_t i = 0; i < n; ++i) piece->push_back(value(in));
    pieces_.push_back(std::move(piece));
    return pieces_.back()->data();
  }
  [[nodiscard]] std::vector<std::vector<T>> copy() const {
    std::vector<std::vector<T>> all;
    for (const auto& piece : pieces_) all.push_back(*piece);
    return all;
  }

 private:
  static T value(input& in) {
    const int b = in.byte();
    if constexpr (std::is_floating_point_v<T>)
      return b == 255 ? std::numeric_limits<T>::quiet_NaN() : static_cast<T>(b % 9) - T(4);
    return b == 255 ? T(-1) : static_cast<T>(b % 4);
  }
  std::vector<std::unique_ptr<std::vector<T>>> pieces_;
};

struct hostile_case {
  input& in;
  arena<float> values;
  arena<double> doubles;
  arena<std::int32_t> ids;
  arena<index_t> offsets;
  bool dense = false;
  std::string text;
  std::vector<std::vector<float>> before;

  /// Right before the call, when all memory is there.
  void remember() { before = values.copy(); }

  explicit hostile_case(input& bytes) : in(bytes), dense(in.flag()) {}

  template <class... Parts>
  void note(const Parts&... parts) {
    std::ostringstream s;
    (s << ... << parts);
    text += s.str();
  }
  /// Once in a while.
  bool rarely() { return in.below(8) == 7; }

  template <class T>
  span<T> one_span(arena<T>& from, index_t n) {
    T* const data = from.take(in, n);
    static constexpr index_t impossible[] = {-1, least, -2};
    span<T> result(data, n);
    if (rarely()) result = {data, in.one_of(impossible)};
    if (rarely() && n > 0) result = {nullptr, n};
    note(" span ", result.data(), " of ", result.size());
    return result;
  }
  rows<float> matrix(index_t n, index_t columns) {
    const index_t stride = columns + (in.flag() ? in.below(4) : 0);
    float* const data = values.take(in, n == 0 ? 0 : (n - 1) * stride + columns);
    rows<float> result(data, n, columns, stride);
    switch (in.below(24)) {
      case 17: result = {data, -1, columns, stride}; break;
      case 18: result = {data, least, columns, stride}; break;
      case 19: result = {data, n, in.flag() ? -1 : least, stride}; break;
      // More than memory holds, so that products of the sizes wrap around.
      case 20: result = {data, index_t{1} << (62 - in.below(2)), 4, 4}; break;
      case 21: result = {data, 2 + n, columns, in.flag() ? most : most / 2}; break;
      case 22:
        if (n > 1 && columns > 0) result = {data, n, columns, in.flag() ? columns - 1 : least};
        break;
      case 23:
        if (n > 0 && columns > 0) result = {nullptr, n, columns, stride};
        break;
      default: break;
    }
    note("\n  rows ", result.data(), ": ", result.size(), " x ", result.columns(), ", stride ", result.stride());
    return result;
  }
  span<index_t> some_offsets(index_t n, index_t each) {
    index_t* const data = offsets.take(in, n + 1);
    for (index_t g = 0; g <= n; ++g) data[g] = g * each;
    for (int changes = in.below(8) - 4; changes > 0; --changes) {
      const index_t wrong[] = {most,
                               least,
                               -1,
                               n * each + 1,
                               most - in.below(4),
                               least + in.below(4),
                               most / 2 + 1,
                               in.below(20),
                               in.raw<index_t>()};
      data[in.byte() % (n + 1)] = in.one_of(wrong);
    }
    span<index_t> result(data, n + 1);
    if (rarely()) result = {data, in.flag() ? 0 : -1};
    if (rarely()) result = {nullptr, n + 1};
    note(" offsets ", result.data(), " ", text_of(std::vector<index_t>(data, data + n + 1)), " of ", result.size());
    return result;
  }
  ragged<float> groups(index_t n, index_t each) {
    note("\n  ragged");
    const span<float> all = one_span(values, n * each);
    return {all, some_offsets(n, each)};
  }
};

/// `use(make)`, where `make(n, each)` is a view of `n` groups.
template <class Use>
void with_shape(hostile_case& c, Use&& use) {
  if (c.dense)
    use([&](index_t n, index_t each) { return c.matrix(n, each); });
  else
    use([&](index_t n, index_t each) { return c.groups(n, each); });
}

template <class G>
auto read_only(const G& groups) {
  if constexpr (requires { groups.offsets(); })
    return ragged<const float>(groups);
  else
    return rows<const float>(groups);
}

template <class B>
void call_on_groups(hostile_case& c, B& on, int which) {
  with_shape(c, [&](auto make) {
    input& in = c.in;
    const index_t n = in.below(4), m = in.below(20), k = in.below(20);
    const calibration_options options{{}, static_cast<rank_algorithm>(in.below(3))};
    const auto y = make(n, m), z = make(n, k), out = make(n, m);
    const auto rewards = read_only(y), references = read_only(z);
    const auto weights = which == 2 ? read_only(make(n, k)) : which == 9 || which == 10 ? read_only(make(n, m)) : references;
    const auto returns = which == 10 ? make(n, m) : out;
    const span<double> results = which == 5 ? c.one_span(c.doubles, n) : span<double>();
    c.remember();
    switch (which) {
      case 0: return calibrate(on, references, rewards, out, options);
      case 1: return calibrate_leave_one_out(on, rewards, out, options);
      case 2: return calibrate_weighted(on, references, weights, rewards, out, options);
      case 3: return group_normalized_advantage(on, rewards, out);
      case 4: return leave_one_out_advantage(on, rewards, out);
      case 5:
        return procedure_win_rate(on, rewards, references, best_of(1 + in.below(3)), standard{}, results, options.algorithm);
      case 7: return win_rate_advantage(on, rewards, references, best_of(1 + in.below(3)), standard{}, out);
      case 8: return max_at_k_advantage(on, rewards, 2 + in.below(3), out);
      case 9: return whiten(on, rewards, out, {}, weights);
      case 10: return generalized_advantage(on, rewards, weights, {}, out, returns);
      default: calibrator(on, references);
    }
  });
}

template <class B>
void call_on_tokens(hostile_case& c, B& on, int which) {
  input& in = c.in;
  const index_t n = in.below(5), columns = in.below(24), rollouts = in.below(3);
  const rows<float> policy = c.matrix(n, columns), base = in.flag() ? c.matrix(n, columns) : rows<float>();
  const token_logits<float> batch{policy, base, c.one_span(c.ids, n)};
  const auto statistic = [&] { return in.flag() ? c.one_span(c.values, n) : span<float>(); };
  const span<float> loss = statistic(), log_prob = statistic(), kl = statistic(), entropy = statistic();
  const token_statistics<float> statistics{loss, log_prob, kl, entropy};
  c.remember();
  if (which == 0) return compute_token_statistics(on, batch, statistics);
  const rows<float> gradient = in.below(3) == 0 ? policy : c.matrix(n, columns);
  const objective_weights weights{.kl = kl_weight(in.below(2)), .entropy = entropy_weight(in.below(2))};
  const span<float> advantages = c.one_span(c.values, which == 1 ? n : rollouts);
  const token_data data(advantages, in.flag() ? c.one_span(c.values, n) : span<float>());
  c.remember();
  if (which == 1) return policy_gradient(on, clipped_surrogate(0.2, 0.2), batch, data, weights, statistics, gradient);
  const span<index_t> offsets = c.some_offsets(rollouts, rollouts == 0 ? 0 : n / rollouts);
  c.remember();
  sequence_policy_gradient(on, reinforce{}, batch, offsets, data, weights, statistics, gradient);
}

template <class B>
void call_on_spans(hostile_case& c, B& on, int which) {
  const index_t n = c.in.below(20);
  const span<float> values = c.one_span(c.values, n), out = c.one_span(c.values, n);
  c.remember();
  if (which == 0)
    apply(on, exponential(2), values, out);
  else
    summarize(on, values);
}

template <class B>
void run(input& in, B on) {
  const int which = in.below(16);
  hostile_case c(in);
  c.note("call ", which);
  const std::string message = error_of([&] {
    if (which < 7)
      call_on_groups(c, on, which);
    else if (which < 10)
      call_on_tokens(c, on, which - 7);
    else if (which < 12)
      call_on_spans(c, on, which - 10);
    else
      call_on_groups(c, on, which - 5);
  });
  const auto after = c.values.copy();
  const auto bits = [](float x) { return detail::bit_cast<std::uint32_t>(x); };  // NaN too
  for (std::size_t i = 0; !message.empty() && i < c.before.size(); ++i)
    if (!std::ranges::equal(c.before[i], after[i], {}, bits, bits)) disagree("wrote before it failed: ", message, "\n", c.text);
}

}  // namespace
}  // namespace infalign::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  infalign::fuzz::input in(bytes, size);
  if (in.flag())
    infalign::fuzz::run(in, infalign::simd());
  else
    infalign::fuzz::run(in, infalign::scalar());
  return 0;
}
