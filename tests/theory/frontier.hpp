// SPDX-License-Identifier: Apache-2.0
/// \file
/// More of the kind of `tradeoff.hpp`, ten digits: for `Φ = log u` by adaptive quadrature, and for the optimum by an independent
/// solution of its boundary-value problem.
#pragma once

#include "infalign/core/config.hpp"

namespace infalign::test {

struct frontier_row {
  const char* procedure;
  const char* transform;
  double kl;
  double beta;
  double inference_win_rate;
  double standard_win_rate;
};

// clang-format off
inline constexpr frontier_row frontier_rows[] = {
    {"standard", "logarithm", 0.25, 0.814164356112, 0.6902349572, 0.6902349572},
    {"standard", "logarithm", 0.75, 0.274828694029, 0.8226519641, 0.8226519641},
    {"standard", "logarithm", 1.5, 0.0986560988613, 0.9176020264, 0.9176020264},
    {"standard", "optimal", 0.25, 0.3767300254, 0.6989315476, 0.6989315476},
    {"standard", "optimal", 0.75, 0.178017926655, 0.8256293623, 0.8256293623},
    {"standard", "optimal", 1.5, 0.0820905425634, 0.9179145810, 0.9179145810},
    {"best_of:2", "logarithm", 0.25, 0.814164356112, 0.6902349572, 0.6902349572},
    {"best_of:2", "logarithm", 0.75, 0.274828694029, 0.8226519641, 0.8226519641},
    {"best_of:2", "logarithm", 1.5, 0.0986560988613, 0.9176020264, 0.9176020264},
    {"best_of:2", "optimal", 0.25, 0.405206797926, 0.7393163445, 0.6813614366},
    {"best_of:2", "optimal", 0.75, 0.157522064688, 0.8635891534, 0.7976652312},
    {"best_of:2", "optimal", 1.5, 0.062806848547, 0.9393549428, 0.8878881315},
    {"best_of:8", "logarithm", 0.25, 0.814164356112, 0.6902349572, 0.6902349572},
    {"best_of:8", "logarithm", 0.75, 0.274828694029, 0.8226519641, 0.8226519641},
    {"best_of:8", "logarithm", 1.5, 0.0986560988613, 0.9176020264, 0.9176020264},
    {"best_of:8", "optimal", 0.25, 0.422584537365, 0.8625349763, 0.6114044860},
    {"best_of:8", "optimal", 0.75, 0.0845795468061, 0.9601441759, 0.6855457474},
    {"best_of:8", "optimal", 1.5, 0.0166141369526, 0.9903029650, 0.7496704787},
    {"worst_of:2", "logarithm", 0.25, 0.814164356112, 0.7637268102, 0.6902349572},
    {"worst_of:2", "logarithm", 0.75, 0.274828694029, 0.9103981434, 0.8226519641},
    {"worst_of:2", "logarithm", 1.5, 0.0986560988613, 0.9784502681, 0.9176020264},
    {"worst_of:2", "optimal", 0.25, 0.494233992389, 0.7671164919, 0.6851973582},
    {"worst_of:2", "optimal", 0.75, 0.169429123198, 0.9152890808, 0.8121344903},
    {"worst_of:2", "optimal", 1.5, 0.0378029894689, 0.9810985053, 0.9112598975},
    {"worst_of:8", "logarithm", 0.25, 0.814164356112, 0.8982211783, 0.6902349572},
    {"worst_of:8", "logarithm", 0.75, 0.274828694029, 0.9921658678, 0.8226519641},
    {"worst_of:8", "logarithm", 1.5, 0.0986560988613, 0.9999054076, 0.9176020264},
    {"worst_of:8", "optimal", 0.25, 0.419617220343, 0.9475478484, 0.6371723783},
    {"worst_of:8", "optimal", 0.75, 0.00768555733139, 0.9990393053, 0.7799339237},
};
// clang-format on

}  // namespace infalign::test
