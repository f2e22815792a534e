// SPDX-License-Identifier: Apache-2.0
#include "signals.hpp"

#include <unistd.h>

#include <climits>
#include <cstring>

namespace command {

namespace {

/// A handler must not allocate, nor read what is half changed: `remove_on_signal` changes the path while signals are held. A path
/// that is longer cannot be opened.
char to_remove[PATH_MAX];

/// Every signal whose usual effect is the end of the program, but for SIGKILL, and the two that become errors.
constexpr int ending[] = {
    SIGHUP,    SIGINT,  SIGQUIT, SIGILL,  SIGTRAP, SIGABRT,   SIGBUS,  SIGFPE, SIGSEGV,
    SIGUSR1,   SIGUSR2, SIGALRM, SIGTERM, SIGXCPU, SIGVTALRM, SIGPROF, SIGSYS,
#ifdef SIGSTKFLT
    SIGSTKFLT,
#endif
#ifdef SIGPOLL
    SIGPOLL,
#endif
#ifdef SIGPWR
    SIGPWR,
#endif
};

void remove_and_die(int signal) {
  if (to_remove[0] != '\0') unlink(to_remove);
  std::signal(signal, SIG_DFL);
  std::raise(signal);  // it waits until the handler returns
}

void handle(int signal) {
  struct sigaction given {};
  // What is ignored stays so. A handler that is there already is that of a sanitizer or a profiler.
  if (sigaction(signal, nullptr, &given) != 0 || given.sa_handler != SIG_DFL) return;
  struct sigaction wanted {};
  wanted.sa_handler = remove_and_die;
  sigfillset(&wanted.sa_mask);  // another signal in the handler would end the program before the file is gone
  sigaction(signal, &wanted, nullptr);
}

}  // namespace

void handle_signals() {
  for (const int signal : ending) handle(signal);
#ifdef SIGRTMIN
  for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) handle(signal);
#endif
  for (const int signal : {SIGPIPE, SIGXFSZ}) std::signal(signal, SIG_IGN);
}

signals_held::signals_held() {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before_);
}

signals_held::~signals_held() {
  sigprocmask(SIG_SETMASK, &before_, nullptr);
}

void remove_on_signal(const std::string& path) {
  const signals_held held;
  if (path.size() < sizeof to_remove) std::memcpy(to_remove, path.c_str(), path.size() + 1);
}

}  // namespace command
