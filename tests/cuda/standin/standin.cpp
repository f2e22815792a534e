// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <vector>

#include "cuda_runtime.h"

dim3 threadIdx, blockIdx, blockDim, gridDim;
standin::record standin::calls;

namespace infalign::detail {
double cuda_team_memory[64];  // what kernels declare as their dynamic shared memory
}

namespace {

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "CUDA stand-in: %s\n", what);
  std::abort();
}

/// All device memory, in one piece that is closed while the host runs.
class arena {
 public:
  arena() {
    base_ = static_cast<std::byte*>(mmap(nullptr, capacity, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (base_ == MAP_FAILED) fail("no address space for device memory");
    free_[0] = capacity;
  }
  void* allocate(std::size_t bytes) {
    bytes = (bytes + 255) / 256 * 256;
    for (auto place = free_.begin(); place != free_.end(); ++place) {
      const std::size_t offset = place->first;
      const std::size_t size = place->second;
      if (size < bytes) continue;
      free_.erase(place);
      if (size > bytes) free_[offset + bytes] = size - bytes;
      used_[offset] = bytes;
      if (offset + bytes > touched_) touched_ = offset + bytes;
      poison(offset, bytes);
      return base_ + offset;
    }
    return nullptr;
  }
  void deallocate(void* memory) {
    const auto offset = static_cast<std::size_t>(static_cast<std::byte*>(memory) - base_);
    const auto used = used_.find(offset);
    if (used == used_.end()) fail("cudaFreeAsync of what is not allocated");
    poison(offset, used->second);
    auto freed = free_.emplace(offset, used->second).first;
    used_.erase(used);
    const auto next = std::next(freed);
    if (next != free_.end() && freed->first + freed->second == next->first) {
      freed->second += next->second;
      free_.erase(next);
    }
    if (freed != free_.begin() && std::prev(freed)->first + std::prev(freed)->second == freed->first) {
      std::prev(freed)->second += freed->second;
      free_.erase(freed);
    }
    const auto [last, size] = *free_.rbegin();
    if (last + size == capacity) touched_ = last;
  }
  void open(bool on) {
    depth_ += on ? 1 : -1;
    if (depth_ == (on ? 1 : 0) && touched_ > 0) mprotect(base_, page_end(touched_), on ? PROT_READ | PROT_WRITE : PROT_NONE);
  }

 private:
  static constexpr std::size_t capacity = std::size_t{1} << 33;
  static constexpr std::size_t page_end(std::size_t bytes) { return (bytes + 4095) / 4096 * 4096; }

  void poison(std::size_t offset, std::size_t bytes) {
    open(true);
    std::memset(base_ + offset, 0xff, bytes);
    open(false);
  }

  std::byte* base_;
  std::size_t touched_ = 0;
  int depth_ = 0;
  std::map<std::size_t, std::size_t> free_;
  std::map<std::size_t, std::size_t> used_;
};

arena& device() {
  static arena memory;
  return memory;
}

struct barrier {
  unsigned arrived = 0;
};

/// A thread: runs on a stack of its own, comes back to the scheduler at every barrier that others have not reached yet.
struct fiber {
  jmp_buf context;
  std::unique_ptr<char[]> stack;
  unsigned block = 0;   // of the cluster
  unsigned thread = 0;  // of the block
  bool done = false;
  const barrier* waits_for = nullptr;
};

/// One cluster at a time.
class scheduler {
 public:
  cudaError_t run(const cudaLaunchConfig_t& config, const std::function<void()>& thread) {
    const unsigned cluster = config.numAttrs > 0 ? config.attrs[0].val.clusterDim.x : 1;
    if (config.blockDim.x == 0 || config.blockDim.x % 32 != 0 || config.blockDim.x > 1024 || config.gridDim.x == 0 ||
        config.gridDim.x % cluster != 0 || cluster > 8 || config.dynamicSmemBytes > sizeof infalign::detail::cuda_team_memory)
      return cudaErrorInvalidValue;
    const standin::device_access access;
    work_ = &thread;
    gridDim = config.gridDim;
    blockDim = config.blockDim;
    while (fibers_.size() < cluster * blockDim.x) fibers_.push_back(std::make_unique<fiber>());
    for (unsigned first = 0; first < gridDim.x; first += cluster) run_cluster(first, cluster);
    ++launches_;
    return cudaSuccess;
  }

  /// The masks that are used at a time are disjoint: the first lane tells them apart.
  void wait_warp(unsigned mask) {
    const unsigned first = warp_of_cluster() * 32 + static_cast<unsigned>(__builtin_ctz(mask));
    wait(warp_barriers_[first], static_cast<unsigned>(__builtin_popcount(mask)), first / 32 * 32, first / 32 * 32 + 32);
  }
  void wait_block() {
    const unsigned first = current_->block * blockDim.x;
    wait(block_barriers_[current_->block], blockDim.x, first, first + blockDim.x);
  }
  void wait_cluster() { wait(cluster_barrier_, live_, 0, live_); }
  double& shuffled(unsigned lane) { return shuffled_[warp_of_cluster() * 32 + lane]; }
  [[nodiscard]] unsigned lane() const { return current_->thread % 32; }
  [[nodiscard]] unsigned block() const { return current_->block; }

 private:
  static constexpr std::size_t stack_size = 128 << 10;

  /// Goes on when `expected` of the fibers `[begin, end)` have come.
  void wait(barrier& at, unsigned expected, unsigned begin, unsigned end) {
    if (++at.arrived < expected) {
      current_->waits_for = &at;
      yield();
      return;
    }
    at.arrived = 0;
    for (unsigned i = begin; i < end; ++i)
      if (fibers_[i]->waits_for == &at) fibers_[i]->waits_for = nullptr;
  }

  [[nodiscard]] unsigned warp_of_cluster() const { return (current_->block * blockDim.x + current_->thread) / 32; }

  void run_cluster(unsigned first_block, unsigned cluster) {
    live_ = cluster * blockDim.x;
    warp_barriers_.assign(live_, {});
    shuffled_.assign(live_, 0.0);
    block_barriers_.assign(cluster, {});
    shared_.assign(cluster, std::vector<double>(64, std::numeric_limits<double>::quiet_NaN()));
    block_in_memory_ = 0;
    std::memcpy(infalign::detail::cuda_team_memory, shared_[0].data(), sizeof infalign::detail::cuda_team_memory);
    first_block_ = first_block;
    for (unsigned i = 0; i < live_; ++i) {
      fiber& f = *fibers_[i];
      f.block = i / blockDim.x;
      f.thread = i % blockDim.x;
      f.done = false;
      f.waits_for = nullptr;
    }
    // Backwards, or in steps of 37, which has no divisor with a number of threads; a kernel that is launched every second time
    // sees all orders too.
    const auto first_turn = static_cast<unsigned>(launches_ * 2654435761u >> 8) % live_;
    for (unsigned finished = 0; finished < live_;) {
      bool moved = false;
      for (unsigned n = 0; n < live_; ++n) {
        fiber& f = *fibers_[launches_ / 2 % 2 == 0 ? (n * 37 + first_turn) % live_ : live_ - 1 - n];
        if (f.done || f.waits_for != nullptr) continue;
        resume(f);
        moved = true;
        finished += f.done ? 1 : 0;
      }
      if (!moved) fail("some threads wait at a barrier that the others do not come to");
    }
  }

  void resume(fiber& f) {
    current_ = &f;
    threadIdx = f.thread;
    blockIdx = first_block_ + f.block;
    if (f.block != block_in_memory_) change_block(f.block);
    if (!f.stack) start(f);
    if (_setjmp(scheduler_context_) == 0) _longjmp(f.context, 1);
  }

  /// Each block of a cluster finds its own shared memory in the one array.
  void change_block(unsigned block) {
    constexpr std::size_t bytes = sizeof infalign::detail::cuda_team_memory;
    std::memcpy(shared_[block_in_memory_].data(), infalign::detail::cuda_team_memory, bytes);
    std::memcpy(infalign::detail::cuda_team_memory, shared_[block].data(), bytes);
    block_in_memory_ = block;
  }

  void yield() {
    if (_setjmp(current_->context) == 0) _longjmp(scheduler_context_, 1);
  }

  /// A new stack, on which `live` waits for its first turn and then runs a thread of every kernel to come.
  void start(fiber& f) {
    ucontext_t here;
    ucontext_t there;
    f.stack = std::make_unique_for_overwrite<char[]>(stack_size);
    getcontext(&there);
    there.uc_stack.ss_sp = f.stack.get();
    there.uc_stack.ss_size = stack_size;
    there.uc_link = nullptr;
    makecontext(&there, reinterpret_cast<void (*)()>(&scheduler::live), 0);
    back_ = &here;
    swapcontext(&here, &there);
  }
  static void live();

  std::vector<std::unique_ptr<fiber>> fibers_;
  fiber* current_ = nullptr;
  jmp_buf scheduler_context_;
  ucontext_t* back_ = nullptr;
  const std::function<void()>* work_ = nullptr;
  unsigned live_ = 0;
  unsigned first_block_ = 0;
  unsigned block_in_memory_ = 0;
  unsigned long launches_ = 0;
  std::vector<barrier> warp_barriers_;  // by the first lane of the mask
  std::vector<double> shuffled_;
  std::vector<barrier> block_barriers_;
  std::vector<std::vector<double>> shared_;
  barrier cluster_barrier_;
};

scheduler& gpu() {
  static scheduler all;
  return all;
}

void scheduler::live() {
  scheduler& s = gpu();
  fiber& self = *s.current_;
  if (_setjmp(self.context) == 0) setcontext(s.back_);
  for (;;) {
    (*s.work_)();
    self.done = true;
    s.yield();
  }
}

}  // namespace

void __syncthreads() {
  gpu().wait_block();
}
void __syncwarp(unsigned mask) {
  gpu().wait_warp(mask);
}
double __shfl_xor_sync(unsigned mask, double value, int offset) {
  scheduler& s = gpu();
  s.shuffled(s.lane()) = value;
  s.wait_warp(mask);
  const double other = s.shuffled(s.lane() ^ static_cast<unsigned>(offset));
  s.wait_warp(mask);
  return other;
}
unsigned long long atomicMin(unsigned long long* at, unsigned long long value) {
  const unsigned long long before = *at;
  if (value < before) *at = value;
  return before;
}

standin::device_access::device_access() {
  device().open(true);
}
standin::device_access::~device_access() {
  device().open(false);
}
unsigned __clusterRelativeBlockRank() {
  return gpu().block();
}
void __cluster_barrier_wait() {
  gpu().wait_cluster();
}
cudaError_t standin::launch(const cudaLaunchConfig_t& config, const std::function<void()>& thread) {
  ++calls.launches;
  if (calls.next_launch_fails) {
    calls.next_launch_fails = false;
    return cudaErrorInvalidValue;
  }
  return gpu().run(config, thread);
}

cudaError_t cudaGetLastError() {
  return cudaSuccess;
}
const char* cudaGetErrorName(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation" : "cudaErrorInvalidValue";
}
const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "out of memory" : "invalid argument";
}
cudaError_t cudaGetDevice(int* device_number) {
  *device_number = 0;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  *value = attribute == cudaDevAttrMultiProcessorCount ? 2 : attribute == cudaDevAttrL2CacheSize ? 1 << 20 : 9;
  return cudaSuccess;
}
cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t) {
  ++standin::calls.allocations;
  if (standin::calls.allocations_before_failure >= 0 && standin::calls.allocations_before_failure-- == 0)
    return cudaErrorMemoryAllocation;
  *memory = device().allocate(bytes);
  return *memory == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
cudaError_t cudaFreeAsync(void* memory, cudaStream_t) {
  device().deallocate(memory);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t) {
  const standin::device_access open;
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t) {
  const standin::device_access open;
  std::memset(memory, value, bytes);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) {
  ++standin::calls.synchronizations;
  return cudaSuccess;
}
