// SPDX-License-Identifier: Apache-2.0
// A DLPack tensor, as PyTorch, JAX or CuPy hand it out, as a view without a copy: each row is a prompt. Nothing of a framework is included.
#include <cstdint>
#include <cstdio>
#include <infalign/infalign.hpp>
#include <infalign/interop/dlpack.hpp>
#include <vector>

struct DLTensor {  // as in dlpack.h; any copy of it will do
  void* data;
  struct {
    int32_t device_type, device_id;
  } device;
  int32_t ndim;
  struct {
    uint8_t code, bits;
    uint16_t lanes;
  } dtype;
  int64_t *shape, *strides;
  uint64_t byte_offset;
};

int main() {
  std::vector<float> memory{0, 1, 2, 3, 4, 9, 0, 10, 20, 30, 40, 9};  // two prompts in rows of six
  int64_t shape[] = {2, 4}, strides[] = {6, 1};
  const DLTensor base{memory.data(), {1, 0}, 2, {2, 32, 1}, shape, strides, sizeof(float)};  // columns 1 to 4
  const std::vector<float> rewards{2.5F, 5};
  std::vector<float> calibrated(2);
  infalign::simd on;
  infalign::calibrate(on, infalign::as_rows<const float>(base), infalign::rows<const float>(rewards.data(), 2, 1),
                      infalign::rows<float>(calibrated.data(), 2, 1));
  std::printf("calibrated %.2f %.2f; ", calibrated[0], calibrated[1]);
  try {
    infalign::as_rows<const double>(base);
  } catch (const infalign::domain_error& e) {
    std::printf("refused: %s\n", e.what());
    return calibrated[0] == 0.5F && calibrated[1] == 0 ? 0 : 1;  // two of four below; none
  }
  return 1;
}
