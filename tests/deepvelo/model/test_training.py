"""The training loop: what it promises to whoever waits for it."""

from __future__ import annotations

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from deepvelo import config
from deepvelo.arrays import on_disk
from deepvelo.arrays.on_disk import ColumnWriter
from deepvelo.errors import CancelledError, InputError
from deepvelo.model import gcn, training
from deepvelo.model.large_data import blocks
from deepvelo.model.large_data.blocks import BlockedObjective
from deepvelo.model.training import train

FEW = {
    "preparation": {"n_components": 5},
    "graph": {"n_neighbors": 4, "n_candidates": 6},
    "training": {"n_epochs": 20, "device": "cpu"},
}
SETTINGS = config.replace(config.Settings(), FEW)


def moving_cells(n_cells: int = 60, n_genes: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Cells along an induction with known rates: u and s from the closed form of Eq. 1."""
    time = torch.linspace(0.05, 4, n_cells)[:, None]
    alpha = torch.linspace(1, 5, n_genes)
    beta, gamma = torch.ones(n_genes), torch.linspace(0.3, 0.8, n_genes)
    unspliced = alpha / beta * (1 - torch.exp(-beta * time))
    spliced = alpha / gamma * (1 - torch.exp(-gamma * time)) + alpha / (gamma - beta) * (
        torch.exp(-gamma * time) - torch.exp(-beta * time)
    )
    return spliced, unspliced


def changed(**training) -> config.Settings:
    return config.replace(SETTINGS, {"training": training})


def test_loss_falls_in_twenty_epochs():
    history = train(*moving_cells(), settings=SETTINGS).history
    assert len(history) == 20
    assert history[-1]["total"] < 0.9 * history[0]["total"]


def velocities_from_a_random_start(spliced, unspliced, settings):
    """Velocities of a training whose start is wrong, so that a training that does nothing is found out."""
    with config.ablation(start="random"):
        rates = train(spliced, unspliced, settings=settings).rates()
    return rates.beta * unspliced - rates.gamma * spliced


def test_training_turns_an_induction_forward():
    spliced, unspliced = moving_cells()
    untrained, trained = (
        velocities_from_a_random_start(spliced, unspliced, changed(n_epochs=n_epochs))[:40] > 0
        for n_epochs in (1, 100)
    )
    assert untrained.float().mean() < 0.9
    assert trained.float().mean() > 0.95


def test_same_seed_same_answer_bit_for_bit_and_another_seed_another():
    spliced, unspliced = moving_cells()
    first, second = (train(spliced, unspliced, settings=SETTINGS) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.rates(), second.rates(), strict=True))
    assert first.history == second.history
    other = train(spliced, unspliced, settings=config.replace(SETTINGS, {"seed": 1}))
    assert not torch.equal(first.rates().beta, other.rates().beta)


def test_the_caller_can_stop_it():
    seen = []

    def stop_at_three(epoch, terms):
        seen.append(epoch)
        if epoch == 3:
            raise CancelledError

    with pytest.raises(CancelledError):
        train(*moving_cells(), settings=SETTINGS, on_epoch=stop_at_three)
    assert seen == [1, 2, 3]


def test_a_loss_that_is_not_finite_names_epoch_term_and_cause():
    spliced, unspliced = moving_cells()
    with (
        config.ablation(nonnegative_rates=False, standardize_inputs=False),
        pytest.raises(
            InputError, match=r"`\w+` became (nan|inf) in epoch \d+.*Lower `training.learning_rate`"
        ),
    ):
        train(spliced * 1e14, unspliced * 1e14, settings=changed(learning_rate=1.0))


def test_a_loss_that_is_lost_in_the_last_batch_is_not_averaged_away(monkeypatch):
    seen, backward = [], BlockedObjective.backward

    def lost_in_the_end(self, *args, **kwargs):
        terms = backward(self, *args, **kwargs)
        seen.append(terms)
        return terms if len(seen) < 4 else terms | {"continuity_past": math.nan, "total": math.nan}

    monkeypatch.setattr(BlockedObjective, "backward", lost_in_the_end)
    with pytest.raises(InputError, match=r"`continuity_past` became nan in epoch 1"):
        train(*moving_cells(120), settings=changed(n_epochs=1, batch_cells=32))
    assert len(seen) == 4


def test_cells_without_future_candidates_are_handled():
    spliced, unspliced = moving_cells()
    spliced[:] = spliced[0]  # every difference is zero: no candidate on either side
    fit = train(spliced, unspliced, settings=SETTINGS)
    assert all(math.isfinite(terms["total"]) for terms in fit.history)
    assert all(torch.isfinite(rate).all() for rate in fit.rates())


def test_published_settings_train_too():
    fit = train(*moving_cells(), settings=config.replace(config.PUBLISHED, FEW))
    assert len(fit.history) == 20
    assert fit.history[-1]["total"] < fit.history[0]["total"]
    assert torch.isnan(fit.rates().alpha).all()  # its objective says nothing of alpha
    assert min(fit.rates().beta.min(), fit.rates().gamma.min()) < 0  # nor keeps rates from being negative


def test_another_order_of_the_cells_is_the_same_answer_in_that_order():
    generator = torch.Generator().manual_seed(0)
    spliced, unspliced = (values + 0.1 * torch.rand(60, 8, generator=generator) for values in moving_cells())
    order = torch.randperm(60, generator=generator)
    fit = train(spliced, unspliced, settings=SETTINGS)
    other = train(spliced[order], unspliced[order], settings=SETTINGS)
    for rate, permuted in zip(fit.rates(), other.rates(), strict=True):
        assert torch.allclose(rate[order], permuted, atol=1e-4)
        assert not torch.allclose(rate, permuted, atol=1e-2)
    for terms, others in zip(fit.history, other.history, strict=True):
        assert terms == pytest.approx(others, rel=1e-4)


def test_permuted_cells_have_permuted_velocities():
    """Of more cells than there are neighbourhoods that judge directions."""
    generator = torch.Generator().manual_seed(0)
    spliced, unspliced = (
        values + 0.2 * torch.rand(300, 8, generator=generator) for values in moving_cells(300)
    )
    order = torch.randperm(300, generator=generator)
    velocities = []
    for some in (torch.arange(300), order):
        s, u = spliced[some], unspliced[some]
        _, beta, gamma = train(s, u, settings=changed(n_epochs=60)).rates()
        velocities.append(beta * u - gamma * s)
    torch.testing.assert_close(velocities[0][order], velocities[1], rtol=1e-3, atol=1e-3)


def test_weights_are_plain_tensors_of_the_network():
    fit = train(*moving_cells(), settings=SETTINGS)
    assert fit.weights["rate_layer.weight"].shape == (3 * 8, 64)
    assert fit.weights["convolutions.0.lin.weight"].shape == (64, 2 * 8)


@pytest.mark.parametrize("preset", [SETTINGS, config.replace(config.PUBLISHED, FEW)])
def test_rates_of_some_genes_are_those_of_all(preset):
    fit = train(*moving_cells(), settings=preset)
    assert not fit.network.training
    assert all(values.numpy().shape == (60, 3) for values in fit.rates(slice(2, 5)))
    for some, every in zip(fit.rates(slice(2, 5)), fit.rates(), strict=True):
        assert torch.allclose(some, every[:, 2:5], atol=1e-6, equal_nan=True)


@pytest.mark.slow
def test_batches_lead_where_all_cells_at_once_do():
    spliced, unspliced = moving_cells(400)
    settings = config.replace(SETTINGS, {"graph": {"n_candidates": 20, "n_neighbors": 8}})
    untrained, at_once, in_batches = (
        velocities_from_a_random_start(spliced, unspliced, config.replace(settings, {"training": training}))
        for training in ({"n_epochs": 1}, {"n_epochs": 100}, {"n_epochs": 100, "batch_cells": 100})
    )
    cosine = torch.nn.functional.cosine_similarity
    assert cosine(untrained, at_once).median() < 0.8
    assert cosine(in_batches, at_once).median() > 0.95


def test_in_batches_fewer_epochs_take_as_many_steps():
    settings = config.replace(SETTINGS, {"training": {"n_epochs": 20, "batch_cells": 32}})
    fit = train(*moving_cells(120), settings=settings)
    assert len(fit.history) == 8  # of 4 steps each: 8 is the least
    assert all(math.isfinite(value) for terms in fit.history for value in terms.values())


def test_the_order_of_the_cells_changes_nothing_in_batches():
    generator = torch.Generator().manual_seed(0)
    spliced, unspliced = (
        values + 0.1 * torch.rand(120, 8, generator=generator) for values in moving_cells(120)
    )
    order = torch.randperm(120, generator=generator)
    settings = config.replace(SETTINGS, {"training": {"batch_cells": 40}})
    in_order = train(spliced, unspliced, settings=settings).rates()
    shuffled = train(spliced[order], unspliced[order], settings=settings).rates()
    for one, other in zip(in_order, shuffled, strict=True):
        assert torch.allclose(one[order], other, atol=1e-3)


@pytest.mark.parametrize("fixed", [{"reassign_every": 4}, {"continuity": "genes", "reassign_every": 1}])
def test_batches_go_with_every_assignment(fixed):
    with config.ablation(**fixed):
        history = train(*moving_cells(120), settings=changed(batch_cells=40)).history
    assert history[-1]["continuity_future"] < history[0]["continuity_future"]


@pytest.mark.parametrize(
    ("batch_cells", "fixed", "rounding"),
    [
        (40, {}, 0),
        (40, {"standardize_inputs": False}, 0),
        (40, {"continuity": "genes", "reassign_every": 2}, 0),
        (200, {}, 1e-3),  # sums over cells go through memory in another order
    ],
    ids=["batches", "inputs as they are", "in genes", "all at once"],
)
@pytest.mark.slow
def test_from_disk_the_answer_is_that_from_memory(tmp_path, monkeypatch, batch_cells, fixed, rounding):
    # Several blocks of genes, on disk of others, parts of the cells and of a batch's inputs, and cells are gathered in pieces.
    for owner, name, few in (
        (blocks, "_BLOCK_NUMBERS", 0),
        (blocks, "_BLOCK_GENES", 3),
        (blocks, "_BLOCK_CELLS", 70),
        (gcn, "_BLOCK_ROWS", 32),
    ):
        monkeypatch.setattr(owner, name, few)
    monkeypatch.setattr(on_disk, "_BLOCK_COLUMNS", 5)
    monkeypatch.setattr(on_disk, "_BLOCK_BYTES", 1000)
    monkeypatch.setattr(on_disk, "_BLOCK_CELLS", 16)
    settings = changed(batch_cells=batch_cells)
    noise = torch.rand(200, 8, generator=torch.Generator().manual_seed(0))
    moments = [values + 0.1 * noise for values in moving_cells(200)]
    files = []
    for name, values in zip("su", moments, strict=True):
        with ColumnWriter(tmp_path / name) as file:
            file.add(values[:, :3])
            file.add(values[:, 3:])
        files.append(file.values())
    with config.ablation(**fixed):
        expected = train(*moments, settings=settings)
        fit = train(*files, settings=settings)
    assert len(fit.history) == len(expected.history)
    for found, wanted in zip(fit.rates(), expected.rates(), strict=True):
        torch.testing.assert_close(found, wanted, atol=rounding, rtol=rounding)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s", "u"], "what lay beside is gone"


def test_where_a_gpus_memory_runs_out_the_answer_is_that_of_the_cpu(monkeypatch, caplog):
    expected = train(*moving_cells(), settings=SETTINGS)
    on_devices, prepare = [], training.prepare

    def fails_on_a_gpu(*args, **options):
        on_devices.append(args[1].type)
        if args[1].type == "cuda":
            raise torch.OutOfMemoryError
        return prepare(*args, **options)

    monkeypatch.setattr(training, "prepare", fails_on_a_gpu)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    found = train(*moving_cells(), settings=config.replace(SETTINGS, {"training": {"device": "auto"}}))
    assert on_devices == ["cuda", "cpu"]
    assert found.history == expected.history
    assert "on the CPU" in caplog.text


class Rounded(TorchDispatchMode):
    """Products of dense matrices as GPUs take them: of factors with 10 bits after the first."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
        factors = {torch.ops.aten.mm: 0, torch.ops.aten.addmm: 1, torch.ops.aten.addmm_: 1}
        first = factors.get(func.overloadpacket)
        if first is not None and all(x.layout is torch.strided for x in args):
            args = (*args[:first], *(self.round(x) for x in args[first:]))
        return func(*args, **(kwargs or {}))

    @staticmethod
    def round(values):
        half, last = 1 << 12, 13
        bits = values.contiguous().view(torch.int32)
        return ((bits + half) >> last << last).view(torch.float32)


def test_factors_are_rounded_to_ten_bits():
    near_one = torch.tensor([1 + 2**-10, 1 + 2**-11 + 2**-12, 1 + 2**-12, -1.0, 0.0])
    assert Rounded.round(near_one).tolist() == [1 + 2**-10, 1 + 2**-10, 1.0, -1.0, 0.0]


@pytest.mark.parametrize("batch_cells", [40, 200], ids=["batches", "all at once"])
def test_products_of_a_gpu_give_the_rates_of_exact_ones(monkeypatch, batch_cells):
    settings = config.replace(SETTINGS, {"training": {"batch_cells": batch_cells}})
    exact = train(*moving_cells(200), settings=settings).rates()
    learn = training.learn

    def on_a_gpu(*args, **options):
        with Rounded():
            return learn(*args, **options)

    monkeypatch.setattr(training, "learn", on_a_gpu)
    rounded = train(*moving_cells(200), settings=settings).rates()
    for found, wanted in zip(rounded, exact, strict=True):
        assert not torch.equal(found, wanted)
        assert torch.corrcoef(torch.stack([found.flatten(), wanted.flatten()]))[0, 1] > 0.999
    assert torch.backends.cuda.matmul.fp32_precision != "tf32"
