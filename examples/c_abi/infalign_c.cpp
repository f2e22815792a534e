// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <infalign/infalign.hpp>
#include <infalign/serving/any_served_procedure.hpp>
#include <infalign/statistics/estimate.hpp>
#include <infalign/statistics/summarize.hpp>
#include <infalign/theory.hpp>
#include <limits>
#include <variant>

#include "views.hpp"

using infalign_c::given;
using infalign_c::group_views;
using infalign_c::guarded;
using infalign_c::text_of;
using infalign_c::text_or;
namespace ia = infalign;
using ia::index_t;

struct infalign_calibrator {
  ia::simd on;
  ia::calibrator<ia::simd, ia::ragged<const double>> fitted;
};

struct infalign_plan {
  ia::plan_table table;
};

namespace {

/// The backend of this thread, which keeps its scratch memory between calls.
ia::simd& backend() {
  static thread_local ia::simd on;
  return on;
}

/// The transform over what was calibrated, which lies in [0, 1], so that it cannot fail.
template <class T, class Groups>
void apply_in_place(const ia::any_transform& transform, const Groups& out) {
  auto on = backend().unchecked();
  transform.visit([&](const auto& phi) {
    for (index_t g = 0; g < out.size(); ++g) ia::apply(on, phi, ia::span<const T>(out[g]), out[g]);
  });
}

/// A loss that is chosen while the program runs, so that the passes over logits are compiled once.
struct chosen_loss {
  std::variant<ia::reinforce, ia::clipped_surrogate> held;
  ia::loss_value operator()(const ia::token_row& row) const {
    return std::visit([&](const auto& loss) { return loss(row); }, held);
  }
};

chosen_loss loss_of(const infalign_loss_request& r) {
  constexpr const char* function = "infalign_policy_loss";
  if (r.loss == INFALIGN_REINFORCE) return {ia::reinforce()};
  ia::expects<ia::domain_error>(r.loss == INFALIGN_CLIPPED_SURROGATE, function, "loss is ", static_cast<int>(r.loss),
                                ", must be INFALIGN_REINFORCE or INFALIGN_CLIPPED_SURROGATE");
  given(function, "old_log_prob", r.old_log_prob);
  return {ia::clipped_surrogate(r.epsilon_low, r.epsilon_high)};
}

template <class L>
void run_loss(const infalign_loss_request& r) {
  constexpr const char* function = "infalign_policy_loss";
  ia::expects<ia::shape_error>(
      r.tokens >= 0 && r.columns >= 0 && r.logits_stride >= 0 && r.base_stride >= 0 && r.gradient_stride >= 0, function,
      "a size or a stride is negative");
  ia::expects<ia::domain_error>(r.temperature > 0 && r.temperature < ia::infinity<double>, function, "temperature is ",
                                r.temperature, ", must be positive and finite");
  const index_t n = r.tokens;
  const auto of_tokens = [n](auto* values) { return ia::span(values, values == nullptr ? 0 : n); };
  using ids = ia::token_ids<>;
  ia::token_logits<L> batch{ia::rows<const L>(static_cast<const L*>(r.logits), n, r.columns, r.logits_stride),
                            {},
                            ids(&given(function, "ids", r.ids), n).ignoring(r.ignored_id)};
  if (r.base != nullptr) batch.base = ia::rows<const L>(static_cast<const L*>(r.base), n, r.columns, r.base_stride);
  if (r.temperature != 1) batch = batch.scaled(1 / r.temperature);
  const auto data = ia::token_data(ia::span<const float>(&given(function, "advantages", r.advantages), n),
                                   ia::span<const float>(r.old_log_prob, r.old_log_prob == nullptr ? 0 : n))
                        .weighted_by(ia::span<const float>(r.weights, r.weights == nullptr ? 0 : n));
  const ia::token_statistics<float> statistics{of_tokens(r.losses), of_tokens(r.log_probs), of_tokens(r.kls),
                                               of_tokens(r.entropies)};
  policy_gradient(backend(), loss_of(r), batch, data, {ia::kl_weight(r.kl), ia::entropy_weight(r.entropy), r.scale}, statistics,
                  ia::rows<L>(static_cast<L*>(r.gradient), n, r.columns, r.gradient_stride));
}

template <class Lookup>
infalign_status look_up(const char* function, const infalign_calibrator* of, int64_t prompt, const double* in, int64_t n,
                        double* out, const Lookup& value) {
  return guarded([&] {
    const infalign_calibrator& c = given(function, "of", of);
    ia::expects<ia::domain_error>(prompt >= 0 && prompt < c.fitted.size(), function, "prompt is ", prompt, ", must be in [0, ",
                                  c.fitted.size() - 1, "]");
    ia::expects<ia::shape_error>(n >= 0, function, "n is ", n, ", must not be negative");
    if (n == 0) return;
    given(function, "values", in);
    given(function, "out", out);
    for (int64_t i = 0; i < n; ++i)
      ia::expects<ia::domain_error>(!std::isnan(in[i]), function, "values[", i, "] is nan, must be a number");
    const auto cdf = c.fitted[prompt];
    for (int64_t i = 0; i < n; ++i) out[i] = value(cdf, in[i]);
  });
}

}  // namespace

extern "C" {

const char* infalign_last_error(void) {
  return infalign_c::last_error().c_str();
}

const char* infalign_version(void) {
  static const std::string version = std::to_string(INFALIGN_VERSION_MAJOR) + "." + std::to_string(INFALIGN_VERSION_MINOR) +
                                     "." + std::to_string(INFALIGN_VERSION_PATCH);
  return version.c_str();
}

infalign_status infalign_calibrate(const infalign_groups* references, const infalign_groups* rewards, const char* transform,
                                   const char* ties, const infalign_groups* out) {
  return guarded([&] {
    constexpr const char* function = "infalign_calibrate";
    const ia::any_transform phi = ia::parse_transform(text_or(transform, "identity"));
    const ia::calibration_options options{.ties = ia::parse_tie_rule(text_or(ties, "mid_rank"))};
    const group_views views(function, {{"rewards", rewards}, {"references", references}, {"out", out}});
    views.visit("rewards", *rewards, [&]<class T>(T, const auto& view) {
      const auto written = view(T(), *out);
      ia::calibrate(backend(), view(static_cast<const T>(0), *references), view(static_cast<const T>(0), *rewards), written,
                    options);
      if (transform != nullptr) apply_in_place<T>(phi, written);
    });
  });
}

infalign_status infalign_win_rate(const infalign_groups* policy, const infalign_groups* base, const char* procedure,
                                  const char* base_procedure, double* out) {
  return guarded([&] {
    constexpr const char* function = "infalign_win_rate";
    const ia::any_procedure ours = ia::parse_procedure(text_of(function, "procedure", procedure));
    const ia::any_procedure theirs = base_procedure == nullptr ? ours : ia::parse_procedure(base_procedure);
    const group_views views(function, {{"policy", policy}, {"base", base}});
    given(function, "out", out);
    views.visit("policy", *policy, [&]<class T>(T, const auto& view) {
      ia::procedure_win_rate(backend(), view(T(), *policy), view(T(), *base), ours, theirs,
                             ia::span<double>(out, policy->size));
    });
  });
}

infalign_status infalign_expected_reward(const infalign_groups* rewards, const char* procedure, double* out) {
  return guarded([&] {
    constexpr const char* function = "infalign_expected_reward";
    const ia::any_procedure served = ia::parse_procedure(text_of(function, "procedure", procedure));
    const group_views views(function, {{"rewards", rewards}});
    given(function, "out", out);
    views.visit("rewards", *rewards, [&]<class T>(T, const auto& view) {
      ia::expected_reward(backend(), view(T(), *rewards), served, ia::span<double>(out, rewards->size));
    });
  });
}

infalign_status infalign_summarize(const double* values, int64_t n, double lowest, double highest, double level,
                                   infalign_estimate* out) {
  return guarded([&] {
    constexpr const char* function = "infalign_summarize";
    ia::expects<ia::shape_error>(n >= 0, function, "n is ", n, ", must not be negative");
    if (n > 0) given(function, "values", values);
    infalign_estimate& result = given(function, "out", out);
    const ia::estimate e = ia::summarize(backend(), ia::span<const double>(values, n), {lowest, highest});
    const ia::confidence_interval interval = e.interval(level);
    result = {e.value, e.standard_error, e.count, interval.low, interval.high};
  });
}

infalign_status infalign_policy_loss(const infalign_loss_request* request) {
  return guarded([&] {
    constexpr const char* function = "infalign_policy_loss";
    const infalign_loss_request& r = given(function, "request", request);
    switch (r.type) {
      case INFALIGN_F32: return run_loss<float>(r);
      case INFALIGN_BF16: return run_loss<ia::bfloat16>(r);
      case INFALIGN_F16: return run_loss<ia::half>(r);
      default:
        ia::raise<ia::domain_error>(function, "type is ", static_cast<int>(r.type),
                                    ", must be INFALIGN_F32, INFALIGN_BF16 or INFALIGN_F16");
    }
  });
}

infalign_status infalign_calibrator_create(const infalign_groups* references, infalign_calibrator** out) {
  return guarded([&] {
    constexpr const char* function = "infalign_calibrator_create";
    infalign_calibrator*& result = given(function, "out", out);
    const group_views views(function, {{"references", references}});
    views.visit("references", *references, [&]<class T>(T, const auto& view) {
      // One type of handle: ragged, of double, which holds every float.
      const auto given_values = view(T(), *references);
      ia::simd on;
      ia::detail::expects_groups(on, function, "references", given_values);
      std::vector<double> values;
      std::vector<index_t> offsets{0};
      for (index_t g = 0; g < given_values.size(); ++g) {
        for (const T x : given_values[g]) values.push_back(static_cast<double>(x));
        offsets.push_back(static_cast<index_t>(values.size()));
      }
      const ia::ragged<const double> all(values, offsets);
      ia::calibrator<ia::simd, ia::ragged<const double>> fitted(on, all);
      result = new infalign_calibrator{std::move(on), std::move(fitted)};
    });
  });
}

infalign_status infalign_calibrator_cdf(const infalign_calibrator* of, int64_t prompt, const double* rewards, int64_t n,
                                        double* out) {
  return look_up("infalign_calibrator_cdf", of, prompt, rewards, n, out, [](const auto& cdf, double x) { return cdf.cdf(x); });
}

infalign_status infalign_calibrator_quantile(const infalign_calibrator* of, int64_t prompt, const double* u, int64_t n,
                                             double* out) {
  return look_up("infalign_calibrator_quantile", of, prompt, u, n, out,
                 [](const auto& cdf, double q) { return cdf.quantile(q); });
}

void infalign_calibrator_destroy(infalign_calibrator* of) {
  delete of;
}

infalign_status infalign_plan_create(const char* procedure, const char* base_procedure, double kl, infalign_plan** out) {
  return guarded([&] {
    constexpr const char* function = "infalign_plan_create";
    infalign_plan*& result = given(function, "out", out);
    const ia::any_served_procedure ours = ia::parse_served_procedure(text_of(function, "procedure", procedure));
    const ia::any_served_procedure theirs = base_procedure == nullptr ? ours : ia::parse_served_procedure(base_procedure);
    result = new infalign_plan{ia::plan(ia::matchup(ours, theirs), {ia::kl_budget(kl)})};
  });
}

int64_t infalign_plan_size(const infalign_plan* of) {
  return of == nullptr ? 0 : static_cast<int64_t>(of->table.sections.front().rows.size());
}

infalign_status infalign_plan_get(const infalign_plan* of, int64_t row, infalign_plan_row* out) {
  return guarded([&] {
    constexpr const char* function = "infalign_plan_get";
    const auto& rows = given(function, "of", of).table.sections.front().rows;
    ia::expects<ia::domain_error>(row >= 0 && row < infalign_plan_size(of), function, "row is ", row, ", must be in [0, ",
                                  infalign_plan_size(of) - 1, "]");
    infalign_plan_row& result = given(function, "out", out);
    const ia::plan_row& r = rows[static_cast<std::size_t>(row)];
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    const ia::tradeoff_point reached = r.reached.value_or(ia::tradeoff_point{nan, nan, nan, nan});
    result = {r.transform.c_str(),        r.reached ? 1 : 0,         reached.beta, r.scaled_beta, reached.kl,
              reached.inference_win_rate, reached.standard_win_rate, r.price};
  });
}

const char* infalign_plan_recommended(const infalign_plan* of) {
  return of == nullptr ? "" : of->table.recommended.c_str();
}

void infalign_plan_destroy(infalign_plan* of) {
  delete of;
}

const infalign_api* infalign_get_api(int version) {
  static const infalign_api table{sizeof(infalign_api),
                                  infalign_last_error,
                                  infalign_version,
                                  infalign_calibrate,
                                  infalign_win_rate,
                                  infalign_expected_reward,
                                  infalign_summarize,
                                  infalign_policy_loss,
                                  infalign_calibrator_create,
                                  infalign_calibrator_cdf,
                                  infalign_calibrator_quantile,
                                  infalign_calibrator_destroy,
                                  infalign_plan_create,
                                  infalign_plan_size,
                                  infalign_plan_get,
                                  infalign_plan_recommended,
                                  infalign_plan_destroy};
  return version >= 1 && version <= INFALIGN_C_VERSION ? &table : nullptr;
}

}  // extern "C"
