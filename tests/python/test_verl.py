# SPDX-License-Identifier: Apache-2.0
"""``examples/verl`` as verl runs it: found by its configuration, called by its reward manager."""

import asyncio
from pathlib import Path

import infalign as ia
import numpy as np
import pytest

reward = pytest.importorskip("verl.trainer.ppo.reward", reason="verl is not installed")
import torch  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402
from verl import DataProto  # noqa: E402
from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager  # noqa: E402

FILE = Path(__file__).resolve().parents[2] / "examples/verl/calibrated_reward.py"


class Words:
    """A tokenizer of two responses."""

    def decode(self, ids, skip_special_tokens=True):
        return {1: "so it is #### 42", 2: "so it is #### 41"}[int(ids[0])]


def function(**more):
    named = {"path": str(FILE), "name": "compute_score", "reward_kwargs": more}
    return reward.get_custom_reward_fn(OmegaConf.create({"reward": {"custom_reward_function": named}}))


def test_the_reward_manager_scores_by_the_calibrated_reward():
    base = [0.0, 1.0, 0.0, 0.0]
    rows = DataProto.from_dict(
        tensors={"responses": torch.tensor([[1, 0], [2, 0]]), "attention_mask": torch.tensor([[1, 1, 0], [1, 1, 0]])},
        non_tensors={
            "data_source": np.array(["openai/gsm8k"] * 2, object),
            "reward_model": np.array([{"ground_truth": "42"}] * 2, object),
            "extra_info": np.array([{"base_rewards": base} for _ in range(2)], object),
        },
    )

    async def scores():
        manager = NaiveRewardManager(OmegaConf.create({}), Words(), function(transform="exponential:10"))
        return [await manager.run_single(rows[i : i + 1]) for i in range(2)]

    right, wrong = asyncio.run(scores())
    for found, u in ((right, 0.875), (wrong, 0.375)):  # (3 + ½)/4 and (½·3)/4
        assert found["reward_extra_info"]["quantile"] == u
        assert found["reward_score"] == pytest.approx(np.expm1(10 * u) / np.expm1(10), rel=1e-14)
    assert right["reward_extra_info"]["acc"] == 1 and wrong["reward_extra_info"]["acc"] == 0


def test_it_is_the_library():
    found = function(ties="below")("openai/gsm8k", "#### 42", "42", {"base_rewards": [1.0, 0.0]})
    assert found["score"] == ia.calibrate(np.array([[1.0, 0.0]]), np.array([[1.0]]), ties="below")[0, 0]


@pytest.mark.parametrize("info", [None, {}, {"base_rewards": []}])
def test_without_references(info):
    with pytest.raises(ValueError, match="extra_info has no base_rewards"):
        function()("openai/gsm8k", "#### 42", "42", info)


def test_bad_references():
    with pytest.raises(ValueError, match="references.*nan"):
        function()("openai/gsm8k", "#### 42", "42", {"base_rewards": [0.0, float("nan")]})
