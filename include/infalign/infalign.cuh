// SPDX-License-Identifier: Apache-2.0
/// \file
/// All of infalign for translation units compiled by nvcc: the algorithms and the CUDA backend.
#pragma once

#include "infalign/algorithms.hpp"
#include "infalign/backend/cuda.cuh"
#include "infalign/transform/device_tabulated.cuh"
