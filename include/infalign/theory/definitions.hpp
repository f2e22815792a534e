// SPDX-License-Identifier: Apache-2.0
/// \file
/// The bodies of the theory's functions, for the one translation unit that compiles them. CMake's `infalign::compiled` is this
/// file alone; without CMake, compile a source that includes it, and all sources of the program with `-DINFALIGN_COMPILED`.
#pragma once

#include "infalign/theory/definitions/density_curve.hpp"
#include "infalign/theory/definitions/optimal_by_reward.hpp"
#include "infalign/theory/definitions/optimal_transform.hpp"
#include "infalign/theory/definitions/plan.hpp"
#include "infalign/theory/definitions/policy_grid.hpp"
#include "infalign/theory/definitions/reward_ascent.hpp"
#include "infalign/theory/definitions/robust_plan.hpp"
#include "infalign/theory/definitions/tilt.hpp"
#include "infalign/theory/definitions/tilt_family.hpp"
#include "infalign/theory/definitions/tradeoff.hpp"
