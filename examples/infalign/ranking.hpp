// SPDX-License-Identifier: Apache-2.0
/// \file
/// The rewards of records, ranked among the reference rewards of their prompts.
#pragma once

#include <cmath>
#include <string>
#include <utility>

#include "infalign/backend/scalar.hpp"
#include "infalign/calibration/calibrator.hpp"
#include "infalign/calibration/tie_rule.hpp"
#include "record_reader.hpp"
#include "reward_table.hpp"

namespace command {

/// The references of every prompt, and how a reward is ranked among them.
class ranking {
 public:
  ranking(reward_table references, infalign::tie_rule ties, bool leave_one_out)
      : name_(std::move(references.name)),
        prompts_(std::move(references.prompts)),
        fitted_(infalign::scalar(), std::move(references.rewards), std::move(references.offsets)),
        ties_(ties),
        leave_one_out_(leave_one_out) {}

  /// Calls `use(u, references)` for every reward of the record; u is NaN where it is missing.
  template <class Use>
  void rank(const record_reader& record, Use&& use) {
    if (record.is_count())
      record.fail_here("n and successes count rewards, and calibrate needs the reward of each rollout: a list in rewards");
    const auto prompt = prompts_.find(record.prompt());
    if (!prompt) record.fail_here("prompt {} has no reference in {}", shown(record.prompt()), name_);
    const infalign::prompt_cdf<double> cdf = fitted_[*prompt];
    if (leave_one_out_ && cdf.references() < 2)
      record.fail_here("prompt {} has 1 reference in {}, leaving one out needs at least 2", shown(record.prompt()), name_);
    for (const double reward : record.rewards()) {
      if (std::isnan(reward))
        use(reward, cdf.references());
      else if (leave_one_out_)
        use(without_itself(record, cdf, reward), cdf.references() - 1);
      else
        use(cdf.calibrated(reward, ties_, position_++), cdf.references());
    }
  }

 private:
  double without_itself(const record_reader& record, const infalign::prompt_cdf<double>& cdf, double reward) {
    try {
      return cdf.calibrated_leave_one_out(reward, ties_, position_++);
    } catch (const infalign::domain_error&) {
      record.fail_here("reward {} is none of the references of prompt {} in {}, so it cannot be left out of them",
                       number(reward), shown(record.prompt()), name_);
    }
  }

  std::string name_;
  prompt_index prompts_;
  infalign::calibrator<infalign::scalar, infalign::ragged<const double>> fitted_;
  infalign::tie_rule ties_;
  bool leave_one_out_;
  infalign::index_t position_ = 0;  ///< of a reward in reading order
};

}  // namespace command
