# SPDX-License-Identifier: Apache-2.0
"""examples/torch_distributed: ranks over gloo have the loss, gradient, KL and summary of one process, to 1e-12 (of float logits 1e-6)."""
import pathlib
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
PROGRAMS = pathlib.Path(__file__).resolve().parents[2] / "examples" / "torch_distributed"


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no distributed")
@pytest.mark.parametrize(("program", "ranks"), [("data_parallel", 2), ("data_parallel", 3), ("vocabulary_shards", 2)])
def test_ranks_have_the_gradient_of_one_process(program, ranks):
    done = subprocess.run([sys.executable, str(PROGRAMS / f"{program}.py"), str(ranks)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{ranks} ranks") and "loss " in done.stdout
