#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes trainer_values.hpp: losses, gradients and advantages by the trainers' own functions, which the presets must equal.

    python -m venv venv && venv/bin/pip install torch==2.13.0 numpy && venv/bin/pip install trl==1.16.0 liger-kernel==0.8.5
    git clone https://github.com/volcengine/verl && git -C verl checkout b178a3cd56f58b2d502255daba591e92833930a7
    git clone https://github.com/OpenRLHF/OpenRLHF && git -C OpenRLHF checkout 3c3be6234e0cb353e76bb8019947db9dfe99fca7
    venv/bin/python tests/objective/make_trainer_values.py verl OpenRLHF

Methods of TRL's trainers are called on an object that has the attributes that they read; the model's log-probabilities are the leaf that
is differentiated. Of verl and OpenRLHF one file each is executed, with stand-ins for what it imports and the loss functions do not call.
All in double.
"""

import collections
import inspect
import math
import pathlib
import sys
import types

import numpy
import torch

VERL, OPENRLHF = map(pathlib.Path, sys.argv[1:])

# Six responses of up to four tokens. Row by row: ordinary, ratios beyond every clamp, all masked, one token, no advantage, padded left.
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1]], dtype=torch.float64)
ADVANTAGES = torch.tensor([0.75, -1.5, 2.0, 1.25, 0.0, -0.5], dtype=torch.float64)
OLD = -torch.tensor(
    [[1.5, 2, 0.25, 3], [30.5, 1.5, 26, 1], [1, 1, 1, 1], [2, 4, 4, 4], [0.5, 0.75, 3, 3], [1, 1, 2.5, 0.75]], dtype=torch.float64
)
RATIO = torch.tensor(
    [[0.0, 0.125, -0.375, 0.25], [27, -0.5, 22.5, 1], [3, 3, 3, 3], [0.3125, 1, 1, 1], [0.5, -0.5, 0, 0], [2, 2, 1.25, 0.25]],
    dtype=torch.float64,
)
REF = OLD + torch.tensor(
    [[0.25, 0.5, -0.25, 0.125], [3, -24, 0.5, 1], [5, 5, 5, 5], [-0.5, 1, 1, 1], [0.25, 0, 0, 0], [1, 1, -0.75, 1.5]],
    dtype=torch.float64,
)
LP = OLD + RATIO


def run(loss):
    lp = LP.clone().requires_grad_()
    value = loss(lp)
    value.backward()
    return value.item(), lp.grad


# ---- TRL --------------------------------------------------------------------------------------------------------------------------


class everything:
    """Stands for what is imported and not called."""

    def __getattr__(self, name):
        return everything()

    def __call__(self, *args, **kwargs):
        return args[0] if args and callable(args[0]) else everything()


def accelerator():
    return types.SimpleNamespace(num_processes=1, reduce=lambda x, reduction: x, gather=lambda x: x, gather_for_metrics=lambda x: x)


def trl_loss(loss_type, level="token", beta=0.0, correction=True, delta=None, high=None):
    from trl.trainer.grpo_trainer import GRPOTrainer

    def of(lp):
        args = types.SimpleNamespace(
            delta=delta,
            use_bias_correction_kl=correction,
            sapo_temperature_pos=1.0,
            sapo_temperature_neg=1.05,
            vespo_k_pos=2.0,
            vespo_lambda_pos=3.0,
            vespo_k_neg=3.0,
            vespo_lambda_neg=2.0,
            steps_per_generation=1,
        )
        trainer = types.SimpleNamespace(
            _get_per_token_logps_and_entropies=lambda *a, **k: (lp, torch.zeros_like(lp), None),
            aux_loss_enabled=False,
            top_entropy_quantile=1.0,
            off_policy_mask_threshold=None,
            importance_sampling_level=level,
            beta=beta,
            loss_type=loss_type,
            epsilon_low=0.2,
            epsilon_high=high if high is not None else 0.2,
            args=args,
            use_vllm=False,
            vllm_importance_sampling_correction=False,
            model=types.SimpleNamespace(training=False),
            accelerator=accelerator(),
            max_completion_length=10,
            _entropy_bonus_enabled=False,
            _metrics={"eval": collections.defaultdict(list)},
            get_gamma_weights=GRPOTrainer.get_gamma_weights,
        )
        ids = torch.zeros(MASK.shape, dtype=torch.long)
        inputs = {
            "prompt_ids": ids[:, :1],
            "prompt_mask": ids[:, :1],
            "completion_ids": ids,
            "completion_mask": MASK,
            "advantages": ADVANTAGES,
            "old_per_token_logps": OLD,
            "ref_per_token_logps": REF,
            "num_items_in_batch": MASK.sum(),
        }
        return GRPOTrainer._compute_loss(trainer, None, inputs)

    return of


def trl_rloo(lp):
    from trl.trainer.rloo_trainer import RLOOTrainer

    trainer = types.SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *a, **k: (lp, torch.zeros_like(lp), None),
        aux_loss_enabled=False,
        epsilon_low=0.2,
        epsilon_high=0.2,
        model=types.SimpleNamespace(training=False),
        accelerator=accelerator(),
        _metrics={"eval": collections.defaultdict(list)},
    )
    ids = torch.zeros(MASK.shape, dtype=torch.long)
    inputs = {
        "prompt_ids": ids[:, :1],
        "prompt_mask": ids[:, :1],
        "completion_ids": ids,
        "completion_mask": MASK,
        "advantages": ADVANTAGES,
        "old_logps": (OLD * MASK).sum(1),
    }
    return RLOOTrainer._compute_loss(trainer, None, inputs)


# ---- Liger ------------------------------------------------------------------------------------------------------------------------


def liger_loss(loss_type, **options):
    from liger_kernel.chunked_loss.grpo_loss import LigerFusedLinearGRPOFunction

    def of(lp):
        return LigerFusedLinearGRPOFunction.ppo_loss_fn(
            lp, MASK, ADVANTAGES, MASK, ref_per_token_logps=REF, old_per_token_logps=OLD, loss_type=loss_type,
            max_completion_length=10, **options)[0]  # fmt: skip

    return of


# ---- verl and OpenRLHF ------------------------------------------------------------------------------------------------------------


def functions_of(path, stubs, extra=None):
    """The file's functions, with modules in `stubs` in place of those that it imports."""
    saved = dict(sys.modules)
    sys.modules.update(stubs)
    module = types.ModuleType(path.stem)
    module.__dict__.update({"__file__": str(path), "__package__": "openrlhf.models", "__name__": path.stem})
    sys.modules[path.stem] = module
    try:
        exec(compile(path.read_text(), str(path), "exec"), module.__dict__)
    finally:
        for name in stubs:
            sys.modules.pop(name, None)
        sys.modules.update({k: v for k, v in saved.items() if k in stubs})
    return module


def stub(name, **members):
    module = types.ModuleType(name)
    module.__dict__.update(members)
    module.__getattr__ = lambda attribute: everything()
    return module


def from_source(path, names):
    """Single functions of a file whose imports are not wanted."""
    import ast

    tree = ast.parse(path.read_text())
    wanted = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in names]
    assert len(wanted) == len(names), names
    scope = {"torch": torch, "Optional": __import__("typing").Optional}
    exec(compile(ast.Module(wanted, []), str(path), "exec"), scope)
    return {name: scope[name] for name in names}


class Config:
    clip_ratio, clip_ratio_low, clip_ratio_high, tau_pos, tau_neg = 0.2, 0.2, 0.28, 1.0, 1.05
    global_batch_info = {}
    loss_scale_factor = None

    def get(self, name, default):
        return getattr(self, name, default)


verl_functions = from_source(
    VERL / "verl/utils/torch_functional.py", ["masked_sum", "masked_mean", "masked_var", "masked_whiten"])  # fmt: skip
decorate = lambda *a, **k: lambda f: f
verl = functions_of(
    VERL / "verl/trainer/ppo/core_algos.py",
    {
        "omegaconf": stub("omegaconf", DictConfig=dict),
        "verl": stub("verl"),
        "verl.utils": stub("verl.utils"),
        "verl.utils.torch_functional": stub("verl.utils.torch_functional"),
        "verl.utils.import_utils": stub("verl.utils.import_utils", deprecated=decorate),
        "verl.trainer": stub("verl.trainer"),
        "verl.trainer.config": stub("verl.trainer.config", AlgoConfig=type("AlgoConfig", (), {})),
        "verl.workers": stub("verl.workers"),
        "verl.workers.config": stub("verl.workers.config", ActorConfig=Config),
    },
)
verl.verl_F = types.SimpleNamespace(**verl_functions)
openrlhf_utils = from_source(OPENRLHF / "openrlhf/models/utils.py", ["masked_mean"])
openrlhf = functions_of(
    OPENRLHF / "openrlhf/models/loss.py",
    {
        "openrlhf": stub("openrlhf"),
        "openrlhf.models": stub("openrlhf.models"),
        "openrlhf.models.utils": stub("openrlhf.models.utils", **openrlhf_utils),
    },
)
approx_kl = from_source(OPENRLHF / "openrlhf/models/utils.py", ["compute_approx_kl"])["compute_approx_kl"]


def verl_kl(lp, kl):
    # At this commit `kl_penalty` hands the name with its `+` on and raises NotImplementedError; what follows there is restated.
    if kl.endswith("+"):
        backward = verl.kl_penalty(lp, REF, "k2")
        return backward - backward.detach() + verl.kl_penalty(lp, REF, kl[:-1]).detach()
    return verl.kl_penalty(lp, REF, kl)


def verl_loss(name, mode="token-mean", kl=None):
    def of(lp):
        advantages = ADVANTAGES[:, None].expand(MASK.shape)
        loss = getattr(verl, "compute_policy_loss_" + name)
        loss = loss(OLD, lp, advantages, MASK, loss_agg_mode=mode, config=Config())[0]
        if kl is not None:
            loss = loss + 0.25 * verl.agg_loss(verl_kl(lp, kl), MASK, mode)
        return loss

    return of


def openrlhf_loss(kind, token_level=True, kl=None, dual_clip=None):
    def of(lp):
        policy = openrlhf.PolicyLoss(0.2, 0.28, dual_clip, token_level, kind)
        loss = policy(lp, OLD, ADVANTAGES[:, None].expand(MASK.shape), MASK)[0]
        if kl is not None:
            loss = loss + 0.25 * openrlhf.aggregate_loss(approx_kl(lp, REF, kl).double(), MASK, token_level)
        return loss

    return of


CASES = {
    "trl grpo": trl_loss("grpo", beta=0.25),
    "trl grpo without bias correction": trl_loss("grpo", beta=0.25, correction=False),
    "trl bnpo": trl_loss("bnpo"),
    "trl dr_grpo": trl_loss("dr_grpo"),
    "trl dapo with delta": trl_loss("dapo", delta=1.5),
    "trl gspo": trl_loss("grpo", level="sequence"),
    "trl luspo": trl_loss("luspo", level="sequence"),
    "trl cispo": trl_loss("cispo", high=5.0),
    "trl sapo": trl_loss("sapo"),
    "trl vespo": trl_loss("vespo"),
    "trl rloo": trl_rloo,
    "liger grpo": liger_loss("grpo"),
    "liger dapo": liger_loss("dapo"),
    "liger dapo with bias correction": liger_loss("dapo", use_bias_correction_kl=True),
    "liger bnpo": liger_loss("bnpo", beta=0.0),
    "liger dr_grpo": liger_loss("dr_grpo", beta=0.0),
    "liger gspo": liger_loss("grpo", beta=0.0, importance_sampling_level="sequence"),
    "liger luspo": liger_loss("luspo", beta=0.0, importance_sampling_level="sequence"),
    "liger cispo": liger_loss("cispo", beta=0.0, epsilon_high=5.0),
    "liger sapo": liger_loss("sapo", beta=0.0),
    "liger vespo": liger_loss("vespo", beta=0.0),
    "verl vanilla": verl_loss("vanilla"),
    "verl vanilla, sums": verl_loss("vanilla", "seq-mean-token-sum", kl="k1"),
    "verl vanilla, means": verl_loss("vanilla", "seq-mean-token-mean", kl="low_var_kl"),
    "verl vanilla, norm": verl_loss("vanilla", "seq-mean-token-sum-norm", kl="k2"),
    "verl vanilla, k3+": verl_loss("vanilla", kl="k3+"),
    "verl vanilla, abs": verl_loss("vanilla", kl="abs"),
    "verl gspo": verl_loss("gspo"),
    "verl sapo": verl_loss("sapo"),
    "verl geo_mean": verl_loss("geo_mean"),
    "verl cispo": verl_loss("cispo"),
    "openrlhf ppo": openrlhf_loss("ppo"),
    "openrlhf ppo, means": openrlhf_loss("ppo", token_level=False, kl="k2"),
    "openrlhf ppo, dual clip": openrlhf_loss("ppo", dual_clip=3.0, kl="k1"),
    "openrlhf ppo, k3": openrlhf_loss("ppo", kl="k3"),
    "openrlhf gspo": openrlhf_loss("gspo"),
}

REWARDS = torch.tensor([0.5, -1.0, 2.25, 1.0, 1.0, 1.0, 0.0, 1e6, 1e6 + 1], dtype=torch.float64)  # three groups of three


def verl_advantage(name, **options):
    index = numpy.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
    return getattr(verl, f"compute_{name}_outcome_advantage")(
        token_level_rewards=REWARDS[:, None].clone(), response_mask=torch.ones(9, 1, dtype=torch.float64), index=index, **options)[0][:, 0]  # fmt: skip


ADVANTAGE_CASES = {
    "verl grpo": verl_advantage("grpo"),
    "verl dr_grpo": verl_advantage("grpo", norm_adv_by_std_in_grpo=False),
    "verl rloo": verl_advantage("rloo"),
    "verl whitened": verl_functions["masked_whiten"](REWARDS[None, :6], torch.ones(1, 6, dtype=torch.float64)).flatten(),
}

LOGPS = [torch.tensor(x, dtype=torch.float64) for x in ([-4.0, -300.0, -2.5], [-6.0, -90.0, -2.5], [-5.5, -100.0, -1.0], [-5.75, -400.0, -9.0])]


def openrlhf_dpo(**options):
    chosen, rejected = LOGPS[0].clone().requires_grad_(), LOGPS[1].clone().requires_grad_()
    value = openrlhf.DPOLoss(0.25, **options)(chosen, rejected, LOGPS[2], LOGPS[3])[0]
    value.backward()
    return value.item(), chosen.grad.tolist() + rejected.grad.tolist()


def liger_dpo():
    from liger_kernel.chunked_loss.dpo_loss import LigerFusedLinearDPOFunction as function

    chosen, rejected = LOGPS[0].clone().requires_grad_(), LOGPS[1].clone().requires_grad_()
    names = inspect.signature(function.preference_loss_fn).parameters
    target = torch.zeros(6, 1) if "full_target" in names else None
    value = function.preference_loss_fn(
        chosen, rejected, full_target=target, ref_chosen_logps=LOGPS[2], ref_rejected_logps=LOGPS[3], beta=0.25)[0]  # fmt: skip
    value.backward()
    return value.item(), chosen.grad.tolist() + rejected.grad.tolist()


PREFERENCE_CASES = {
    "openrlhf dpo": openrlhf_dpo(),
    "openrlhf dpo with label smoothing": openrlhf_dpo(label_smoothing=0.125),
    "openrlhf ipo": openrlhf_dpo(ipo=True),
    "liger dpo": liger_dpo(),
}


def numbers(values):
    def text(v):
        return "NAN" if math.isnan(v) else "INFINITY" if v == math.inf else "-INFINITY" if v == -math.inf else repr(float(v))

    return "{" + ", ".join(text(v) for v in values) + "}"


def versions():
    import importlib.metadata

    return ", ".join(f"{name} {importlib.metadata.version(name).split('+')[0]}" for name in ("torch", "trl", "liger-kernel"))


lines = [
    "// SPDX-License-Identifier: Apache-2.0",
    "/// \\file",
    f"/// Made by make_trainer_values.py with {versions()}, verl b178a3c and OpenRLHF 3c3be62. Do not edit.",
    "#pragma once\n\n#include <cmath>\n#include <string>\n#include <vector>\n\n// clang-format off\nnamespace infalign::test::trainers {\n",
    "struct known_loss {\n  std::string name;\n  double value;\n  std::vector<double> gradient;\n};\n",
    f"inline constexpr int responses = {MASK.shape[0]}, length = {MASK.shape[1]};",
]
for name, values in (("mask", MASK), ("advantages", ADVANTAGES), ("old_log_prob", OLD), ("base_log_prob", REF), ("log_prob", LP), ("rewards", REWARDS)):
    lines.append(f"inline const std::vector<double> {name}{numbers(values.flatten().tolist())};")
lines.append("\ninline const std::vector<known_loss> losses{")
for name, loss in CASES.items():
    value, gradient = run(loss)
    lines.append(f'    {{"{name}", {numbers([value])[1:-1]},\n     {numbers(gradient.flatten().tolist())}}},')
lines.append("};\n\nstruct known_advantages {\n  std::string name;\n  std::vector<double> values;\n};\ninline const std::vector<known_advantages> group_advantages{")
for name, values in ADVANTAGE_CASES.items():
    lines.append(f'    {{"{name}", {numbers(values.tolist())}}},')
lines.append("};\n\n// chosen, rejected, and the same under the base policy; then the mean loss and its derivatives")
lines.append("inline const std::vector<std::vector<double>> log_probs{" + ", ".join(numbers(x.tolist()) for x in LOGPS) + "};")
lines.append("inline const std::vector<known_loss> preferences{")
for name, (value, slopes) in PREFERENCE_CASES.items():
    lines.append(f'    {{"{name}", {value!r}, {numbers(slopes)}}},')
lines.append("};\n\n}  // namespace infalign::test::trainers\n// clang-format on")
path = pathlib.Path(__file__).with_name("trainer_values.hpp")
path.write_text("\n".join(lines) + "\n")
print(f"{path.name}: {path.stat().st_size} bytes, {len(CASES)} losses")
