// SPDX-License-Identifier: Apache-2.0
// A library for every processor. Its interface is made of types of infalign, which have one name for all instruction sets.
#include "library.hpp"

infalign::estimate mean_transformed(infalign::rows<const float> values, const infalign::any_transform& transform,
                                    const infalign::best_of& procedure) {
  infalign::summary sum;
  for (infalign::index_t g = 0; g < values.size(); ++g)
    for (const float v : values[g]) sum.add(transform(procedure.distortion(static_cast<double>(v))));
  return infalign::estimate_of(sum);
}
