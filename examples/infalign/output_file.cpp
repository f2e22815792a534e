// SPDX-License-Identifier: Apache-2.0
#include "output_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <utility>

#include "failure.hpp"

namespace command {

namespace {

/// Path of the temporary file that is being written, for the signal handler, which must not allocate. Only one is open at a time.
char to_remove[4096];
volatile std::sig_atomic_t remove_it = 0;

void remove_and_die(int signal) {
  if (remove_it != 0) unlink(to_remove);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void remember(const std::string& path) {
  if (path.size() >= sizeof to_remove) return;
  std::memcpy(to_remove, path.c_str(), path.size() + 1);
  remove_it = 1;
}

/// Permissions of the file that will be replaced; if there is none, those that a new file gets.
mode_t permissions(const std::string& path) {
  struct stat about {};
  if (stat(path.c_str(), &about) == 0) return about.st_mode & 0777;
  const mode_t mask = umask(0);
  umask(mask);
  return 0666 & ~mask;
}

}  // namespace

void hold_standard_files() {
  // Standard input is opened for writing and the others for reading. Using them then fails with EBADF, instead of reading nothing
  // or losing what is written.
  for (const int file : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(file, F_GETFD) < 0) (void)!open("/dev/null", file == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

void handle_signals() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction given {};
    const bool ignored = sigaction(signal, nullptr, &given) == 0 && given.sa_handler == SIG_IGN;
    if (!ignored) std::signal(signal, remove_and_die);  // what nohup ignores stays ignored
  }
  for (const int signal : {SIGPIPE, SIGXFSZ}) std::signal(signal, SIG_IGN);
}

output_file::output_file(const std::string& path)
    : name_(path == "-" ? "standard output" : path), target_(path), standard_(path == "-") {
  namespace fs = std::filesystem;
  std::error_code error;
  if (standard_) {
    file_ = STDOUT_FILENO;
  } else if (const auto status = fs::status(path, error); status.type() == fs::file_type::none) {
    fail_writing(error.value());
  } else if (fs::is_directory(status)) {
    fail("{}: cannot write: {}", name_, system_message(EISDIR));
  } else if (fs::exists(status) && !fs::is_regular_file(status)) {
    file_ = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (file_ < 0) fail_writing(errno);
  } else {
    if (fs::exists(status) && access(path.c_str(), W_OK) != 0) fail_writing(errno);
    follow_links();
    open_beside();
  }
  buffer_.reserve(2 * block);
}

/// Follows symbolic links, also to a file that does not exist yet. There is no circle, as the system has followed them before.
void output_file::follow_links() {
  namespace fs = std::filesystem;
  std::error_code ignored;
  for (fs::path link(target_); fs::is_symlink(fs::symlink_status(link, ignored)); target_ = link.string())
    link = link.parent_path() / fs::read_symlink(link);
}

void output_file::open_beside() {
  const std::filesystem::path target(target_);
  std::string pattern = (target.parent_path() / ("." + target.filename().string() + ".XXXXXX")).string();
  file_ = mkstemp(pattern.data());
  if (file_ < 0) fail_writing(errno);
  temporary_ = std::move(pattern);
  remember(temporary_);
  (void)fchmod(file_, permissions(target_));  // may fail on a file system without permissions, which does no harm
}

output_file::~output_file() {
  if (file_ >= 0 && !standard_) close(file_);
  if (temporary_.empty()) return;
  unlink(temporary_.c_str());
  remove_it = 0;
}

void output_file::fail_writing(int code) const {
  fail("{}: cannot write: {}", name_, system_message(code));
}

void output_file::flush() {
  const char* at = buffer_.data();
  for (std::size_t left = buffer_.size(); left > 0;) {
    const ssize_t written = write(file_, at, left);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_writing(errno);
    at += written;
    left -= static_cast<std::size_t>(written);
  }
  buffer_.clear();
}

void output_file::commit() {
  flush();
  if (standard_) return;
  if (close(std::exchange(file_, -1)) != 0) fail_writing(errno);
  if (temporary_.empty()) return;
  if (std::rename(temporary_.c_str(), target_.c_str()) != 0) fail_writing(errno);
  temporary_.clear();
  remove_it = 0;
}

void write_output(const std::string& path, std::string_view text) {
  output_file out(path);
  out.buffer() = text;
  out.commit();
}

}  // namespace command
