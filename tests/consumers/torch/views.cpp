// SPDX-License-Identifier: Apache-2.0
// Tensors of another project as views: values, types, and what is refused.
#include <ATen/DLConvertor.h>
#include <torch/torch.h>

#include <cstdio>
#include <infalign/infalign.hpp>
#include <infalign/interop/dlpack.hpp>
#include <infalign/interop/torch.hpp>
#include <string>

namespace {

int failures = 0;
void check(bool holds, const std::string& what) {
  if (holds) return;
  ++failures;
  std::printf("FAILED: %s\n", what.c_str());
}

template <class Call>
void check_message(const std::string& expected, Call&& call) {
  std::string said = "nothing thrown";
  try {
    infalign::torch_errors(call);
  } catch (const c10::ValueError& e) {
    said = e.what_without_backtrace();
  }
  check(said.find(expected) != std::string::npos, "\"" + said + "\" does not say \"" + expected + "\"");
}

}  // namespace

int main() {
  using infalign::as_rows;
  const at::Tensor matrix = torch::arange(12, at::kFloat).reshape({3, 4});
  const auto rows = as_rows<float>(matrix);
  rows[1][2] = 60;
  check(matrix[1][2].item<float>() == 60, "a view writes the tensor's memory");
  check(as_rows<const float>(matrix.slice(1, 1, 3))[2][1] == 10, "a slice of columns");
  check(infalign::as_span<const float>(matrix[2])[3] == 11, "a row is a span");

  const at::Tensor batch = torch::arange(2 * 5 * 3, at::kDouble).reshape({2, 5, 3});
  const auto tokens = infalign::as_token_rows<const double>(batch.slice(1, 1, 4));
  check(tokens.size() == 6 && tokens[3][0] == 18 && tokens[5][2] == 26, "logits[:, 1:-1] of a batch");
  check(infalign::as_token_rows<const double>(batch.transpose(0, 1))[1][0] == 15, "a batch the other way round");
  DLManagedTensor* const exported = at::toDLPack(batch.slice(1, 1, 4));  // as PyTorch hands it to others
  const auto by_dlpack = infalign::as_token_rows<const double>(exported->dl_tensor);
  check(by_dlpack.size() == 6 && by_dlpack[3][0] == 18 && &by_dlpack[0][0] == &tokens[0][0], "the same batch by DLPack");
  check_message("as_rows: the tensor has type float64, must be float32", [&] { as_rows<float>(exported->dl_tensor); });
  exported->deleter(exported);
  check(infalign::as_token_ids(torch::tensor({{5, 6}, {7, 8}}, at::kLong))[2] == 7, "ids of 64 bits");
  check(infalign::as_token_ids(torch::tensor({5, 6}, at::kInt))[1] == 6, "ids of 32 bits");
  const at::Tensor wide = torch::tensor({1.5F, -2.0F}).to(at::kBFloat16), narrow = wide.to(at::kHalf);
  check(float(infalign::as_span<const infalign::bfloat16>(wide)[1]) == -2, "bfloat16");
  check(float(infalign::as_span<const infalign::half>(narrow)[0]) == 1.5F, "half");
  std::size_t width = 0;
  infalign::with_element_type(wide, [&]<class T>(std::type_identity<T>) { width = sizeof(T); });
  check(width == 2, "the type of the elements");

  check_message("as_rows: the tensor has type Double, must be Float", [&] { as_rows<float>(batch[0]); });
  check_message("as_rows: the tensor has 3 dimensions, must have 2 dimensions", [&] { as_rows<double>(batch); });
  check_message("as_rows: dimension 1 has stride 4, values must lie next to each other", [&] { as_rows<float>(matrix.t()); });
  check_message("as_rows: rows of 4 values lie 0 apart, they must not overlap", [&] {
    as_rows<float>(matrix[0].expand({3, 4}));
  });
  check_message("as_rows: the tensor lies on meta", [&] { as_rows<float>(matrix.to(at::kMeta)); });
  check_message("as_rows: the tensor is undefined", [&] { as_rows<float>(at::Tensor()); });
  check_message("as_token_span: the tensor is not contiguous", [&] { infalign::as_token_span<float>(matrix.slice(1, 0, 2)); });
  check_message("as_token_ids: the tensor has type Float, must be Long", [&] { infalign::as_token_ids(matrix[0]); });
  check_message("with_element_type: the tensor has type Long",
                [&] { infalign::with_element_type(torch::zeros({1}, at::kLong), [](auto) {}); });
  infalign::simd on(infalign::torch_threads{});
  at::Tensor calibrated = torch::empty({3, 4});
  check_message("rewards[1][0] is nan", [&] {
    at::Tensor rewards = matrix.clone();
    rewards[1][0] = std::nan("");
    infalign::calibrate(on, as_rows<const float>(matrix), as_rows<const float>(rewards), as_rows<float>(calibrated));
  });
  infalign::calibrate(on, as_rows<const float>(matrix), as_rows<const float>(matrix), as_rows<float>(calibrated));
  check(calibrated[0].equal(torch::tensor({0.125F, 0.375F, 0.625F, 0.875F})), "calibrated by PyTorch's threads");
  std::puts(failures == 0 ? "views of tensors: all as they must be" : "views of tensors: see above");
  return failures == 0 ? 0 : 1;
}
