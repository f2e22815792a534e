// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <infalign/core/storage.hpp>

struct __nv_bfloat16 : infalign::bfloat16 {
  using bfloat16::bfloat16;
};
