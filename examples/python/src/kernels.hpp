// SPDX-License-Identifier: Apache-2.0
/// \file
/// What the Python glue asks of the library, as a table of functions. The sources behind it are compiled once for each instruction set,
/// and the table of the newest one that the processor has is chosen when the module is imported. What passes through is plain data, and
/// types of the library that have one name for all instruction sets.
#pragma once

#include <cstdint>

#include <infalign/backend/executor.hpp>
#include <infalign/calibration/tie_rule.hpp>
#include <infalign/evaluation/off_policy.hpp>
#include <infalign/logits/row_gradient.hpp>
#include <infalign/logits/row_state.hpp>
#include <infalign/logits/row_statistics.hpp>
#include <infalign/objective/advantage/best_sample.hpp>
#include <infalign/objective/advantage/group_normalized.hpp>
#include <infalign/objective/advantage/subset_baseline.hpp>
#include <infalign/objective/aggregation.hpp>
#include <infalign/objective/loss/clipped_surrogate.hpp>
#include <infalign/objective/loss/with_kl.hpp>
#include <infalign/procedure/any_procedure.hpp>
#include <infalign/transform/any_transform.hpp>

namespace infalign_python {

using infalign::index_t;

enum class scalar : unsigned char { float32, float64 };

/// The rewards of prompts: rows where `offsets` is null, else ragged.
struct groups {
  void* data = nullptr;
  scalar type = scalar::float64;
  index_t size = 0;     ///< number of groups
  index_t columns = 0;  ///< of rows
  index_t stride = 0;   ///< of rows
  index_t total = 0;    ///< number of values
  const index_t* offsets = nullptr;
};

struct calibration_request {
  groups references;
  const groups* weights;
  groups rewards;
  groups out;
  infalign::tie_rule ties;
  const infalign::any_transform* transform;  ///< null: none
  bool leave_one_out;
};

struct win_rate_request {
  groups policy;
  groups base;
  const infalign::any_procedure* procedure;
  const infalign::any_procedure* base_procedure;
  double* out;
};

/// Column N - 1 of `out` is for N = 1 … `out.columns`.
struct curve_request {
  groups rewards;
  const groups* base;  ///< null: expected rewards, else win rates against these
  groups out;
  bool worst;            ///< of N is served, not the best
  bool base_one_sample;  ///< the base policy serves one sample, not the same of N
};

/// What is selected by a proxy, valued by the truth. All groups are ragged, of double.
struct proxy_request {
  groups proxy;
  groups truth;
  groups out;
  bool of_win_rates;
  index_t samples;        ///< of soft best-of-N
  const double* lambdas;  ///< one a column of `out`
};

/// All groups are ragged, of double.
struct corrected_request {
  groups references;
  groups rewards;
  groups out;
  const groups* errors;                      ///< null: none
  const infalign::any_transform* transform;  ///< null: the polynomial
  const double* coefficients;
  index_t terms;
  const char* method;  ///< unbiased, jackknife or series
};

struct off_policy_request {
  groups rewards;
  const infalign::any_transform* transform;  ///< null: the rewards as they are
  double beta;
  const infalign::any_procedure* procedure;
  const infalign::any_procedure* base_procedure;
  double* prompts[4];  ///< KL, standard win rate, inference win rate, effective samples; or null
};

enum class advantage_kind : unsigned char {
  leave_one_out,
  mean_centred,
  group_normalized,
  mean_normalized,
  nonzero_scaled,
  best_sample,
  length_weighted,
  greedy_baseline,
  max_at_k,
  pass_at_k,
  expected_reward,
  win_rate
};

struct advantage_request {
  advantage_kind kind;
  groups rewards;
  groups out;
  groups other;  ///< base rewards, lengths, or one greedy reward a prompt
  const infalign::any_procedure* procedure = nullptr;
  const infalign::any_procedure* base_procedure = nullptr;
  infalign::group_normalized_options group{};
  infalign::best_sample_options best{};
  infalign::subset_baseline baseline{};
  index_t k = 0;
};

/// The sorted references of a calibrator: the calibrated rewards of `values`, or the quantiles that they name.
struct lookup_request {
  groups sorted;
  groups values;
  groups out;
  infalign::tie_rule ties;
  bool quantile;
};

enum class logit_type : unsigned char { float32, float64, bfloat16, float16 };

/// Rows of logits, or of their gradient: row `t` of response `b` is at `data + b·batch_stride + t·row_stride`, in elements.
struct logit_rows {
  void* data = nullptr;  ///< null: there are none
  index_t batch_stride = 0;
  index_t row_stride = 0;
};

enum class loss_kind : unsigned char { reinforce, clipped, gspo, response, cispo, sapo, gmpo, vespo };

/// Whether a loss is that of a response, with one advantage, not of a token.
inline bool of_responses(loss_kind loss) {
  return loss == loss_kind::gspo || loss == loss_kind::response || loss == loss_kind::gmpo || loss == loss_kind::vespo;
}

/// A KL estimated from the sampled tokens: what is reported, what is differentiated, and what both are multiplied by.
struct estimated_kl {
  infalign::kl_estimate value{};
  infalign::kl_estimate gradient{};
  infalign::kl_importance importance = infalign::kl_importance::none;
};

/// One loss and gradient of `responses` responses of `length` tokens each. All values of tokens are contiguous.
struct policy_loss_request {
  logit_type type;
  index_t responses;
  index_t length;
  index_t columns;
  logit_rows logits;
  logit_rows base;
  logit_rows gradient;
  const index_t* tokens;
  const double* advantages;  ///< one a token, for losses of responses one a response
  const double* old_log_prob;
  const double* base_log_prob;
  const double* weights;
  loss_kind loss;
  double epsilon_low;
  double epsilon_high;
  infalign::surrogate_limits limits;
  double kl;  ///< the weight of the exact KL, or of the estimate
  bool exact_kl;
  estimated_kl estimate;
  double entropy;   ///< the weight of the bonus
  double scale;     ///< of logits, the inverse of the temperature
  double soft_cap;  ///< 0: none
  bool wants_entropy;
  void* statistics;  ///< loss, log-probability, KL and entropy of every token, one after another; of double for double logits
};

/// What is compiled for each instruction set.
struct kernels {
  const char* name;
  void (*calibrate)(const infalign::executor&, const calibration_request&);
  /// `out[i] = Φ(in[i])` for `n` values of a type.
  void (*apply)(const infalign::executor&, const infalign::any_transform&, scalar, const void* in, void* out, index_t n);
  void (*win_rate)(const infalign::executor&, const win_rate_request&);
  void (*expected_reward)(const infalign::executor&, const groups& rewards, const infalign::any_procedure&, double* out);
  void (*curve)(const infalign::executor&, const curve_request&);
  /// Returns the loss of the batch.
  double (*policy_loss)(const infalign::executor&, const policy_loss_request& request);
  /// The two passes, each on its own, of the logits of a request, which may be a part of the vocabulary: ids are those within it, -1 where
  /// a token lies elsewhere, and `left_out` where nothing is read. Logits of 16 bits are none of these.
  void (*read_shard)(const infalign::executor&, const policy_loss_request& request, bool entropy, infalign::row_state* states);
  void (*shard_gradient)(const infalign::executor&, const policy_loss_request& request,
                         const infalign::row_statistics* statistics, const infalign::row_coefficients* coefficients);
};
constexpr index_t left_out = -2;

namespace avx2 {
extern const kernels table;
}
namespace avx512 {
extern const kernels table;
}

/// What is compiled once, for any processor: it takes microseconds, or gains nothing from wider registers.
namespace baseline {
extern const kernels table;
void preference_win_rate(const infalign::executor& run, const groups& preferences, double* out);
void advantage(const infalign::executor& run, const advantage_request& request);
void sort(const infalign::executor& run, const groups& values, void* out);
/// The weights of tokens that make a mean over them or over `counted` responses, or the sum divided by `divisor` if that is positive.
/// `weights` holds the mask, of `responses` times `length`.
void aggregate(infalign::aggregation how, infalign::counted_responses counted, double divisor, index_t responses,
               index_t length, double* weights);
void look_up(const lookup_request& request);
void proxy_curve(const infalign::executor& run, const proxy_request& request);
void soft_best_of_curve(const infalign::executor& run, const proxy_request& request);
void best_of_poisson_curve(const infalign::executor& run, const groups& curve, const double* means, const groups& out);
void corrected_transform(const infalign::executor& run, const corrected_request& request);
infalign::off_policy_evaluation evaluate_off_policy(const infalign::executor& run, const off_policy_request& request);
/// Of the rewards as they are; writes the KL and the inference win rate of `prompts`.
void tilted_win_rate(const infalign::executor& run, const off_policy_request& request);
}  // namespace baseline

}  // namespace infalign_python
