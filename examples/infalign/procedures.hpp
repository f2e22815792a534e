// SPDX-License-Identifier: Apache-2.0
/// \file
/// What is run at inference on either side.
#pragma once

#include "infalign/procedure/any_procedure.hpp"
#include "infalign/serving/any_served_procedure.hpp"
#include "shared_options.hpp"

namespace command {

struct procedures {
  infalign::any_procedure policy;
  infalign::any_procedure reference;

  /// From the options `--procedure` and `--reference-procedure`; the latter is that of the policy if it is empty.
  static procedures parse(const procedure_options& chosen);
};

/// The same where those are known too that select by reward.
struct served_procedures {
  infalign::any_served_procedure policy;
  infalign::any_served_procedure reference;

  static served_procedures parse(const procedure_options& chosen);
};

}  // namespace command
