// SPDX-License-Identifier: Apache-2.0
// A LibTorch training loop whose loss and gradient come from here. It checks the first gradient against autograd and is a test.
#include <torch/torch.h>

#include <cstdio>
#include <infalign/infalign.hpp>
#include <infalign/interop/torch.hpp>

/// The mean clipped surrogate over tokens, with its gradient kept from the forward pass.
struct policy_loss : torch::autograd::Function<policy_loss> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& logits, const at::Tensor& tokens,
                            const at::Tensor& advantages, const at::Tensor& old_log_prob) {
    const at::Tensor gradient = at::empty_like(logits), losses = at::empty(tokens.sizes());
    infalign::torch_errors([&] {
      infalign::with_element_type(logits, [&]<class T>(std::type_identity<T>) {
        infalign::simd on(infalign::torch_threads{});
        policy_gradient(on, infalign::clipped_surrogate(0.2, 0.2),
                        infalign::token_logits<T>{infalign::as_token_rows<const T>(logits), {}, infalign::as_token_ids(tokens)},
                        infalign::token_data(infalign::as_token_span<const float>(advantages),
                                             infalign::as_token_span<const float>(old_log_prob)),
                        {.scale = 1.0 / static_cast<double>(tokens.numel())},
                        infalign::token_statistics<float>{.loss = infalign::as_token_span<float>(losses)},
                        infalign::as_token_rows<T>(gradient));
      });
    });
    context->save_for_backward({gradient});
    return losses.mean();
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& by_loss) {
    return {context->get_saved_variables()[0] * by_loss[0], {}, {}, {}};
  }
};

int main() {
  torch::manual_seed(1);
  const at::Tensor logits = torch::randn({2, 6, 50}).requires_grad_(), tokens = torch::randint(50, {2, 6}),
                   advantages = torch::randn({2, 6});
  const auto log_prob = [&] { return logits.log_softmax(-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1); };
  const at::Tensor old_log_prob = log_prob().detach() + 0.3 * torch::randn({2, 6});
  const at::Tensor ratio = (log_prob() - old_log_prob).exp();
  (-at::min(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages)).mean().backward();
  const at::Tensor expected = logits.grad().clone();

  torch::optim::SGD optimizer({logits}, 5.0);
  double first = 0, last = 0, difference = 0;
  for (int step = 0; step < 20; ++step) {
    optimizer.zero_grad();
    const at::Tensor loss = policy_loss::apply(logits, tokens, advantages, old_log_prob);
    loss.backward();
    if (step == 0) first = loss.item<double>(), difference = (logits.grad() - expected).abs().max().item<double>();
    last = loss.item<double>();
    optimizer.step();
  }
  std::printf("loss %.4f -> %.4f; the first gradient differs from autograd's by %.1e\n", first, last, difference);
  return difference <= 1e-7 && last < first - 0.05 ? 0 : 1;
}
