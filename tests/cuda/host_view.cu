// SPDX-License-Identifier: Apache-2.0
// A view of host memory does not compile on the CUDA backend.
// expects: the views must live in the memory of the backend
#include <infalign/infalign.cuh>

#ifdef INFALIGN_MUST_FAIL
using space = infalign::host_memory;
#else
using space = infalign::device_memory;
#endif

void apply(infalign::cuda<>& on, infalign::span<const float, space> u, infalign::span<float, space> out) {
  infalign::apply(on, infalign::identity(), u, out);
}
