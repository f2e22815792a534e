// SPDX-License-Identifier: Apache-2.0
#include "file_system.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <vector>

#include "signals.hpp"

namespace command {

namespace fs = std::filesystem;

namespace {

std::string directory_of(const std::string& path) {
  const std::string directory = fs::path(path).parent_path().string();
  return directory.empty() ? "." : directory;
}

/// N for /dev/fd/N, by whatever name the directory is reached.
std::optional<int> descriptor_number(const fs::path& path) {
  const std::string name = path.filename().string();
  int number = 0;
  const auto [stop, status] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (status != std::errc() || stop != name.data() + name.size()) return std::nullopt;
  std::error_code error, none;
  const fs::path directory = fs::canonical(directory_of(path.string()), error);
  if (error) return std::nullopt;
  for (const char* descriptors : {"/dev/fd", "/proc/self/fd", "/proc/thread-self/fd"})
    if (directory == fs::canonical(descriptors, none)) return number;
  return std::nullopt;
}

}  // namespace

resolved_path resolve(const std::string& path) {
  std::error_code ignored;
  fs::path link(path);
  constexpr int most_links = 40;  // as many as the system follows
  for (int followed = 0; followed <= most_links; ++followed) {
    if (const auto number = descriptor_number(link)) return {link.string(), number};
    if (!fs::is_symlink(fs::symlink_status(link, ignored))) break;
    link = link.parent_path() / fs::read_symlink(link);
  }
  return {link.string(), std::nullopt};
}

std::string temporary_pattern(const std::string& path) {
  constexpr std::string_view before = ".", after = ".XXXXXX";
  const std::string directory = directory_of(path);
  const long limit = pathconf(directory.c_str(), _PC_NAME_MAX);
  const std::size_t longest_name = limit > 0 ? static_cast<std::size_t>(limit) : 255;
  const std::size_t room = PATH_MAX - 1 - std::min<std::size_t>(directory.size() + 1, PATH_MAX - 1);
  const std::size_t longest = std::max(std::min(longest_name, room), before.size() + after.size());
  std::string name = fs::path(path).filename().string();
  if (std::size_t size = longest - before.size() - after.size(); size < name.size()) {
    while (size > 0 && (name[size] & 0xC0) == 0x80) --size;  // between characters: some file systems refuse a part of one
    name.resize(size);
  }
  return directory + '/' + std::string(before) + name + std::string(after);
}

int open_unnamed_file() {
  std::error_code error;
  const fs::path directory = fs::temp_directory_path(error);
  std::string pattern = ((error ? fs::path("/tmp") : directory) / "infalign.XXXXXX").string();
  const signals_held held;
  const int file = mkstemp(pattern.data());
  if (file >= 0) unlink(pattern.c_str());
  return file;
}

int write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(file, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {  // a pipe that somebody else has made non-blocking
      pollfd ready{file, POLLOUT, 0};
      if (poll(&ready, 1, -1) < 0 && errno != EINTR) return errno;
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

int copy_range(int from, int to, off_t begin, off_t end) {
  std::vector<char> block(std::size_t{1} << 18);
  if (lseek(to, begin, SEEK_SET) < 0) return errno;
  while (begin < end) {
    const ssize_t got =
        pread(from, block.data(), std::min<std::size_t>(block.size(), static_cast<std::size_t>(end - begin)), begin);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got < 0 ? errno : EIO;
    if (const int code = write_all(to, {block.data(), static_cast<std::size_t>(got)})) return code;
    begin += got;
  }
  return 0;
}

int synchronize(int file) {
  if (fsync(file) == 0 || errno == EINVAL || errno == ENOTSUP || errno == ENOSYS) return 0;
  return errno;
}

int synchronize_directory(const std::string& path) {
  const int directory = open(directory_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return 0;
  const int code = synchronize(directory);
  close(directory);
  return code;
}

void copy_permissions(const std::string& path, int file) {
  struct stat about {};
  if (stat(path.c_str(), &about) == 0) {
    if (fchown(file, about.st_uid, about.st_gid) != 0) (void)!fchown(file, static_cast<uid_t>(-1), about.st_gid);
    (void)fchmod(file, about.st_mode & 0777);  // may fail on a file system without permissions, which does no harm
  } else {
    const mode_t mask = umask(0);
    umask(mask);
    (void)fchmod(file, 0666 & ~mask);
  }
}

}  // namespace command
