// SPDX-License-Identifier: Apache-2.0
/// \file
/// Procedures that run on samples in hand: which of a prompt's scored samples is served.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "infalign/core/config.hpp"
#include "infalign/core/error.hpp"
#include "infalign/core/math.hpp"
#include "infalign/core/views.hpp"
#include "infalign/serving/any_served_procedure.hpp"
#include "infalign/serving/rank_rules.hpp"
#include "infalign/serving/serve.hpp"
#include "infalign/serving/stopped_at.hpp"

namespace infalign {

namespace detail {

/// Whether the number of samples that a procedure draws is a matter of chance.
template <class Procedure>
inline constexpr bool draws_random_number =
    std::is_same_v<Procedure, best_of_poisson> || std::is_same_v<Procedure, best_of_random>;
template <class Procedure>
inline constexpr bool draws_random_number<stopped_at<Procedure>> = draws_random_number<Procedure>;

/// What messages call a procedure. One of the caller's own may have no name.
template <class Procedure>
INFALIGN_KEYED std::string called(const Procedure& procedure) {
  if constexpr (requires { procedure.name(); })
    return procedure.name();
  else
    return "the procedure";
}

/// The position of the sample that is served, of scores that are finite and as many as the procedure draws.
template <class Procedure, class T>
INFALIGN_KEYED index_t chosen_sample(const Procedure& procedure, span<const T> scores, index_t prompt,
                                     const prompt_random& random) {
  if constexpr (std::is_same_v<Procedure, standard>) {
    return random.below(scores.size(), random_use::choice);
  } else {
    using rule_type = serving_rule<Procedure, index_t>;
    rule_type rule(procedure, prompt, random);
    bool satisfied = false;
    for (index_t i = 0; i < scores.size() && !satisfied; ++i) satisfied = rule.take({i, static_cast<double>(scores[i]), i});
    const scored_response<index_t> chosen = rule.choose();
    if constexpr (rule_type::stops_early) return chosen.attempt;  // the first that does is meant
    // The rules take one of those that are tied by its position. Samples in hand may be in an order that means something.
    index_t tied = 0;
    for (const T score : scores) tied += static_cast<double>(score) == chosen.score ? 1 : 0;
    index_t left = tied == 1 ? 0 : random.below(tied, random_use::choice, 1), at = 0;
    while (static_cast<double>(scores[at]) != chosen.score || left-- > 0) ++at;
    return at;
  }
}

/// `choose_samples` under the names that messages give to the function and to its scores.
template <class Procedure, class Scores>
INFALIGN_KEYED void run_choose_samples(std::string_view function, std::string_view name, const Procedure& procedure,
                                       const Scores& scores, span<index_t> out, std::uint64_t seed) {
  if constexpr (requires { procedure.visit([](const auto&) {}); }) {
    procedure.visit([&](const auto& held) { run_choose_samples(function, name, held, scores, out, seed); });
  } else if constexpr (draws_random_number<Procedure>) {
    raise<domain_error>(function, called(procedure), " draws a random number of samples: those in hand may be too few");
  } else {
    if constexpr (requires { procedure.expects_prompts(scores.size()); }) procedure.expects_prompts(scores.size());
    expects<shape_error>(out.size() == scores.size(), function, "out has ", out.size(), " values, but ", name, " has ",
                         scores.size(), " groups");
    for (index_t p = 0; p < scores.size(); ++p) {
      const auto group = scores[p];
      if constexpr (std::is_same_v<Procedure, standard>) {
        expects<shape_error>(group.size() > 0, function, name, "[", p, "] is empty");
      } else {
        const serving_rule<Procedure, index_t> rule(procedure, p, prompt_random(seed, static_cast<std::uint64_t>(p)));
        expects<shape_error>(group.size() == rule.most(), function, name, "[", p, "] has ", group.size(), " values, but ",
                             called(procedure), " draws ", rule.most());
      }
      bool finite = true;  // all are looked at, so that the loop takes whole registers
      for (index_t i = 0; i < group.size(); ++i) finite &= !not_finite(static_cast<double>(group[i]));
      for (index_t i = 0; !finite && i < group.size(); ++i)
        expects<domain_error>(!not_finite(static_cast<double>(group[i])), function, name, "[", p, "][", i, "] is ",
                              static_cast<double>(group[i]), ", must be finite");
    }
    using value = const typename Scores::value_type;
    for (index_t p = 0; p < scores.size(); ++p)
      out[p] = chosen_sample(procedure, span<value>(scores[p]), p, prompt_random(seed, static_cast<std::uint64_t>(p)));
  }
}

}  // namespace detail

/// Runs a procedure on samples in hand: for every prompt, the position of the sample that is served.
///
/// \code
/// std::vector<index_t> served(100);  // of 100 prompts with 4 scored samples each
/// choose_samples(best_of(4), rows<const double>(scores.data(), 100, 4), served, /*seed=*/1);
/// choose_samples(parse_served_procedure("soft_best_of:4:0.1"), rows<const double>(scores.data(), 100, 4), served);
/// \endcode
///
/// - Procedures: those of `serve`, but for `best_of_poisson` and `best_of_random`, which draw a random number of samples. `standard`
///   serves any of the samples, each as likely as the others.
/// - Shapes: `scores` P groups (rows or ragged) of as many samples as the procedure draws, in the order in which they were drawn; `out`
///   P positions within their group.
/// - Ties: samples with the same score are equally likely. A procedure that stops early (`rewind_and_repeat`, `stopped_at`) takes the
///   first of them. NaN and infinities are an error.
/// - Reproducible: a prompt's choice depends on its scores, its position and the seed.
/// - Cost: some 5 ns a sample; 30 of `order_statistic` and `top_of`, 50 of `soft_best_of`. One thread, no memory but for those two.
/// - Errors: `shape_error` (the size of `out`, or of a group), `domain_error` for a score that is not finite, with prompt and position,
///   or a procedure that draws a random number of samples; before anything is written.
/// - Source: the definitions of the procedures; see each.
template <class Procedure, grouped Scores, class Out>
  requires std::same_as<typename Scores::memory_space, host_memory>
INFALIGN_KEYED void choose_samples(const Procedure& procedure, const Scores& scores, Out&& out, std::uint64_t seed = 0) {
  detail::run_choose_samples("choose_samples", "scores", procedure, scores, span<index_t>(out), seed);
}

}  // namespace infalign
