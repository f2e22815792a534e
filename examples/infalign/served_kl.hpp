// SPDX-License-Identifier: Apache-2.0
/// \file
/// How far best-of-N is from its base policy: `infalign kl --procedure best_of:N`.
#pragma once

#include <string>

#include "infalign/core/config.hpp"
#include "record_options.hpp"
#include "shared_options.hpp"

namespace command {

struct served_kl_options : report_options {
  record_options records;    ///< whose rewards are log-probabilities under the base policy
  std::string file;          ///< empty for the bound alone
  std::string reward_field;  ///< empty if the file has the responses that were served, and not all that there are
};

/// The N of `best_of:N`. Throws `usage_failure` for any other procedure.
infalign::index_t best_of_count(const std::string& procedure);

/// The bound, which holds for every policy. From the responses that best-of-N served, the mean over prompts of `best_of_kl_estimate`, each
/// prompt's being the mean over its responses; from all responses with their rewards, that of `best_of_kl`. Throws `failure` for positive
/// log-probabilities, and where those of all responses to a prompt do not sum to 1 within 1e-6.
std::string served_kl_report(const served_kl_options& chosen, infalign::index_t n);

}  // namespace command
