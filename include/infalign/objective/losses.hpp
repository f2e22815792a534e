// SPDX-License-Identifier: Apache-2.0
/// \file
/// The policy losses of the library. A new one is a file in `objective/loss/` and a line here.
#pragma once

#include "infalign/objective/loss/clipped_surrogate.hpp"
#include "infalign/objective/loss/reinforce.hpp"
#include "infalign/objective/loss/token_loss.hpp"
