// SPDX-License-Identifier: Apache-2.0
/// \file
/// The policy losses of the library. A new one is a file in `objective/loss/` and a line here.
#pragma once

#include "infalign/objective/loss/cispo.hpp"
#include "infalign/objective/loss/clipped_surrogate.hpp"
#include "infalign/objective/loss/gmpo.hpp"
#include "infalign/objective/loss/gspo.hpp"
#include "infalign/objective/loss/importance_weighted.hpp"
#include "infalign/objective/loss/reinforce.hpp"
#include "infalign/objective/loss/response_surrogate.hpp"
#include "infalign/objective/loss/sapo.hpp"
#include "infalign/objective/loss/token_loss.hpp"
#include "infalign/objective/loss/vespo.hpp"
#include "infalign/objective/loss/with_kl.hpp"
