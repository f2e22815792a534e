// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace infalign {

/// What is subtracted from the mean over the subsets of a group that hold a sample. Both leave the gradient unbiased.
enum class subset_baseline {
  none,           ///< nothing: large variance; groups of N samples are enough
  leave_one_out,  ///< the same of the group without the sample; at least N + 1 samples
};

}  // namespace infalign
