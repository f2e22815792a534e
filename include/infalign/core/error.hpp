// SPDX-License-Identifier: Apache-2.0
/// \file
/// The exceptions of the library. Every public function checks its arguments before it writes anything.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "infalign/core/config.hpp"

namespace infalign {

/// Base of every exception that the library throws on its own account (allocation failures stay `std::bad_alloc`).
struct error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Two arguments whose sizes do not fit each other, or offsets that do not describe groups.
struct shape_error : error {
  using error::error;
};

/// A value outside the domain of the function: NaN reward, token id out of range, N = 0, negative KL weight.
struct domain_error : error {
  using error::error;
};

/// A CUDA call that failed, by name, with CUDA's own name and description of the error.
struct cuda_error : error {
  int code;  ///< the `cudaError_t`
  cuda_error(const std::string& message, int error_code) : error(message), code(error_code) {}
};

/// Throws `Error` with the message "function: part part part"; floating values are printed so that they read back exactly.
template <class Error, class... Parts>
[[noreturn]] INFALIGN_KEYED void raise(std::string_view function, const Parts&... parts) {
  std::ostringstream message;
  message.precision(17);
  message << function << ": ";
  (message << ... << parts);
  throw Error(message.str());
}

/// `raise` unless `condition` holds.
template <class Error, class... Parts>
INFALIGN_KEYED void expects(bool condition, std::string_view function, const Parts&... parts) {
  if (!condition) raise<Error>(function, parts...);
}

}  // namespace infalign
