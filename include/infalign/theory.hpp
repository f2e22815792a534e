// SPDX-License-Identifier: Apache-2.0
/// \file
/// The theory: which transform, which KL weight and what win rate to expect, before anything is trained or sampled. Host numerics on
/// quantiles; needs the standard library alone. What is estimated from samples of the base policy is in `infalign/evaluation/`.
///
/// A source that calls these functions compiles them. A program with several such sources can link CMake's `infalign::compiled`
/// (`find_package(infalign COMPONENTS compiled)`), which compiles them once.
#pragma once

#include "infalign/theory/hedge.hpp"
#include "infalign/theory/matchup.hpp"
#include "infalign/theory/optimal_transform.hpp"
#include "infalign/theory/plan.hpp"
#include "infalign/theory/rewind_distortion.hpp"
#include "infalign/theory/robust_plan.hpp"
#include "infalign/theory/sample_size.hpp"
#include "infalign/theory/sampling_plan.hpp"
#include "infalign/theory/soft_distortion.hpp"
#include "infalign/theory/tilted_density.hpp"
#include "infalign/theory/tradeoff.hpp"
