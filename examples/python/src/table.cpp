// SPDX-License-Identifier: Apache-2.0
#include "views.hpp"

#define INFALIGN_PYTHON_TEXT_OF(name) #name
#define INFALIGN_PYTHON_TEXT(name) INFALIGN_PYTHON_TEXT_OF(name)

namespace infalign_python::INFALIGN_PYTHON_ISA {

const kernels table{INFALIGN_PYTHON_TEXT(INFALIGN_PYTHON_ISA),
                    calibrate,
                    apply,
                    win_rate,
                    expected_reward,
                    curve,
                    policy_loss,
                    read_shard,
                    shard_gradient};

}  // namespace infalign_python::INFALIGN_PYTHON_ISA
