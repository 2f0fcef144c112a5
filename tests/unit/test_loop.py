"""The training loop of the miniature's models: a killed run ends like one that was left in peace."""

import pytest
import torch
from torch import nn

from promptmix.miniature.models.loop import fit, state_of

STEPS = 30


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 1))


def loss_of(module, killed_at=None):
    """Return the loss of a step, which learns a sum; a run can be killed as a step begins."""

    def loss(step):
        if step == killed_at:
            raise KeyboardInterrupt
        torch.manual_seed(step)
        x = torch.randn(16, 4)
        return (module(x) - x.sum(1, keepdim=True)).square().mean()

    return loss


def trained(state, killed_at=(), save_seconds=1e9):
    """Train a new network, which is killed at some steps and started again."""
    for step in (*killed_at, None):
        module = network()
        loss = loss_of(module, step)
        if step is None:
            history = fit(module, loss, STEPS, 0.05, state, save_seconds=save_seconds)
        else:
            with pytest.raises(KeyboardInterrupt):
                fit(module, loss, STEPS, 0.05, state, save_seconds=save_seconds)
    return module, history


@pytest.mark.parametrize("killed_at", [(7,), (1, 2, STEPS - 1)])
def test_killed_and_resumed_ends_with_the_same_weights(tmp_path, killed_at):
    whole, history = trained(tmp_path / "whole.state")
    resumed, resumed_history = trained(tmp_path / "models" / "resumed.state", killed_at, save_seconds=-1)
    for key, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[key]), key
    assert [step for step, _ in history] == [step for step, _ in resumed_history] == list(range(1, STEPS + 1))


def test_a_resumed_run_goes_on_from_where_it_was(tmp_path):
    state, module = tmp_path / "a.state", network()
    with pytest.raises(KeyboardInterrupt):
        fit(module, loss_of(module, 7), STEPS, 0.05, state, save_seconds=-1)
    (tmp_path / "a.state.new").write_bytes(b"killed while it was written")
    asked, loss = [], loss_of(module)
    fit(module, lambda step: asked.append(step) or loss(step), STEPS, 0.05, state)
    assert asked == list(range(7, STEPS))


def test_a_state_of_other_steps_is_not_gone_on_from(tmp_path):
    module = network()
    with pytest.raises(KeyboardInterrupt):
        fit(module, loss_of(module, 7), 2 * STEPS, 0.05, tmp_path / "a.state", save_seconds=-1)
    found, _ = trained(tmp_path / "a.state")
    whole, _ = trained(tmp_path / "b.state")
    for key, tensor in whole.state_dict().items():
        assert torch.equal(tensor, found.state_dict()[key]), key


def test_a_finished_run_leaves_no_state_and_an_evaluating_module_that_has_learned(tmp_path):
    module, history = trained(tmp_path / "a.state", save_seconds=-1)
    assert not list(tmp_path.iterdir())
    assert not module.training
    assert history[-1][1] < history[0][1] / 2


def test_what_is_left_is_the_average_of_the_weights(tmp_path):
    """One number that each step moves: the average lags behind."""
    module = nn.Linear(1, 1, bias=False)
    seen = []

    def loss(step):
        seen.append(module.weight.item())
        return module.weight.sum()

    fit(module, loss, STEPS, 0.05, tmp_path / "a.state", decay=0.0)
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] < module.weight.item() < seen[0]


def test_frozen_parameters_stay_as_they_are(tmp_path):
    module = network()
    module[0].requires_grad_(False)
    before = module[0].weight.clone()
    fit(module, loss_of(module), STEPS, 0.05, tmp_path / "a.state")
    assert torch.equal(module[0].weight, before)


def test_the_state_lies_beside_the_model(tmp_path):
    assert state_of(tmp_path / "clip") == tmp_path / "clip.state"
    assert state_of(tmp_path / "clipcap.safetensors") == tmp_path / "clipcap.safetensors.state"
