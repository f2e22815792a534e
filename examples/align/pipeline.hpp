// SPDX-License-Identifier: Apache-2.0
/// \file
/// The whole job: base policy and reward model, then for every method policies over several KL weights, evaluated on held-out
/// prompts, and beside them the closed-form frontier and what was foretold.
#pragma once

#include <algorithm>
#include <cstdio>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "closed_form.hpp"
#include "evaluation.hpp"
#include "job_queue.hpp"
#include "matched_kl.hpp"
#include "methods.hpp"
#include "policy_training.hpp"
#include "prediction.hpp"
#include "progress.hpp"
#include "results.hpp"
#include "run_on.hpp"
#include "scenario.hpp"
#include "served_policies.hpp"

namespace align {

/// The KLs for which closed-form policies are computed.
inline const std::vector<double> closed_form_kl = {0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3};

/// On a backend of the library. Each thread works on a copy of its own.
template <class Backend>
class pipeline {
 public:
  pipeline(Backend on, const std::vector<word>& words, const schedule& plan, std::uint64_t seed, const selection& chosen)
      : on_(std::move(on)),
        plan_(plan),
        random_(seed),
        methods_(chosen_methods<Backend>(chosen, plan.samples.calibration)),
        from_(prepare(on_, words, plan.samples, plan.reward_steps, random_)) {
    found_.seed = seed;
    found_.train_prompts = from_.prompts.train.size();
    found_.held_out_prompts = from_.prompts.held_out.size();
    found_.preference_accuracy = preference_accuracy(from_.reward, from_.base, from_.prompts.held_out, random_.child(7));
  }

  results run(unsigned threads) {
    std::vector<std::vector<policy_run>> runs(methods_.size());
    std::vector<std::vector<closed_form_point>> closed_form(methods_.size());
    std::vector<std::vector<prediction>> predictions(methods_.size());
    progress bar(total_steps());
    job_queue queue;
    std::optional<learned_scorer> scorer;
    queue.add({[this, &scorer] { scorer = learn_prefix_scorer(from_, plan_.serving, random_.child(8)); }});
    kept_.reserve(1 + methods_.size());
    kept_.push_back({"base", "base", 0, from_.base});
    for (std::size_t m = 0; m < methods_.size(); ++m) {
      queue.add(training_stages(m, runs[m], bar, place_for(methods_[m])));
      queue.add({[this, m, &closed_form] { closed_form[m] = closed_form_points(methods_[m]); }});
      queue.add({[this, m, &predictions] { predictions[m] = predict(m); }});
    }
    queue.run(threads);
    for (std::size_t m = 0; m < methods_.size(); ++m) {
      found_.methods.push_back(methods_[m].name);
      std::move(runs[m].begin(), runs[m].end(), std::back_inserter(found_.runs));
      std::move(closed_form[m].begin(), closed_form[m].end(), std::back_inserter(found_.closed_form));
      std::move(predictions[m].begin(), predictions[m].end(), std::back_inserter(found_.predictions));
    }
    serve_policies(*scorer, threads);
    found_.limit = theoretical_limit(closed_form_kl);
    for (const char* baseline : {"identity", "raw"}) compare(found_.methods, trained(baseline));
    // What climbs the win rate itself, against the transforms for it; and each method by the other objectives, against the first.
    if (std::any_of(methods_.begin(), methods_.end(),
                    [](const auto& m) { return m.trained_by == policy_objective::win_rate; })) {
      compare({"win rate best", trained("exponential:10")}, trained("optimal best"));
      compare({"win rate best"}, trained("exponential:10"));
      compare({"win rate worst", trained("exponential:-5")}, trained("optimal worst"));
    }
    for (std::size_t m = 0; m < methods_.size(); ++m) {
      std::vector<std::string> others;
      for (std::size_t k = m + 1; k < methods_.size() && methods_[k].of == methods_[m].of; ++k)
        others.push_back(methods_[k].name);
      const bool done = methods_[m].of == "identity" || methods_[m].of == "raw";  // above, as baselines
      if (!others.empty() && !done) compare(others, methods_[m].name);
      m += others.size();
    }
    return std::move(found_);
  }

 private:
  /// The name of a method by the first objective.
  [[nodiscard]] std::string trained(const std::string& method_name) const {
    for (const method<Backend>& m : methods_)
      if (m.of == method_name) return m.name;
    return method_name;
  }

  /// At matched KL.
  void compare(const std::vector<std::string>& methods, const std::string& baseline) {
    const auto compared = compare_at_matched_kl(on_, found_.runs, methods, baseline, matched_kl);
    found_.comparisons.insert(found_.comparisons.end(), compared.begin(), compared.end());
  }

  /// The base policy and aligned ones, each served by every procedure.
  void serve_policies(const learned_scorer& scorer, unsigned threads) {
    std::fprintf(stderr, "serving %zu policies by every procedure\n", kept_.size());
    std::vector<std::vector<served_rewards>> served(kept_.size());
    job_queue queue;
    for (std::size_t i = 0; i < kept_.size(); ++i)
      queue.add({[this, i, &served, &scorer] {
        served[i] = serve_policy(kept_[i], from_, scorer, plan_.serving, random_.child(3000 + i));
      }});
    queue.run(threads);
    found_.prefix_scorer = scorer.off;
    for (std::size_t i = 0; i < kept_.size(); ++i) {
      const auto results = summarize_served(kept_[i], served[i], served[0], from_);
      found_.served.insert(found_.served.end(), results.begin(), results.end());
    }
  }

  /// Where a method's policy is kept, if it is to be served.
  language_model<float>* place_for(const method<Backend>& how) {
    const auto is_it = [&](const auto& name) { return how.of == name; };
    const bool kept = std::any_of(kept_.begin(), kept_.end(), [&](const served_policy& p) { return p.method == how.of; });
    if (kept || std::none_of(std::begin(served_methods), std::end(served_methods), is_it)) return nullptr;
    kept_.push_back({how.name, how.of, how.betas[served_beta], from_.base});
    return &kept_.back().policy;
  }

  /// One stage a KL weight: train on from the policy of the weight before, then evaluate.
  std::vector<std::function<void()>> training_stages(std::size_t m, std::vector<policy_run>& runs, progress& bar,
                                                     language_model<float>* keep) const {
    const method<Backend>& how = methods_[m];
    const auto trainer = std::make_shared<policy_trainer<Backend>>(on_, from_, how, training_options{}, random_.child(100 + m));
    std::vector<std::function<void()>> stages;
    for (std::size_t b = 0; b < how.betas.size(); ++b)
      stages.push_back([this, trainer, &how, &runs, &bar, m, b, keep] {
        trainer->train(how.betas[b], b == 0 ? plan_.first_steps : plan_.next_steps, [&] { bar.advance(); });
        if (keep && b == served_beta) *keep = trainer->policy();
        Backend on = on_;
        evaluation result = evaluate(on, trainer->policy(), from_, random_.child(1000 + 10 * m + b));
        runs.push_back(summarize_run(on, how.name, how.betas[b], std::move(result)));
      });
    return stages;
  }

  std::vector<closed_form_point> closed_form_points(const method<Backend>& how) const {
    closed_form_frontier<Backend> frontier(on_, from_, how);
    std::vector<closed_form_point> points;
    for (const double kl : closed_form_kl) points.push_back(frontier.at_kl(kl));
    return points;
  }

  std::vector<prediction> predict(std::size_t m) const {
    std::vector<prediction> found;
    for (std::size_t b = 0; b < methods_[m].betas.size(); ++b)
      found.push_back(predict_and_play(on_, from_.evaluation, from_.closed_form, methods_[m], methods_[m].betas[b],
                                       random_.child(2000 + 10 * m + b)));
    return found;
  }

  [[nodiscard]] long total_steps() const {
    long total = 0;
    for (const method<Backend>& how : methods_)
      total += plan_.first_steps + static_cast<long>(how.betas.size() - 1) * plan_.next_steps;
    return total;
  }

  Backend on_;
  schedule plan_;
  random_stream random_;
  std::vector<method<Backend>> methods_;
  scenario from_;
  std::vector<served_policy> kept_;
  results found_;
};

template <class Backend>
results run_on(Backend on, const task& what) {
  return pipeline<Backend>(std::move(on), what.words, what.plan, what.seed, what.chosen).run(what.threads);
}

}  // namespace align
