// SPDX-License-Identifier: Apache-2.0
/// \file
/// The program as its users run it: real files in a directory of their own, a shell, what it prints, and its exit code.
#pragma once

#include <simdjson.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace infalign::test {

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct outcome {
  int code;
  std::string out;
  std::string err;
};

/// A directory that goes away with it; commands run inside, so that files are named as a user names them.
class work_directory {
 public:
  work_directory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "infalign_command.XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  work_directory(const work_directory&) = delete;
  work_directory& operator=(const work_directory&) = delete;
  ~work_directory() { std::filesystem::remove_all(path_); }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  void write(const std::string& name, const std::string& text) const { std::ofstream(path_ / name, std::ios::binary) << text; }
  [[nodiscard]] std::string read(const std::string& name) const { return read_file(path_ / name); }
  [[nodiscard]] bool has(const std::string& name) const { return std::filesystem::exists(path_ / name); }
  /// The names of everything in it, hidden files too.
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) found.push_back(entry.path().filename().string());
    std::sort(found.begin(), found.end());
    return found;
  }

  /// `infalign arguments`, by the shell; `$infalign` is the program in what else the shell is given.
  [[nodiscard]] outcome infalign(const std::string& arguments) const { return shell("\"$infalign\" " + arguments); }
  [[nodiscard]] outcome shell(const std::string& command) const {
    const auto logs = std::filesystem::temp_directory_path() / (path_.filename().string() + ".logs");
    std::filesystem::create_directories(logs);
    const std::string all = "cd '" + path_.string() + "' && infalign='" INFALIGN_COMMAND "' && ( " + command + " ) >'" +
                            (logs / "out").string() + "' 2>'" + (logs / "err").string() + "'";
    const int status = std::system(all.c_str());
    const outcome result{WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(logs / "out"), read_file(logs / "err")};
    std::filesystem::remove_all(logs);
    return result;
  }

 private:
  std::filesystem::path path_;
};

/// JSON that must be valid: a failure to read throws, and fails the test.
class json_document {
 public:
  explicit json_document(const std::string& text) : text_(text) { root_ = parser_.parse(text_); }
  [[nodiscard]] simdjson::dom::element operator[](const char* key) const { return root_[key]; }
  /// Of an array.
  [[nodiscard]] std::size_t size() const { return root_.get_array().value().size(); }
  [[nodiscard]] double number(const char* key) const { return root_[key]; }
  [[nodiscard]] std::vector<double> numbers(const char* key) const {
    std::vector<double> found;
    for (const double value : root_[key].get_array()) found.push_back(value);
    return found;
  }
  /// The keys in their order.
  [[nodiscard]] std::vector<std::string> keys() const {
    std::vector<std::string> found;
    for (const auto& field : root_.get_object()) found.emplace_back(field.key);
    return found;
  }

 private:
  simdjson::padded_string text_;
  simdjson::dom::parser parser_;
  simdjson::dom::element root_;
};

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> found;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) found.push_back(line);
  return found;
}

}  // namespace infalign::test
