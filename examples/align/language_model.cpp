// SPDX-License-Identifier: Apache-2.0
#include "language_model.hpp"

template class align::language_model<float>;
