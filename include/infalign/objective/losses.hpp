// SPDX-License-Identifier: Apache-2.0
/// \file
/// The policy losses of the library. A new one is a file in `objective/loss/` and a line here.
///
/// Losses and their derivatives are computed in `double`. Given log-ratios, which are differences of log-probabilities, their relative
/// error is at most 1e-13.
///
/// A sampler that filters (top-k, top-p) gives some tokens the probability 0, and a policy may mask the token that was sampled. Then the
/// ratio `ρ = π(a)/π_old(a)` is infinite or 0, and a loss and its derivative are their limits there:
///
/// | loss                  | π_old(a) = 0: ρ = +inf                    | π(a) = 0: ρ = 0                               |
/// |-----------------------|-------------------------------------------|-----------------------------------------------|
/// | `reinforce`           | `-A·log π(a)`: does not read the ratio    | ∓inf, derivative `-A`                         |
/// | `clipped_surrogate`, `gspo`, `response_surrogate` | A > 0: `-(1+ε_high)·A`, derivative 0; A < 0: +inf with an infinite derivative | A > 0: 0; A < 0: `(1-ε_low)·|A|`; derivative 0 |
/// | the same with limits  | A < 0: the least of `c·|A|`, `δ·|A|` and `e^{log_ratio.high}·|A|`, derivative 0 | of `log_ratio.low`, if it is given |
/// | `cispo`               | `-largest·A·log π(a)`, derivative `-largest·A` | ∓inf, derivative `-smallest·A`; 0 if `smallest` is 0 |
/// | `sapo`                | `-(4/τ)·A`, derivative 0                  | `-(4/τ)·σ(-τ)·A`, derivative 0                |
/// | `gmpo`                | A > 0: `-e^{ε_high}·A`, derivative 0; A < 0: +inf with an infinite derivative | A > 0: 0; A < 0: `e^{-ε_low}·|A|`; derivative 0 |
/// | `vespo`               | 0, derivative 0: the weight vanishes      | ∓inf, the derivative that of `w = 1e-8`       |
/// | `importance_weighted` | times `high`, or 0 if masked              | times `low`, or 0 if masked or `low` is 0     |
///
/// If A is 0, the loss and its derivative are 0. If both probabilities are 0, there is no ratio: the loss is NaN unless A is 0. In a
/// response whose ratio is a mean or a product of its tokens', so do an infinite ratio and one of 0. An infinite or undefined derivative
/// makes the token's whole row of the gradient NaN, and leaves the other rows as they are. tests/objective/losses_test.cpp holds the table.
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
