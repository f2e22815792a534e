// SPDX-License-Identifier: Apache-2.0
/// \file
/// Everything that runs on a backend, and the backends of the CPU: one thread, or threads of yours. Needs C++20 and xsimd alone.
///
/// On their own: `infalign/theory.hpp` (what to expect before training), `infalign/interop/eigen.hpp` (needs Eigen),
/// `infalign/backend/thrust.hpp` (needs Thrust), `infalign/infalign.cuh` (compiled by nvcc; needs neither Eigen nor xsimd).
#pragma once

#include "infalign/algorithms.hpp"
#include "infalign/backend/executor.hpp"
#include "infalign/backend/scalar.hpp"
#include "infalign/backend/simd.hpp"
