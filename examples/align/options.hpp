// SPDX-License-Identifier: Apache-2.0
/// \file
/// The command line.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "policy_objective.hpp"

namespace align {

struct options {
  std::uint64_t seed = 1;
  bool quick = false;
  bool help = false;
  std::string output = "results";
  std::string words = "/usr/share/dict/words";
  unsigned threads = 2;
  std::string backend = "simd";
  selection what{};
};

inline constexpr const char* usage =
    "Aligns a word-completion model for best-of-4 and worst-of-4 sampling, and compares the ways to do it.\n"
    "\n"
    "  --seed N       seed of everything random (default 1); one seed, one set of numbers\n"
    "  --quick        a smoke run of a few seconds, too short for good policies\n"
    "  --output DIR   where table.txt, results.json and frontier.svg go (default results)\n"
    "  --words FILE   word list, one word a line (default /usr/share/dict/words)\n"
    "  --threads N    policies trained at a time (default 2); does not change the numbers\n"
    "  --backend B    of the library: scalar, simd or thrust (default simd); thrust gives the numbers of simd\n"
    "  --objective L  by which objectives policies are trained, with commas between: rloo (default), reinforce, grpo, "
    "ppo_clip, gspo;\n"
    "                 win-rate adds methods that climb the win rate itself. With several, each is compared with the first\n"
    "  --method L     which methods, with commas between, for example raw,identity,exponential:10 (default all)\n"
    "  --help         this text\n";

/// The parts of `text` between commas.
inline std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ',')
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

/// A whole number of at least `least`, all of `text`.
inline std::uint64_t parse_number(const std::string& name, const std::string& text, std::uint64_t least) {
  const bool digits = !text.empty() && text.size() <= 18 && text.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || std::stoull(text) < least)
    throw std::invalid_argument(name + " needs a whole number of at least " + std::to_string(least) + ", not '" + text + "'");
  return std::stoull(text);
}

/// Throws `std::invalid_argument` with one line on what is wrong.
inline options parse_options(int argc, char** argv) {
  options chosen;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto value = [&]() -> std::string {
      if (++i == argc) throw std::invalid_argument(name + " needs a value (see --help)");
      return argv[i];
    };
    if (name == "--seed")
      chosen.seed = parse_number(name, value(), 0);
    else if (name == "--threads")
      chosen.threads = static_cast<unsigned>(parse_number(name, value(), 1) & 0xFFFu);
    else if (name == "--output")
      chosen.output = value();
    else if (name == "--words")
      chosen.words = value();
    else if (name == "--backend")
      chosen.backend = value();
    else if (name == "--method")
      chosen.what.methods = split_list(value());
    else if (name == "--objective") {
      chosen.what.objectives.clear();
      for (const std::string& part : split_list(value())) chosen.what.objectives.push_back(objective_named(part));
    } else if (name == "--quick")
      chosen.quick = true;
    else if (name == "--help")
      chosen.help = true;
    else
      throw std::invalid_argument("unknown option '" + name + "' (see --help)");
  }
  return chosen;
}

}  // namespace align
