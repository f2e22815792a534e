// SPDX-License-Identifier: Apache-2.0
/// \file
/// Policy gradients and token statistics of extreme logits: those of `simd` against those of `scalar`, which gets the same values as
/// `double`. Both must fail with the same message, be NaN at the same places, and otherwise agree up to the rounding of the type that
/// `simd` computes and stores in.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "fuzz/input.hpp"
#include "infalign/infalign.hpp"

namespace infalign::fuzz {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double sentinel = -99;

enum class call { statistics, tokens, sequences };
enum class place { apart, over_policy, over_base };

/// REINFORCE or the clipped surrogate, chosen while the program runs, so that kernels are compiled once for both.
struct chosen_loss {
  bool clipped = false;
  clipped_surrogate surrogate{0, 0};
  loss_value operator()(const token_row& row) const { return clipped ? surrogate(row) : reinforce{}(row); }
};

/// What an input says, in values that every logit type of the run holds exactly.
struct objective_case {
  int type = 0;
  call what = call::statistics;
  place target = place::apart;
  bool has_base = false;
  bool has_old = false;
  bool wants_entropy = false;
  chosen_loss loss;
  index_t columns = 1;
  index_t padding = 0;
  std::vector<index_t> rollout_offsets{0};
  objective_weights weights;
  std::vector<std::int32_t> tokens;
  std::vector<double> advantages;
  std::vector<double> old_log_prob;
  std::vector<double> policy;  // T×V, packed
  std::vector<double> base;

  [[nodiscard]] index_t count() const { return static_cast<index_t>(tokens.size()); }
  [[nodiscard]] std::string text() const {
    static constexpr const char* types[] = {"float", "double", "bfloat16", "half"};
    static constexpr const char* calls[] = {"compute_token_statistics", "policy_gradient", "sequence_policy_gradient"};
    static constexpr const char* places[] = {"apart", "over the policy's logits", "over the base's logits"};
    std::ostringstream s;
    s.precision(17);
    s << calls[static_cast<int>(what)] << " of " << types[type] << ", gradient " << places[static_cast<int>(target)] << ", "
      << count() << " x " << columns << ", padding " << padding << ", base " << has_base << ", entropy " << wants_entropy
      << ", clipped " << loss.clipped << " (" << loss.surrogate.epsilon_low << ", " << loss.surrogate.epsilon_high << "), kl "
      << weights.kl.value << ", entropy weight " << weights.entropy.value << ", scale " << weights.scale << "\n  tokens "
      << text_of(tokens) << "\n  rollouts " << text_of(rollout_offsets) << "\n  advantages " << text_of(advantages)
      << "\n  old_log_prob " << text_of(old_log_prob) << "\n  policy " << text_of(policy) << "\n  base " << text_of(base);
    return s.str();
  }
};

template <class L>
double as_held(double x) {
  if constexpr (std::is_same_v<L, double>)
    return x;
  else
    return static_cast<float>(L(static_cast<float>(x)));
}
double as_held(int type, double x) {
  switch (type) {
    case 0: return as_held<float>(x);
    case 1: return x;
    case 2: return as_held<bfloat16>(x);
    default: return as_held<half>(x);
  }
}

/// A row: noise of some spread around an offset, then a few stretches of one extreme value.
void make_row(input& in, std::vector<double>& row, const double* like) {
  static constexpr double spreads[] = {1, 0, 0.01, 10, 100, 1e-6};
  static constexpr double offsets[] = {0, 0, 1e4, -1e4, 60, -300, 1e30};
  static constexpr double extremes[] = {-inf,  inf,   nan,  1e30, -1e30, 1e-40, -1e-40, 0,      1e4,    -1e4,   40,     -40,
                                        -86.9, -87.5, -104, -746, 32,    33,    -0.0,   88.375, 65504., -65504, 5e-324, 1};
  const double spread = in.one_of(spreads), offset = in.one_of(offsets);
  const bool near = like != nullptr && in.flag();
  stream noise(in.byte());
  for (std::size_t j = 0; j < row.size(); ++j) row[j] = (near ? like[j] : 0) + offset + spread * noise.signed_unit();
  for (int patches = in.below(5); patches > 0; --patches) {
    const double value = in.one_of(extremes);
    const std::size_t first = in.raw<std::uint16_t>() % row.size();
    const std::size_t length = static_cast<std::size_t>(in.byte()) + (in.byte() % 8 == 7 ? row.size() : 0);
    std::fill(row.begin() + static_cast<std::ptrdiff_t>(first),
              row.begin() + static_cast<std::ptrdiff_t>(std::min(row.size(), first + length + 1)), value);
  }
}

objective_case decode(input& in) {
  static constexpr index_t large[] = {4095, 4096, 4097, 8191, 8192, 8193, 9000, 1000};
  static constexpr double advantage_values[] = {1, 0, -1, 0.5, -0.25, 1e-3, 1e3, -1e6};
  static constexpr double bad_advantages[] = {nan, inf, -inf};
  static constexpr double old_values[] = {-1, 0, -inf, -1e4, -3, -700, 5, nan};
  static constexpr double betas[] = {0, 0.125, 1, 1e3}, etas[] = {0, 0.0625, 1, 100}, scales[] = {1, 0, 0.25, -1, 1e3, inf};
  const int head = in.byte();
  objective_case c;
  c.type = head & 3;
  c.what = static_cast<call>((head >> 2) % 3);
  c.target = static_cast<place>((head >> 4) % 3);
  c.loss.clipped = in.flag();
  const double low = in.below(3) * 0.25, high = in.below(3) * 0.5;
  c.loss.surrogate = clipped_surrogate(low, high);
  const int options = in.byte();
  c.has_base = (options & 3) != 0;
  c.has_old = (options & 4) != 0;
  c.wants_entropy = (options & 8) != 0;
  if (!c.has_base && c.target == place::over_base) c.target = place::apart;
  c.padding = (options & 16) != 0 ? in.below(20) : 0;
  const bool is_large = in.byte() % 16 == 15;
  c.columns = is_large ? in.one_of(large) : 1 + in.below(70);
  const int count = in.below(is_large ? 3 : 6);
  c.weights.kl = kl_weight(in.one_of(betas));
  c.weights.entropy = entropy_weight(in.one_of(etas));
  c.weights.scale = in.one_of(scales);
  for (int t = 0; t < count; ++t) {
    const int kind = in.byte();
    const auto id = static_cast<std::int32_t>(in.raw<std::uint16_t>() % c.columns);
    c.tokens.push_back(kind == 255 ? -1 : kind == 254 ? static_cast<std::int32_t>(c.columns) : id);
    c.advantages.push_back(kind == 253 ? in.one_of(bad_advantages) : in.one_of(advantage_values));
    if (c.has_old) c.old_log_prob.push_back(in.one_of(old_values));
    if ((kind & 1) != 0) c.rollout_offsets.push_back(t + 1);
    std::vector<double> row(static_cast<std::size_t>(c.columns));
    make_row(in, row, nullptr);
    for (double& x : row) x = as_held(c.type, x);
    c.policy.insert(c.policy.end(), row.begin(), row.end());
    if (!c.has_base) continue;
    const std::vector<double> like(row);
    make_row(in, row, like.data());
    for (double& x : row) x = as_held(c.type, x);
    c.base.insert(c.base.end(), row.begin(), row.end());
  }
  if (c.rollout_offsets.back() != count) c.rollout_offsets.push_back(count);
  if (c.what == call::sequences) c.advantages.resize(c.rollout_offsets.size() - 1);
  for (double& a : c.advantages) a = static_cast<float>(a);
  for (double& o : c.old_log_prob) o = static_cast<float>(o);
  return c;
}

/// What a call wrote, as double.
struct outcome {
  std::string message;
  std::vector<double> gradient, loss, log_prob, kl, entropy;
};

template <class To>
std::vector<To> stored(const std::vector<double>& values, index_t columns, index_t padding) {
  std::vector<To> result;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if constexpr (std::is_same_v<To, double>)
      result.push_back(values[i]);
    else
      result.push_back(To(static_cast<float>(values[i])));
    if (static_cast<index_t>(i + 1) % columns == 0)
      for (index_t p = 0; p < padding; ++p) result.push_back(To(static_cast<float>(sentinel)));
  }
  return result;
}

template <class L, class B>
outcome run(const objective_case& c, place target) {
  using T = compute_t<L>;
  B on;
  const index_t stride = c.columns + c.padding, tokens = c.count();
  std::vector<L> policy = stored<L>(c.policy, c.columns, c.padding), base = stored<L>(c.base, c.columns, c.padding);
  std::vector<L> gradient(policy.size(), L(static_cast<float>(sentinel)));
  const std::vector<T> advantages(c.advantages.begin(), c.advantages.end()), old(c.old_log_prob.begin(), c.old_log_prob.end());
  std::vector<L>& written = target == place::over_policy ? policy : target == place::over_base ? base : gradient;
  const rows<L> to(written.data(), tokens, c.columns, stride);
  const rows<const L> base_rows = c.has_base ? rows<const L>(base.data(), tokens, c.columns, stride) : rows<const L>();
  const token_logits<L> batch{{policy.data(), tokens, c.columns, stride}, base_rows, c.tokens};
  std::vector<T> loss(c.tokens.size(), T(sentinel)), log_prob(loss), kl(loss),
      entropy(c.wants_entropy ? loss : std::vector<T>());
  const token_statistics<T> statistics{loss, log_prob, kl, entropy};
  const token_data data(advantages, old);
  outcome result;
  result.message = error_of([&] {
    switch (c.what) {
      case call::statistics: compute_token_statistics(on, batch, statistics); break;
      case call::tokens: policy_gradient(on, c.loss, batch, data, c.weights, statistics, to); break;
      case call::sequences: sequence_policy_gradient(on, c.loss, batch, c.rollout_offsets, data, c.weights, statistics, to);
    }
  });
  for (index_t t = 0; t < tokens; ++t)
    for (index_t j = 0; j < stride; ++j) {
      const double g = static_cast<double>(static_cast<T>(written[static_cast<std::size_t>(t * stride + j)]));
      if (j < c.columns)
        result.gradient.push_back(g);
      else if (g != as_held<L>(sentinel))
        disagree("padding was overwritten\n", c.text());
    }
  result.loss.assign(loss.begin(), loss.end());
  result.log_prob.assign(log_prob.begin(), log_prob.end());
  result.kl.assign(kl.begin(), kl.end());
  result.entropy.assign(entropy.begin(), entropy.end());
  return result;
}

/// The rounding of a logit type: of what it is computed in, and of what it is stored in.
struct rounding {
  double computed;       ///< relative to the terms of a sum
  double stored;         ///< relative to the value
  double smallest;       ///< what is lost below the normal range
  double largest;        ///< beyond it the type has infinity
  double least_present;  ///< probabilities that may count as 0
};
constexpr rounding roundings[] = {{1e-5, 0x1p-24, 0x1p-149, 3.4e38, 1e-36},
                                  {1e-12, 0x1p-53, 5e-324, 1.7e308, 1e-300},
                                  {1e-5, 0x1p-8, 0x1p-133, 3.38e38, 1e-36},
                                  {1e-5, 0x1p-11, 0x1p-24, 65500, 1e-36}};

/// The same for a row. Sums of thousands of equal terms round in one direction again and again (see `compute_token_statistics`).
rounding rounding_of(const objective_case& c, index_t t) {
  rounding r = roundings[c.type];
  index_t equal = 0;
  for (const std::vector<double>* rows : {&c.policy, &c.base})
    for (index_t j = t * c.columns + 1; j < (t + 1) * c.columns && !rows->empty(); ++j)
      equal += (*rows)[static_cast<std::size_t>(j)] == (*rows)[static_cast<std::size_t>(j - 1)] ? 1 : 0;
  if (equal > 500) r.computed *= 32;
  return r;
}

/// A sum as its rounding error sees it.
struct term_sizes {
  double size = 0;  ///< what the error is relative to
  double lost = 0;  ///< what terms bring whose probability may be 0 in the type that is compared
};

/// How large the terms are that the statistics and the gradient of a row are made of.
struct row_sizes {
  term_sizes log_prob;
  term_sizes kl;        ///< Σ p·|log p - log q|
  term_sizes entropy;   ///< Σ p·|log p|
  term_sizes gradient;  ///< the largest p·(|w| + β·(|log p - log q| + kl) + η·(|log p| + entropy)), and |w|
  double kl_value = 0;  ///< by definition
  double entropy_value = 0;
  double definition_error = 0;  ///< what the rounding of these two is relative to
  bool defined = true;          ///< the policy's row is a distribution
  bool base_defined = true;     ///< the base's row is one
};

row_sizes sizes_of(const objective_case& c, index_t t, double weight, const rounding& r) {
  const double* const l = c.policy.data() + t * c.columns;
  const double* const b = c.has_base ? c.base.data() + t * c.columns : nullptr;
  const auto log_normalizer = [&](const double* row) {
    double top = -inf, sum = 0;
    for (index_t j = 0; j < c.columns; ++j) top = row[j] > top || row[j] != row[j] ? row[j] : top;
    for (index_t j = 0; j < c.columns; ++j) sum += std::exp(row[j] - top);
    return std::pair(top, std::log(sum));
  };
  // Named one by one: lambdas capture them, and clang before 16 captures no structured binding.
  const auto of = log_normalizer(l), of_base = b != nullptr ? log_normalizer(b) : std::pair(0.0, 0.0);
  const double top = of.first, log_sum = of.second, base_top = of_base.first, base_log_sum = of_base.second;
  row_sizes s;
  s.defined = log_sum - log_sum == 0;
  s.base_defined = base_log_sum - base_log_sum == 0;
  const bool has_ratio = b != nullptr && base_log_sum - base_log_sum == 0;
  s.log_prob.size = 1;
  if (!s.defined) return s;
  const double log_prob = (l[c.tokens[static_cast<std::size_t>(t)]] - top) - log_sum;
  if (log_prob > -inf) s.log_prob.size += std::abs(log_prob);
  s.kl.lost += r.least_present * static_cast<double>(c.columns);  // of the base, in which small probabilities vanish too
  const auto for_each_term = [&](auto&& use) {
    for (index_t j = 0; j < c.columns; ++j) {
      const double log_p = (l[j] - top) - log_sum, p = std::exp(log_p);
      if (p == 0) {
        // Next to nothing: whether the KL is infinite for it, depends on the shift that it is measured from.
        if (log_p > -800 && has_ratio && b[j] == -inf) s.kl.lost = inf;
        continue;
      }
      const double ratio = !has_ratio ? 0 : log_p - ((b[j] - base_top) - base_log_sum);
      // The ratio is the difference of these two, which are rounded.
      const double apart = has_ratio ? std::abs(l[j] - top) + std::abs(b[j] - base_top) + 8 : 0;
      use(p, log_p, ratio, apart < inf ? apart : 0);
    }
  };
  for_each_term([&](double p, double signed_log_p, double signed_ratio, double apart) {
    s.kl_value += p * signed_ratio;
    s.entropy_value -= p * signed_log_p;
    const double log_p = std::abs(signed_log_p), ratio = std::abs(signed_ratio);
    s.definition_error += p * (1 + log_p + apart);
    const bool present = p > r.least_present;
    (present ? s.kl.size : s.kl.lost) +=
        present ? p * ratio : p * (1 + ratio);  // what is lost is missing in the normaliser too
    (present ? s.entropy.size : s.entropy.lost) += present ? p * log_p : p * (1 + log_p);
  });
  // Across chunks, log-ratios are measured from a centre that may be as large as any logit. It is one double, and where it has to
  // move, the sums in the lanes say where to.
  constexpr index_t smallest_chunk = 2048;
  if (has_ratio && c.columns > smallest_chunk) {
    double farthest = 0;
    for (const double* row : {l, b})
      for (index_t j = 0; j < c.columns; ++j)
        if (std::abs(row[j]) < inf) farthest = std::max(farthest, std::abs(row[j]));
    const bool is_double = r.computed < 1e-9;
    s.kl.lost += farthest > 1e9 && !is_double ? inf : (is_double ? 0x1p-46 : 0x1p-42) * farthest;
    // Where the policy has next to nothing in the chunks before, the KL comes from two normalisers and is not exact near 0.
    if (!(*std::max_element(l, l + smallest_chunk) > top - 600)) s.kl.lost += r.computed;
  }
  const double beta = c.weights.kl.value, eta = c.weights.entropy.value;
  s.gradient.size = std::abs(weight);
  for_each_term([&](double p, double signed_log_p, double ratio, double apart) {
    const double log_p = std::abs(signed_log_p);
    const double of_kl = beta > 0 && has_ratio ? beta * (std::abs(ratio) + apart + s.kl.size) : 0;
    const double of_entropy = eta > 0 ? eta * (log_p + s.entropy.size) : 0;
    double& most = p > r.least_present ? s.gradient.size : s.gradient.lost;
    most = std::max(most, p * (std::abs(weight) + of_kl + of_entropy));
  });
  if (beta > 0) s.gradient.lost += beta * s.kl.lost;
  if (eta > 0) s.gradient.lost += eta * s.entropy.lost;
  return s;
}

bool agree(double actual, double expected, const term_sizes& terms, const rounding& r, double stored) {
  const double tolerance = r.computed * terms.size + terms.lost + (r.computed + stored) * std::abs(expected) + r.smallest;
  if (tolerance != tolerance || terms.lost == inf) return true;
  if (expected != expected || actual != actual) return expected != expected && actual != actual;
  if (std::abs(expected) == inf || std::abs(actual) == inf)
    return actual == expected ||
           (std::abs(expected) + tolerance >= r.largest && std::signbit(actual) == std::signbit(expected));
  return std::abs(actual - expected) <= tolerance;
}

/// The statistics of `scalar`, on which everything else stands, against their definitions.
void check_reference(const objective_case& c, const outcome& reference) {
  if (!reference.message.empty()) return;
  for (index_t t = 0; t < c.count(); ++t) {
    const auto i = static_cast<std::size_t>(t);
    const row_sizes s = sizes_of(c, t, 0, roundings[1]);
    const auto check = [&](const char* name, double actual, bool defined, double expected, double lost) {
      const bool equal =
          !defined ? actual != actual : actual == expected || std::abs(actual - expected) <= 1e-12 * s.definition_error + lost;
      if (!equal) disagree(name, "[", t, "]: scalar ", actual, ", by definition ", defined ? expected : nan, "\n", c.text());
    };
    if (c.has_base) check("kl", reference.kl[i], s.defined && s.base_defined, s.kl_value, s.kl.lost);
    if (c.wants_entropy) check("entropy", reference.entropy[i], s.defined, s.entropy_value, s.entropy.lost);
  }
}

void compare(const objective_case& c, const outcome& actual, const outcome& expected) {
  if (actual.message != expected.message)
    disagree("messages: simd '", actual.message, "', scalar '", expected.message, "'\n", c.text());
  if (!actual.message.empty()) {
    for (const auto* values : {&actual.loss, &actual.log_prob, &actual.kl, &actual.entropy})
      for (const double x : *values)
        if (x != sentinel) disagree("statistics were written before the call failed\n", c.text());
    return;
  }
  const double statistic_rounding = c.type == 1 ? 0x1p-53 : 0x1p-24;
  double later = 0;  // the KL of later tokens of the response
  for (index_t t = c.count(); t-- > 0;) {
    const auto i = static_cast<std::size_t>(t);
    const bool ends = std::find(c.rollout_offsets.begin(), c.rollout_offsets.end(), t + 1) != c.rollout_offsets.end();
    if (ends) later = 0;
    const auto rollout = static_cast<std::size_t>(std::upper_bound(c.rollout_offsets.begin(), c.rollout_offsets.end(), t) -
                                                  c.rollout_offsets.begin() - 1);
    const double advantage = c.what == call::statistics ? 0 : std::abs(c.advantages[c.what == call::sequences ? rollout : i]);
    const double log_prob = expected.log_prob[i];
    const double ratio = c.loss.clipped && c.has_old ? std::exp(log_prob - c.old_log_prob[i]) : 1;
    const double by_log_prob = c.loss.clipped ? advantage * ratio : advantage;
    const double weight = by_log_prob + (c.weights.kl.value > 0 && c.what == call::sequences ? c.weights.kl.value * later : 0);
    const rounding r = rounding_of(c, t);
    const row_sizes s = sizes_of(c, t, weight, r);
    const auto check = [&](const char* name, const std::vector<double>& a, const std::vector<double>& e,
                           const term_sizes& size) {
      if (e.empty()) return;
      if (!agree(a[i], e[i], size, r, statistic_rounding))
        disagree(name, "[", t, "]: simd ", a[i], ", scalar ", e[i], ", terms as large as ", size.size, "\n", c.text());
    };
    check("log_prob", actual.log_prob, expected.log_prob, s.log_prob);
    check("kl", actual.kl, expected.kl, s.kl);
    check("entropy", actual.entropy, expected.entropy, s.entropy);
    later += s.kl.size + s.kl.lost;
    if (c.what == call::statistics) continue;
    // At the bounds of the ratio, rounding decides which branch of the loss is taken.
    const double bounds[] = {1 - c.loss.surrogate.epsilon_low, 1 + c.loss.surrogate.epsilon_high};
    const bool undecided = c.loss.clipped && std::any_of(std::begin(bounds), std::end(bounds),
                                                         [&](double bound) { return std::abs(ratio - bound) <= 1e-3 * bound; });
    const double finite_ratio = ratio < 1e300 ? ratio : inf;
    const double loss_size =
        c.loss.clipped ? advantage * (finite_ratio * (1 + std::abs(log_prob)) + 2) : advantage * (1 + std::abs(log_prob));
    if (s.defined && !(loss_size > 1e30)) check("loss", actual.loss, expected.loss, {loss_size, 0});
    const double scale = std::abs(c.weights.scale);
    // Coefficients beyond the range of `float` are infinite in its lanes.
    if (undecided || !(scale * s.gradient.size < 1e36)) continue;
    const term_sizes of_gradient{scale * s.gradient.size, scale * s.gradient.lost};
    for (index_t j = 0; j < c.columns; ++j) {
      const auto k = static_cast<std::size_t>(t * c.columns + j);
      if (!agree(actual.gradient[k], expected.gradient[k], of_gradient, r, r.stored))
        disagree("gradient[", t, "][", j, "]: simd ", actual.gradient[k], ", scalar ", expected.gradient[k],
                 ", terms as large as ", of_gradient.size, "\n", c.text());
    }
  }
}

template <class L>
void run_on_both(const objective_case& c) {
  const outcome expected = run<double, scalar>(c, place::apart);
  check_reference(c, expected);
  compare(c, run<L, simd>(c, c.target), expected);
}

}  // namespace
}  // namespace infalign::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace infalign::fuzz;
  input in(bytes, size);
  const objective_case c = decode(in);
  switch (c.type) {
    case 0: run_on_both<float>(c); break;
    case 1: run_on_both<double>(c); break;
    case 2: run_on_both<infalign::bfloat16>(c); break;
    default: run_on_both<infalign::half>(c);
  }
  return 0;
}
