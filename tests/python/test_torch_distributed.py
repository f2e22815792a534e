# SPDX-License-Identifier: Apache-2.0
"""examples/torch_distributed: two and three ranks over gloo have the loss, gradient and summary of one process, to 1e-12."""
import pathlib
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
PROGRAM = pathlib.Path(__file__).resolve().parents[2] / "examples" / "torch_distributed" / "data_parallel.py"


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no distributed")
@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_have_the_gradient_of_one_process(ranks):
    done = subprocess.run([sys.executable, str(PROGRAM), str(ranks)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{ranks} ranks: loss ")
