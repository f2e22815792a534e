# SPDX-License-Identifier: Apache-2.0
"""Aligns a small GPT-2 by TRL's GRPOTrainer: with a reward as it is, with infalign's calibrated and transformed one, and with its loss.

    python examples/trl/align.py --quick
"""

from __future__ import annotations

import os
import sys
import time
import warnings

from options import expect_packages, parse

# Nothing is fetched, nor reported.
os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def main(arguments: list[str]) -> int:
    o = parse(arguments)
    expect_packages()
    import datasets
    import torch
    import transformers
    from pipeline import Runs, forecast, noise, prepare
    from results import draw, write_json

    warnings.simplefilter("ignore", FutureWarning)  # of transformers, about names that TRL uses
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    if o.threads is not None:
        torch.set_num_threads(o.threads)
    if o.device != "cpu" and not torch.cuda.is_available():
        raise SystemExit(f"examples/trl: --device {o.device}, but PyTorch sees no GPU")
    o.output.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun:6.0f} s  {text}", flush=True)

    prepared = prepare(o, say)
    methods = forecast(o, prepared, say)
    noise_of_a_step = noise(o, prepared, say)
    runs = Runs(o, prepared, say)
    losses = runs.run_all(methods)
    differences = runs.differences()
    settings = {k: v for k, v in vars(o).items() if k not in ("grid", "output")}
    results = dict(settings=settings, facts=prepared.facts, noise=noise_of_a_step, runs=runs.records, differences=differences, losses=losses)
    write_json(o.output / "results.json", results)
    draw(o.output / "frontier.svg", runs.records)
    say(f"written: {o.output / 'results.json'}, {o.output / 'frontier.svg'}")
    if losses is not None and not losses["gradient_error"] < 1e-5:
        print(f"examples/trl: the gradients of the two losses differ by {losses['gradient_error']:.3g}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
