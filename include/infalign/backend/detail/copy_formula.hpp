// SPDX-License-Identifier: Apache-2.0
/// \file
/// Copying in the memory of a backend, as a formula for its `map`.
#pragma once

#include "infalign/core/config.hpp"

namespace infalign::detail {

template <class T>
struct copy_formula {
  const T* from;
  T* to;
  template <class At>
  INFALIGN_HD void operator()(At at) const {
    at.store(to, at.load(from));
  }
};

}  // namespace infalign::detail
