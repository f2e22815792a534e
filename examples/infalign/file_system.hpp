// SPDX-License-Identifier: Apache-2.0
/// \file
/// What output needs of the file system. Functions return the system's error code, 0 for success, unless they say otherwise.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

namespace command {

/// Follows symbolic links, also to a file that does not exist yet, up to what is no link. /dev/stdout, /dev/fd/3 and links to them
/// are descriptors of this program: then the number is set, and the path is what is left.
struct resolved_path {
  std::string path;
  std::optional<int> descriptor;
};
resolved_path resolve(const std::string& path);

/// A pattern for `mkstemp` in the directory of `path`: ".NAME.XXXXXX". NAME is shortened where the file system or the system would
/// refuse the name for its length.
std::string temporary_pattern(const std::string& path);

/// A file for reading and writing in the directory for temporary files, which is gone as soon as it is closed; -1 and `errno`
/// otherwise.
int open_unnamed_file();

/// Writes all of `text` where the offset of `file` is; waits where writing would block.
int write_all(int file, std::string_view text);

/// Copies `from[begin, end)` to the same place of `to`.
int copy_range(int from, int to, off_t begin, off_t end);

/// Waits until the content of the file is on the disk. A file system that knows no such thing has no error.
int synchronize(int file);
/// The same for the directory of `path`, so that the name is there after a loss of power. One that cannot be opened is left alone.
int synchronize_directory(const std::string& path);

/// Gives `file` the owner and the permissions of `path`, as far as that is allowed; if there is no such file, the permissions of a
/// new one.
void copy_permissions(const std::string& path, int file);

}  // namespace command
