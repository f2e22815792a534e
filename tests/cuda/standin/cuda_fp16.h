// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <infalign/core/storage.hpp>

struct __half : infalign::half {
  using half::half;
};
