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
#include "pipeline.hpp"
#include "report.hpp"
#include "word_data.hpp"

namespace {

void write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  if (!file.flush()) throw std::runtime_error("cannot write '" + path.string() + "'");
}

void run(const align::options& chosen) {
  const std::vector<align::word> words = align::read_words(chosen.words);
  std::fprintf(stderr, "learning the base policy and the reward model from %zu words\n", words.size());
  align::pipeline job(words, chosen.quick ? align::quick_schedule() : align::schedule{}, chosen.seed);
  const std::filesystem::path output = chosen.output;
  std::filesystem::create_directories(output);  // before the long part, so that a bad path shows early
  const align::results found = job.run(chosen.threads);
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
