// SPDX-License-Identifier: Apache-2.0
/// \file
/// `infalign`: the library from a shell, on files of rewards.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>

#include "commands.hpp"
#include "failure.hpp"
#include "infalign/core/config.hpp"
#include "output_file.hpp"
#include "printable.hpp"
#include "signals.hpp"

namespace {

/// Every error ends here: one line on standard error, without anything that a terminal would obey, and of bounded length, whatever
/// files and arguments brought into it.
int complain(std::string_view message, int code) {
  constexpr std::size_t longest = 1000;
  std::fputs(("infalign: " + command::shortened(message, longest) + '\n').c_str(),
             stderr);  // may fail; then the code must be enough
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  command::hold_standard_files();
  command::handle_signals();
  CLI::App program("Calibrated rewards and win rates under inference-time procedures, from files of rewards.", "infalign");
  program.set_version_flag(
      "--version", fmt::format("infalign {}.{}.{}", INFALIGN_VERSION_MAJOR, INFALIGN_VERSION_MINOR, INFALIGN_VERSION_PATCH));
  program.require_subcommand(1);
  program.footer("infalign SUBCOMMAND --help explains a subcommand, with examples.");
  command::add_plan(program);
  command::add_calibrate(program);
  command::add_win_rate(program);
  command::add_compare(program);
  command::add_preferences(program);
  command::add_evaluate(program);
  command::add_hedge(program);
  command::add_curve(program);
  command::add_rank(program);
  command::add_kl(program);
  try {
    program.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& parsed) {
    if (parsed.get_exit_code() == 0) {  // --help and --version
      program.exit(parsed);
      return std::cout.flush() ? 0 : complain("standard output: cannot write", 1);
    }
    return complain(std::string(parsed.what()) + " (see --help)", 2);
  } catch (const command::usage_failure& wrong) {
    return complain(wrong.what(), 2);
  } catch (const std::bad_alloc&) {
    return complain("out of memory", 1);
  } catch (const std::exception& wrong) {
    return complain(wrong.what(), 1);
  }
}
