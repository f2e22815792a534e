// SPDX-License-Identifier: Apache-2.0
/// \file
/// Signals that end the program: it takes its temporary file away first.
#pragma once

#include <csignal>
#include <string>

namespace command {

/// From here on, whatever signal ends the program removes the temporary file, and then has its usual effect: the program ends by
/// that signal, with a core file where it makes one. Nothing can be done about SIGKILL. Signals that are ignored at the start stay
/// ignored (`nohup`). Writing to a closed pipe, or beyond the largest size of a file, becomes an ordinary error.
void handle_signals();

/// As long as it lives, signals wait. With it, making a temporary file and `remove_on_signal` are one step.
class signals_held {
 public:
  signals_held();
  signals_held(const signals_held&) = delete;
  signals_held& operator=(const signals_held&) = delete;
  ~signals_held();

 private:
  sigset_t before_;
};

/// The file to remove when a signal ends the program: one at a time. Empty for none.
void remove_on_signal(const std::string& path);

}  // namespace command
