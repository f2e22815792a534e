// SPDX-License-Identifier: Apache-2.0
/// \file
/// The parts of the extension module.
#pragma once

#include <nanobind/nanobind.h>

namespace infalign_python {

void define_names(nanobind::module_& m);
void define_statistics(nanobind::module_& m);
void define_rewards(nanobind::module_& m);
void define_advantage(nanobind::module_& m);
void define_curves(nanobind::module_& m);
void define_states(nanobind::module_& m);
void define_estimators(nanobind::module_& m);
void define_theory(nanobind::module_& m);
void define_torch(nanobind::module_& m);
void define_jax(nanobind::module_& m);  ///< only where it is built with jaxlib

}  // namespace infalign_python
