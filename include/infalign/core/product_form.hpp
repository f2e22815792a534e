// SPDX-License-Identifier: Apache-2.0
/// \file
/// What is asked of a matrix product that the caller brings: Eigen's, a BLAS's, cuBLAS's.
#pragma once

namespace infalign {

/// `out = op(left)·op(right)`, or `out += op(left)·op(right)`, for row-major matrices.
struct product_form {
  bool transposes_left = false;
  bool transposes_right = false;
  bool adds = false;
};

}  // namespace infalign
