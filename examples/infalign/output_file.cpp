// SPDX-License-Identifier: Apache-2.0
#include "output_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "failure.hpp"
#include "file_system.hpp"
#include "signals.hpp"

namespace command {

void hold_standard_files() {
  // Standard input is opened for writing and the others for reading. Using them then fails with EBADF, instead of reading nothing
  // or losing what is written.
  for (const int file : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(file, F_GETFD) < 0) (void)!open("/dev/null", file == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

output_file::output_file(const std::string& path) : name_(path == "-" ? "standard output" : path) {
  buffer_.reserve(2 * block);  // before there is a file: what throws here leaves none behind
  if (path == "-")
    open_descriptor(STDOUT_FILENO);
  else
    open_path(path);
}

/// A second descriptor of the same open file, with the same offset and flags. One that cannot be written to fails here, not at the
/// end.
void output_file::open_descriptor(int number) {
  const int flags = fcntl(number, F_GETFL);
  file_ = flags < 0 ? -1 : fcntl(number, F_DUPFD_CLOEXEC, 0);
  if (file_ < 0) fail_writing(errno);
  if ((flags & O_ACCMODE) != O_RDONLY) return;
  close(std::exchange(file_, -1));
  fail_writing(EBADF);
}

void output_file::open_path(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const auto status = fs::status(path, error);
  if (status.type() == fs::file_type::none) fail_writing(error.value());
  if (fs::is_directory(status)) fail_writing(EISDIR);
  const resolved_path found = resolve(path);
  if (found.descriptor) return open_descriptor(*found.descriptor);
  target_ = found.path;
  if (!fs::exists(status)) return open_beside();
  if (fs::is_regular_file(status)) {
    if (access(path.c_str(), W_OK) != 0) fail_writing(errno);
    return open_beside();
  }
  file_ = open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY);
  if (file_ < 0) fail_writing(errno);
}

void output_file::open_beside() {
  direct_ = false;
  std::string pattern = temporary_pattern(target_);
  {
    const signals_held held;
    file_ = mkstemp(pattern.data());
    if (file_ >= 0) remove_on_signal(temporary_ = std::move(pattern));
  }
  const int code = errno;
  if (file_ >= 0)
    copy_permissions(target_, file_);
  else if ((code == EACCES || code == EPERM || code == EROFS) && access(target_.c_str(), W_OK) == 0)
    open_unnamed();
  else
    fail_writing(code);
}

void output_file::open_unnamed() {
  file_ = open_unnamed_file();
  if (file_ < 0) fail_writing(errno);
}

output_file::~output_file() {
  if (file_ >= 0) close(file_);
  if (temporary_.empty()) return;
  const signals_held held;
  unlink(temporary_.c_str());
  remove_on_signal("");
}

void output_file::fail_writing(int code) const {
  fail("{}: cannot write: {}", name_, system_message(code));
}

void output_file::flush() {
  if (const int code = write_all(file_, buffer_)) fail_writing(code);
  buffer_.clear();
}

void output_file::commit() {
  flush();
  if (!direct_) {
    if (temporary_.empty()) return overwrite();
    if (const int code = synchronize(file_)) fail_writing(code);
    take_name();
  }
  if (close(std::exchange(file_, -1)) != 0) fail_writing(errno);
}

void output_file::take_name() {
  {
    const signals_held held;
    if (std::rename(temporary_.c_str(), target_.c_str()) == 0) {
      temporary_.clear();
      remove_on_signal("");
    } else if (errno != EBUSY && errno != EXDEV && errno != EPERM && errno != EACCES) {
      fail_writing(errno);
    }
  }
  if (!temporary_.empty()) return overwrite();  // a mount, or somebody else's file in a sticky directory
  if (const int code = synchronize_directory(target_)) fail_writing(code);
}

/// The part beyond the old content comes first: if there is no room for it, the old content is whole.
void output_file::overwrite() {
  const int to = open(target_.c_str(), O_WRONLY | O_CLOEXEC);
  if (to < 0) fail_writing(errno);
  struct stat before {
  }, after{};
  const signals_held held;
  int code = fstat(to, &before) != 0 || fstat(file_, &after) != 0 ? errno : 0;
  if (code == 0 && after.st_size > before.st_size) {
    code = copy_range(file_, to, before.st_size, after.st_size);
    if (code == 0) code = synchronize(to);
    if (code != 0) (void)!ftruncate(to, before.st_size);
  }
  if (code == 0) code = copy_range(file_, to, 0, std::min(before.st_size, after.st_size));
  if (code == 0 && ftruncate(to, after.st_size) != 0) code = errno;
  if (code == 0) code = synchronize(to);
  if (close(to) != 0 && code == 0) code = errno;
  if (code != 0) fail_writing(code);
}

void write_output(const std::string& path, std::string_view text) {
  output_file out(path);
  out.buffer() = text;
  out.commit();
}

}  // namespace command
