// SPDX-License-Identifier: Apache-2.0
/// \file
/// Runs a fuzz target without libFuzzer: on the files of its corpus, then on inputs that follow from a fixed seed. Half of these are
/// bytes at random, half are files of the corpus with a few changes. The input that ends the target, or takes more than ten seconds, is
/// printed, to be kept by `echo BYTES | xxd -r -p >FILE`.
///
///     objective_fuzz CORPUS NUMBER
#include <sys/time.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

namespace {

using bytes = std::vector<std::uint8_t>;

std::vector<bytes> files_of(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<bytes> contents;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    contents.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return contents;
}

class generator {
 public:
  explicit generator(std::vector<bytes> corpus) : corpus_(std::move(corpus)) {}

  bytes next() {
    if (corpus_.empty() || below(2) == 0) return random_bytes(below(4) == 0 ? below(512) : below(64));
    bytes input = corpus_[below(corpus_.size())];
    for (std::size_t changes = 1 + below(4); changes > 0; --changes) change(input);
    return input;
  }

 private:
  std::size_t below(std::size_t n) { return n == 0 ? 0 : engine_() % n; }
  std::uint8_t byte() { return static_cast<std::uint8_t>(engine_()); }
  bytes random_bytes(std::size_t n) {
    bytes result(n);
    for (auto& b : result) b = byte();
    return result;
  }
  void change(bytes& input) {
    const auto at = static_cast<std::ptrdiff_t>(below(input.size() + 1));
    const auto end = at + static_cast<std::ptrdiff_t>(below(input.size() + 1 - static_cast<std::size_t>(at)));
    switch (below(4)) {
      case 0: input.insert(input.begin() + at, byte()); break;
      case 1: input.erase(input.begin() + at, input.begin() + std::min(end, at + 3)); break;
      case 2: {  // what another file has
        const bytes& other = corpus_[below(corpus_.size())];
        const auto from = static_cast<std::ptrdiff_t>(below(other.size() + 1));
        input.insert(input.begin() + at, other.begin() + from, other.end());
        break;
      }
      default:
        if (at < static_cast<std::ptrdiff_t>(input.size())) input[static_cast<std::size_t>(at)] = byte();
    }
  }

  std::vector<bytes> corpus_;
  std::mt19937_64 engine_{1};
};

const bytes* current = nullptr;

void print_current(int) {
  std::fputs("the input: ", stderr);
  for (const std::uint8_t b : *current) std::fprintf(stderr, "%02x", b);
  std::fputc('\n', stderr);
}

/// No input takes more processor time than this.
constexpr itimerval ten_seconds{{0, 0}, {10, 0}};

void print_timeout(int) {
  std::fputs("more than ten seconds for one input\n", stderr);
  print_current(0);
  std::_Exit(1);
}

void run(const bytes& input) {
  current = &input;
  setitimer(ITIMER_PROF, &ten_seconds, nullptr);
  LLVMFuzzerTestOneInput(input.data(), input.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::cerr << "usage: " << argv[0] << " CORPUS NUMBER\n", 2;
  const std::vector<bytes> corpus = files_of(argv[1]);
  std::signal(SIGABRT, print_current);
  std::signal(SIGPROF, print_timeout);
  for (const bytes& input : corpus) run(input);
  generator inputs(corpus);
  const long number = std::stol(argv[2]);
  for (long i = 0; i < number; ++i) run(inputs.next());
  std::cout << corpus.size() << " files and " << number << " other inputs\n";
}
