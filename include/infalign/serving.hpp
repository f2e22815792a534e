// SPDX-License-Identifier: Apache-2.0
/// \file
/// Inference-time procedures that run: on a sampler and a scorer of the caller's, with their cost counted, or on samples in hand. Host
/// code for the standard library alone; models run where they run.
#pragma once

#include "infalign/serving/any_served_procedure.hpp"
#include "infalign/serving/block_decoding.hpp"
#include "infalign/serving/choose_samples.hpp"
#include "infalign/serving/majority.hpp"
#include "infalign/serving/rank_rules.hpp"
#include "infalign/serving/reservation_value.hpp"
#include "infalign/serving/rewind_and_repeat.hpp"
#include "infalign/serving/serve.hpp"
#include "infalign/serving/soft_best_of.hpp"
#include "infalign/serving/stopped_at.hpp"
#include "infalign/serving/token_decoding.hpp"
