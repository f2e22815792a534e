# SPDX-License-Identifier: Apache-2.0
"""TRL's GRPOTrainer, with its own loss and with infalign's in its place."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import torch
from datasets import Dataset
from infalign.torch import policy_loss
from transformers import PreTrainedTokenizerFast
from transformers.trainer_callback import PrinterCallback
from trl import GRPOConfig, GRPOTrainer


class LibraryLossTrainer(GRPOTrainer):
    """GRPOTrainer whose loss and gradient are those of ``infalign.torch.policy_loss``, for the loss types ``grpo`` and ``dr_grpo``."""

    def _compute_loss(self, model: Any, inputs: dict) -> torch.Tensor:
        if self.loss_type not in ("grpo", "dr_grpo"):
            raise ValueError(f"LibraryLossTrainer: loss_type is {self.loss_type!r}, must be grpo or dr_grpo")
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
        attention = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
        rows, length = inputs["completion_ids"].shape
        logits = model(input_ids=ids, attention_mask=attention, logits_to_keep=length + 1).logits[:, :-1]
        loss, known = policy_loss(
            logits,
            inputs["completion_ids"],
            inputs["advantages"],
            mask=inputs["completion_mask"].float(),
            old_log_prob=inputs.get("old_per_token_logps"),
            base_log_prob=inputs.get("ref_per_token_logps"),
            preset=f"trl.{self.loss_type}",
            epsilon_low=self.epsilon_low,
            epsilon_high=self.epsilon_high,
            kl=self.beta,
            temperature=self.temperature,
            aggregation=float(rows * self.max_completion_length) if self.loss_type == "dr_grpo" else None,
            return_statistics=True,
        )
        entropy = known.entropy.sum() / inputs["completion_mask"].sum()
        self._metrics["train" if self.model.training else "eval"]["entropy"].append(entropy.item())
        return loss / (self.current_gradient_accumulation_steps if self.model.training else 1)


@dataclass(frozen=True)
class Schedule:
    steps: int
    batch: int  # completions a step
    generations: int  # completions a prompt
    completion: int  # tokens at most
    rate: float


# What keeps the scale of reward and KL that infalign.plan and infalign.evaluate speak of: advantages that are not divided by their
# deviation, and a loss whose divisor does not depend on the length of a completion.
PLANNED = {"scale_rewards": "none", "loss_type": "dr_grpo"}


def make_trainer(
    kind: type[GRPOTrainer],
    base: Path,
    tokenizer: PreTrainedTokenizerFast,
    data: Dataset,
    reward: Callable[..., list[float]],
    schedule: Schedule,
    output: Path,
    seed: int,
    on_cpu: bool,
    **settings: Any,
) -> GRPOTrainer:
    """``settings`` are those of GRPOConfig; the base policy is given by its path, from which TRL reads the reference model as well."""
    config = GRPOConfig(
        output_dir=str(output),
        model_init_kwargs={"dtype": "float32"},
        use_cpu=on_cpu,
        bf16=False,  # TRL's defaults need a processor, or a GPU, that has bfloat16; these sizes gain nothing from it
        gradient_checkpointing=False,
        dataloader_pin_memory=not on_cpu,
        per_device_train_batch_size=schedule.batch,
        num_generations=schedule.generations,
        max_completion_length=schedule.completion,
        max_steps=schedule.steps,
        learning_rate=schedule.rate,
        lr_scheduler_type="linear",
        warmup_steps=max(1, schedule.steps // 20),
        report_to="none",
        logging_steps=10,
        save_strategy="no",
        disable_tqdm=True,
        seed=seed,
        **settings,
    )
    trainer = kind(model=str(base), reward_funcs=reward, args=config, train_dataset=data, processing_class=tokenizer)
    trainer.remove_callback(PrinterCallback)
    return trainer


def peak_memory() -> float:
    """The most that the process held since ``forget_peak``, in MiB; NaN where /proc does not say."""
    try:
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    except (OSError, StopIteration):
        return float("nan")


def forget_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def train(trainer: GRPOTrainer) -> dict[str, float]:
    """Trains; returns the seconds of a step, without the first one, and the peak memory."""
    times: list[float] = []
    step = trainer.training_step

    def timed(*arguments: Any) -> torch.Tensor:
        begun = time.perf_counter()
        loss = step(*arguments)
        times.append(time.perf_counter() - begun)
        return loss

    trainer.training_step = timed
    forget_peak()
    trainer.train()
    trainer.training_step = step
    trainer.model.eval()
    after = times[1:] or times
    return {"seconds_a_step": sum(after) / len(after), "peak_mib": peak_memory()}


def next_batch(trainer: GRPOTrainer) -> dict:
    """A batch as the loss gets it: completions of the policy as it is now, with their advantages."""
    trainer.model.train()
    trainer._buffered_inputs = None
    return trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))


def compare_losses(trainer: LibraryLossTrainer, inputs: dict, repeats: int = 3) -> dict[str, float]:
    """The two losses of a batch, how far apart their gradients are, and the seconds that each takes with the model.

    ``gradient_error``: the largest difference of an entry, over the largest entry of TRL's gradient.
    """
    model, found, seconds = trainer.model, [], []
    trainer.current_gradient_accumulation_steps = 1
    for loss_of in (GRPOTrainer._compute_loss, LibraryLossTrainer._compute_loss):
        best = float("inf")
        for _ in range(repeats):
            model.zero_grad()
            begun = time.perf_counter()
            loss = loss_of(trainer, model, inputs)
            loss.backward()
            best = min(best, time.perf_counter() - begun)
        found.append((loss.item(), torch.cat([p.grad.flatten() for p in model.parameters()])))
        seconds.append(best)
    model.zero_grad()
    (theirs, gradient), (ours, other) = found
    error = ((gradient - other).abs().max() / gradient.abs().max()).item()
    return {"trl_loss": theirs, "library_loss": ours, "gradient_error": error, "trl_seconds": seconds[0], "library_seconds": seconds[1]}
