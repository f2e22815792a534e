// SPDX-License-Identifier: Apache-2.0
/// \file
/// Preloaded into the command by fault_test.cpp. It counts the calls that make, write and rename files, notes their names in
/// FAULT_LOG, and at call number FAULT_AT sends the signal FAULT_SIGNAL, before the call or (FAULT_AFTER) after it, or fails with
/// FAULT_ERROR. With FAULT_CLOSED the first temporary file is refused, as in a directory that cannot be written.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

int setting(const char* name) {
  const char* const text = std::getenv(name);
  return text == nullptr ? 0 : std::atoi(text);
}

/// By system calls, as the functions of the library are those that are counted.
void note(const char* name) {
  const char* const path = std::getenv("FAULT_LOG");
  if (path == nullptr) return;
  char line[32];
  const int size = std::snprintf(line, sizeof line, "%s\n", name);
  const long file = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT, 0644);
  syscall(SYS_write, file, line, size);
  syscall(SYS_close, file);
}

int calls = 0;

/// The function `name` of the library, with what is wrong with this call.
template <class Function, class... Parts>
int call(const char* name, Function*, Parts... parts) {
  const bool chosen = ++calls == setting("FAULT_AT"), after = setting("FAULT_AFTER") != 0;
  note(name);
  const int error = chosen ? setting("FAULT_ERROR") : calls == 1 && setting("FAULT_CLOSED") != 0 ? EACCES : 0;
  if (error != 0) {
    errno = error;
    return -1;
  }
  if (chosen && !after) raise(setting("FAULT_SIGNAL"));
  const auto result = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name))(parts...);
  const int code = errno;
  if (chosen && after) raise(setting("FAULT_SIGNAL"));
  errno = code;
  return static_cast<int>(result);
}

}  // namespace

extern "C" {

int mkstemp(char* pattern) {
  return call("mkstemp", &mkstemp, pattern);
}
ssize_t write(int file, const void* from, size_t size) {
  return call("write", &write, file, from, size);
}
int fsync(int file) {
  return call("fsync", &fsync, file);
}
int ftruncate(int file, off_t size) noexcept {
  return call("ftruncate", &ftruncate, file, size);
}
int rename(const char* from, const char* to) noexcept {
  return call("rename", &rename, from, to);
}
int unlink(const char* path) noexcept {
  return call("unlink", &unlink, path);
}
}
