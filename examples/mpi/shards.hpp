// SPDX-License-Identifier: Apache-2.0
/// \file
/// What `infalign_mpi` does: each is collective, and rank 0 prints.
#pragma once

#include <string>
#include <vector>

#include "calibrated_file.hpp"
#include "estimand.hpp"
#include "record_options.hpp"
#include "shared_options.hpp"
#include "strata.hpp"

namespace command {

struct win_rate_shards : estimand_options, report_options {
  record_options records;
  stratum_options by_stratum;
  std::vector<std::string> policies;
  std::vector<std::string> references;
};
void win_rate(const win_rate_shards& chosen, int rank, int ranks);

struct evaluate_shards : procedure_options, report_options {
  record_options records;
  std::vector<std::string> references;
  std::vector<std::string> transforms;
  std::vector<std::string> betas;
};
void evaluate(const evaluate_shards& chosen, int rank, int ranks);

struct calibrate_shards : calibration_choice {
  record_options records;
  std::vector<std::string> references;
  std::vector<std::string> rollouts;
  std::vector<std::string> outputs;  ///< one for each file of rollouts
};
void calibrate(const calibrate_shards& chosen, int rank, int ranks);

}  // namespace command
