// SPDX-License-Identifier: Apache-2.0
/// \file
/// What is run at inference on either side.
#pragma once

#include "infalign/procedure/any_procedure.hpp"
#include "shared_options.hpp"

namespace command {

struct procedures {
  infalign::any_procedure policy;
  infalign::any_procedure reference;

  /// From the options `--procedure` and `--reference-procedure`; the latter is that of the policy if it is empty.
  static procedures parse(const procedure_options& chosen);
};

}  // namespace command
