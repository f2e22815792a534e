// SPDX-License-Identifier: Apache-2.0
/// \file
/// The subcommands: each adds itself, with its options and what it does, to the command line.
#pragma once

namespace CLI {
class App;
}

namespace command {

void add_calibrate(CLI::App& program);
void add_win_rate(CLI::App& program);
void add_compare(CLI::App& program);
void add_curve(CLI::App& program);
void add_evaluate(CLI::App& program);
void add_hedge(CLI::App& program);
void add_kl(CLI::App& program);
void add_plan(CLI::App& program);
void add_preferences(CLI::App& program);
void add_rank(CLI::App& program);

}  // namespace command
