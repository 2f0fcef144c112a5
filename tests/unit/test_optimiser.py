import subprocess
import sys
from pathlib import Path

import torch

from promptmix.training.optimiser import AdamW

PROGRAM = """
import sys, torch
from promptmix.training.optimiser import AdamW
weights = torch.nn.Parameter(torch.ones(3))
optimiser = AdamW([weights], lr=0.1, fused=True)
weights.sum().backward()
optimiser.step()
optimiser.zero_grad()
optimiser.load_state_dict(optimiser.state_dict())
assert "torch._dynamo" not in sys.modules
"""


def trained(kind):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    optimiser = kind(network.parameters(), lr=0.01, weight_decay=0.1, fused=True)
    for _ in range(5):
        optimiser.zero_grad()
        network(torch.randn(6, 4)).square().sum().backward()
        optimiser.step()
    return network.state_dict(), optimiser.state_dict()["state"]


def test_arithmetic_and_state_are_torchs():
    (ours, our_state), (theirs, their_state) = trained(AdamW), trained(torch.optim.AdamW)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert all(torch.equal(our_state[i][key], their_state[i][key]) for i in their_state for key in their_state[i])


def test_the_compiler_is_not_imported():
    scripts = Path(__file__).parents[2] / "scripts"
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, env={"PYTHONPATH": str(scripts)})
