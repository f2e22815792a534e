// SPDX-License-Identifier: Apache-2.0
/// \file
/// The preference losses of the library. A new one is a file in `objective/preference/` and a line here.
#pragma once

#include "infalign/objective/preference/bonbon.hpp"
#include "infalign/objective/preference/conservative_dpo.hpp"
#include "infalign/objective/preference/dpo.hpp"
#include "infalign/objective/preference/ipo.hpp"
#include "infalign/objective/preference/preference_hinge.hpp"
#include "infalign/objective/preference/preference_loss.hpp"
#include "infalign/objective/preference/qrpo.hpp"
#include "infalign/objective/preference/robust_dpo.hpp"
#include "infalign/objective/preference/sppo_hard.hpp"
#include "infalign/objective/preference/weighted_sft.hpp"
