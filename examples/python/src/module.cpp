// SPDX-License-Identifier: Apache-2.0
/// \file
/// The extension module `infalign._core`, and which instruction set it uses.
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <infalign/core/config.hpp>
#include <infalign/core/error.hpp>

#include "arrays.hpp"
#include "modules.hpp"

namespace infalign_python {

namespace {

/// What this build has and this processor can run, the newest first.
std::vector<const kernels*> runnable() {
  std::vector<const kernels*> tables;
#if defined(INFALIGN_PYTHON_HAS_avx512)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd"))
    tables.push_back(&avx512::table);
#endif
#if defined(INFALIGN_PYTHON_HAS_avx2)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
      __builtin_cpu_supports("bmi2"))
    tables.push_back(&avx2::table);
#endif
  tables.push_back(&baseline::table);
  return tables;
}

const kernels* chosen = nullptr;

/// The newest, or that which the environment variable INFALIGN_INSTRUCTION_SET names.
const kernels* choose() {
  const char* const wanted = std::getenv("INFALIGN_INSTRUCTION_SET");
  const std::vector<const kernels*> tables = runnable();
  if (wanted == nullptr) return tables.front();
  std::string known;
  for (const kernels* table : tables) {
    if (std::string_view(wanted) == table->name) return table;
    known += (known.empty() ? "" : ", ") + std::string(table->name);
  }
  throw nb::import_error(("INFALIGN_INSTRUCTION_SET is '" + std::string(wanted) + "', must be one of " + known).c_str());
}

}  // namespace

const kernels& chosen_kernels() {
  return *chosen;
}

}  // namespace infalign_python

NB_MODULE(_core, m) {
  namespace nb = nanobind;
  using namespace infalign_python;
  chosen = choose();
  interpreter::look_up();
  nb::exception<infalign::error>(m, "Error", PyExc_ValueError);
  m.attr("__version__") = std::to_string(INFALIGN_VERSION_MAJOR) + "." + std::to_string(INFALIGN_VERSION_MINOR) + "." +
                          std::to_string(INFALIGN_VERSION_PATCH);
  m.def(
      "instruction_set", [] { return std::string(chosen->name); },
      "What this process runs: \"baseline\", \"avx2\" or \"avx512\". INFALIGN_INSTRUCTION_SET in the environment asks for "
      "another.");
  m.def("instruction_sets", [] {
    std::vector<std::string> names;
    for (const kernels* table : runnable()) names.emplace_back(table->name);
    return names;
  });
  define_names(m);
  define_statistics(m);
  define_rewards(m);
  define_advantage(m);
  define_curves(m);
  define_states(m);
  define_estimators(m);
  define_theory(m);
  define_torch(m);
#if defined(INFALIGN_PYTHON_JAX)
  define_jax(m);
#else
  m.def("jax_handlers", [] { return nb::dict(); });
#endif
}
