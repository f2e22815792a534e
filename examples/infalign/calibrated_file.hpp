// SPDX-License-Identifier: Apache-2.0
/// \file
/// A file of records with their calibrated rewards.
#pragma once

#include <cstdint>
#include <string>

#include "infalign/calibration/tie_rule.hpp"
#include "infalign/transform/any_transform.hpp"
#include "output_file.hpp"
#include "record_reader.hpp"
#include "reward_table.hpp"

namespace CLI {
class App;
}

namespace command {

/// How rewards are calibrated.
struct calibration_choice {
  std::string transform = "identity";
  std::string ties = "mid_rank";
  bool leave_one_out = false;

  /// Throw `usage_failure` for what is none.
  [[nodiscard]] infalign::tie_rule tie_rule() const;
  [[nodiscard]] infalign::any_transform parsed_transform() const;
};

/// `--transform`, `--ties` and `--leave-one-out`.
void add_calibration(CLI::App& to, calibration_choice& chosen);

/// Without the prompts of which all references are missing.
reward_table with_references(reward_table table);

/// Says before anything is written that no record of `in` may have the fields that are added.
void reserve_calibrated(record_reader& in);

/// Writes every record of `in` with its calibrated rewards, and commits `out`. Returns how many there were; throws `failure` for none.
std::uint64_t write_calibrated(record_reader& in, output_file& out, reward_table references, const calibration_choice& chosen);

}  // namespace command
