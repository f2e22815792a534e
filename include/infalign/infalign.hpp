// SPDX-License-Identifier: Apache-2.0
/// \file
/// All of infalign that needs only C++20, Eigen and xsimd: the algorithms, and the backends that run on one CPU thread or on
/// threads of yours.
#pragma once

#include "infalign/algorithms.hpp"
#include "infalign/backend/executor.hpp"
#include "infalign/backend/scalar.hpp"
#include "infalign/backend/simd.hpp"
#include "infalign/interop/eigen.hpp"
