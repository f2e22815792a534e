// SPDX-License-Identifier: Apache-2.0
/// \file
/// Aligns a small language model for the way it will be sampled, and shows what calibrate-and-transform RL gains by it.

#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "frontier_plot.hpp"
#include "options.hpp"
#include "report.hpp"
#include "run_on.hpp"
#include "word_data.hpp"

namespace {

void write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  if (!file.flush()) throw std::runtime_error("cannot write '" + path.string() + "'");
}

using run_on = align::results (*)(const align::task&);

run_on backend_named(const std::string& name) {
  if (name == "scalar") return align::run_on_scalar;
  if (name == "simd") return [](const align::task& what) { return align::run_on_simd(what); };
  if (name == "thrust") {
#if ALIGN_ON_THRUST
    return align::run_on_thrust;
#else
    throw std::invalid_argument("--backend thrust: built without Thrust (Debian package: libthrust-dev)");
#endif
  }
  throw std::invalid_argument("--backend knows scalar, simd and thrust, not '" + name + "'");
}

void run(const align::options& chosen) {
  const run_on run_on_chosen = backend_named(chosen.backend);
  const std::vector<align::word> words = align::read_words(chosen.words);
  std::fprintf(stderr, "learning the base policy and the reward model from %zu words\n", words.size());
  const std::filesystem::path output = chosen.output;
  std::filesystem::create_directories(output);  // before the long part, so that a bad path shows early
  const align::results found = run_on_chosen(
      {words, chosen.quick ? align::quick_schedule() : align::schedule{}, chosen.seed, chosen.threads, chosen.what});
  const std::string table = align::table(found);
  write_file(output / "table.txt", table);
  write_file(output / "results.json", align::json(found));
  write_file(output / "frontier.svg", align::frontier_plot(found));
  std::printf("%s\nwritten to %s: table.txt, results.json, frontier.svg\n", table.c_str(), output.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const align::options chosen = align::parse_options(argc, argv);
    if (chosen.help)
      std::fputs(align::usage, stdout);
    else
      run(chosen);
    return 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "infalign_align: %s\n", failure.what());
    return 1;
  }
}
