# SPDX-License-Identifier: Apache-2.0
"""The stages of the run: what is prepared, what is foretold, what is trained and measured, and the comparison."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Optional

import infalign
import numpy as np
import torch
from datasets import Dataset
from gradient_noise import batch_gradients, signal_to_noise
from held_out import PROCEDURES, Evaluation, HeldOut, Method, foretold, matched_difference, planned, reached_by_all
from language_model import new_model, pre_train, sample
from options import COMPLETION, FIRST_ORDER, GENERATIONS, PROMPT, TRANSFORMS
from policy_training import PLANNED, GRPOTrainer, LibraryLossTrainer, Schedule, compare_losses, make_trainer, next_batch, train
from reward_model import Brevity, Score, calibrated_reward, raw_reward, train_reward_model
from text_data import encode, read_records, train_tokenizer
from transformers import PreTrainedTokenizerFast

Say = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    tokenizer: PreTrainedTokenizerFast
    base: Path
    score: Score
    #: (P, K) rewards of the base policy for the training prompts, as `score` gives them
    references: np.ndarray
    #: the unit of the raw reward: the mean deviation of a prompt's references
    scale: float
    data: Dataset
    held_out: HeldOut
    facts: dict[str, Any]

    def reward(self, transform: Optional[str]) -> Callable[..., list[float]]:
        """The reward function of GRPOTrainer: calibrated and transformed, or as it is for None."""
        pad = self.tokenizer.pad_token_id
        if transform is None:
            return raw_reward(self.score, pad, self.scale)
        return calibrated_reward(self.score, pad, transform)


def prepare(o: argparse.Namespace, say: Say) -> Prepared:
    """Trains tokenizer, base policy and reward model, each on text of its own; draws the references, once for all training."""
    torch.manual_seed(o.seed)
    source, texts = read_records(o.text)
    tokenizer = train_tokenizer(texts, o.vocabulary)
    records = encode(texts, tokenizer, PROMPT, COMPLETION, o.seed)
    apart = o.reward_pairs + o.train_prompts + o.held_out
    if len(records) < 2 * apart:
        raise SystemExit(f"examples/trl: {source} has {len(records)} records of more than {PROMPT + 2} tokens, needs {2 * apart}")
    pairs = records[: o.reward_pairs]
    prompts = records[o.reward_pairs : o.reward_pairs + o.train_prompts].prompts
    held = records[o.reward_pairs + o.train_prompts : apart].prompts

    base = new_model(tokenizer, o.width, o.layers, PROMPT + COMPLETION).to(o.device)
    facts = dict(text=source, records=len(records), vocabulary=len(tokenizer), parameters=base.num_parameters())
    facts["threads"] = torch.get_num_threads()
    say(f"{source}: {len(records)} records, {len(tokenizer)} tokens; {base.num_parameters():,} parameters; {facts['threads']} threads")
    facts["nats_a_token"] = pre_train(base, records[apart:], o.pre_train, batch=128, rate=3e-3, seed=o.seed)
    say(f"base policy: {facts['nats_a_token']:.3f} nats a token")
    base.save_pretrained(o.output / "base")
    tokenizer.save_pretrained(o.output / "base")

    if o.reward == "learned":
        samples = sample(base, pairs.prompts, 1, COMPLETION, o.seed + 10)
        model, facts["reward_accuracy"] = train_reward_model(base, pairs, samples, o.reward_steps, 64, o.seed)
        score = model.score
        say(f"reward model (Bradley-Terry, a real completion against a sample): accuracy {facts['reward_accuracy']:.3f}")
    else:
        score = Brevity(tokenizer.pad_token_id).score
    references = score(prompts, sample(base, prompts, o.references, COMPLETION, o.seed + 20))
    facts["reward_scale"] = scale = float(references.std(axis=1, ddof=1).mean())
    say(f"{o.train_prompts} prompts with {o.references} references; the raw reward is in units of their deviation, {scale:.3f}")
    columns = {"prompt": tokenizer.batch_decode(prompts), "prompt_tokens": prompts.tolist(), "base_rewards": references.tolist()}
    held_out = HeldOut(base, score, held, o.samples, COMPLETION, o.seed + 30)
    return Prepared(tokenizer, o.output / "base", score, references, scale, Dataset.from_dict(columns), held_out, facts)


def forecast(o: argparse.Namespace, prepared: Prepared, say: Say) -> list[tuple[Method, dict]]:
    """Every method with its β and with what the optimal policy would reach; printed."""
    in_units = prepared.references / prepared.scale
    for procedure, transform in TRANSFORMS.items():
        print(infalign.plan(procedure, kl=list(o.grid[transform]), transforms=["identity", transform]))
    methods = [(m, foretold(in_units, m)) for m in planned(in_units, o.grid, TRANSFORMS)]
    for method, told in methods:
        wins = ", ".join(f"{p} {told[p]['value']:.3f}" for p in PROCEDURES)
        doubt = f" ({told[PROCEDURES[0]]['doubt']})" if told[PROCEDURES[0]]["doubt"] else ""
        say(f"foretold: {method.name:16} beta {method.beta:.4g}: KL {told['kl']['value']:.3f}, {wins}{doubt}")
    return methods


def noise(o: argparse.Namespace, prepared: Prepared, say: Say) -> dict[str, dict]:
    """How much of a step's gradient is signal at the base policy, for every reward and FIRST_ORDER; printed."""
    base, rng = prepared.held_out.base, np.random.default_rng(o.seed)
    transforms = [*o.grid, FIRST_ORDER]
    prompts, rewards = np.asarray(prepared.data["prompt_tokens"]), [prepared.reward(t) for t in transforms]
    gradients = np.empty((o.noise, len(rewards), base.num_parameters()), np.float32)
    for batch, gradient in enumerate(gradients):
        rows = rng.choice(len(prompts), o.batch // GENERATIONS, replace=False)
        seed = o.seed + 1000 + batch
        gradient[:] = batch_gradients(base, prompts[rows], prepared.references[rows], rewards, GENERATIONS, COMPLETION, seed)
    found = signal_to_noise(gradients)
    named = {}
    for i, transform in enumerate(transforms):
        name = transform or "raw reward"
        named[name] = {key: values[i].tolist() for key, values in found.items() if np.isfinite(values[i]).all()}
        shown = {key: f"{value:.3g} ± {1.96 * error:.2g}" for key, (value, error) in named[name].items()}
        same = f" ({shown['relative']} of the raw reward's; cosine {shown['cosine']} to its direction)" if i > 0 and len(shown) == 3 else ""
        say(f"signal to noise of a step: {name:16} {shown['ratio']}{same}")
    return named


@dataclass
class Runs:
    """Trains policies, and measures each on the held-out prompts."""

    o: argparse.Namespace
    prepared: Prepared
    say: Say
    records: list[dict] = field(default_factory=list)
    evaluations: dict[str, list[Evaluation]] = field(default_factory=dict)

    def run(self, label: str, method: Method, kind: type = GRPOTrainer, told: Optional[dict] = None, **settings: Any) -> GRPOTrainer:
        p, reward = self.prepared, self.prepared.reward(method.transform)
        schedule = Schedule(self.o.steps, self.o.batch, GENERATIONS, COMPLETION, self.o.rate)
        on_cpu = self.o.device == "cpu"
        trainer = make_trainer(kind, p.base, p.tokenizer, p.data, reward, schedule, self.o.output / "runs", self.o.seed, on_cpu, **settings)
        cost = train(trainer)
        evaluation = p.held_out.evaluate(trainer.model)
        self.evaluations.setdefault(label, []).append(evaluation)
        record = dict(label=label, beta=trainer.beta, wanted_kl=method.wanted, foretold=told, measured=evaluation.summary(), **cost)
        self.records.append(record)
        shown = {k: f"{v['value']:.3f} ± {1.96 * v['standard_error']:.3f}" for k, v in record["measured"].items()}
        wins = ", ".join(f"{name} {shown[name]}" for name in PROCEDURES)
        self.say(f"{label:28} beta {trainer.beta:.4g}: KL {shown['kl']}, {wins}; {cost['seconds_a_step']:.2f} s a step")
        return trainer

    def run_all(self, methods: list[tuple[Method, dict]]) -> Optional[dict[str, float]]:
        """The grid; a run with TRL's own loss type, scale and β; and one with infalign's loss, which gives what the two losses cost."""
        self.say(f"settings: {PLANNED}, temperature 1, {self.o.steps} steps of {self.o.batch} completions, learning rate {self.o.rate:g}")
        for method, told in methods:
            self.run(method.name, method, told=told, beta=method.beta, **PLANNED)
        self.run("raw reward, TRL's defaults", methods[0][0])
        if self.o.device != "cpu":
            self.say("infalign's loss is not run: it needs tensors on the CPU")
            return None
        ours = [i for i, (m, _) in enumerate(methods) if m.transform == TRANSFORMS["best_of:4"]]
        middle = ours[len(ours) // 2]
        method, theirs = methods[middle][0], self.records[middle]
        trainer = self.run(f"{method.name}, infalign's loss", method, LibraryLossTrainer, beta=method.beta, **PLANNED)
        losses = compare_losses(trainer, next_batch(trainer))
        for key in ("seconds_a_step", "peak_mib"):
            losses |= {f"trl_{key}": theirs[key], f"library_{key}": self.records[-1][key]}
        self.say("the two losses: " + ", ".join(f"{k} {v:.4g}" for k, v in losses.items()))
        return losses

    def differences(self) -> list[dict]:
        """At the largest KL that both methods reach, and at half of it."""
        found = []
        for procedure, transform in TRANSFORMS.items():
            ours, raw = self.evaluations[transform], self.evaluations["raw reward"]
            for part in (0.5, 1.0):
                kl = part * reached_by_all(ours, raw)
                d = matched_difference(ours, raw, procedure, kl)
                found.append(dict(procedure=procedure, transform=transform, kl=kl, value=d.value, interval=d.interval))
                low, high = d.interval
                self.say(f"{procedure} at KL {kl:.3f}: {transform} less raw reward {d.value:+.4f}, 95 % {low:+.4f} ... {high:+.4f}")
        return found
