"""Layers, models, optimisers, loaders, files: what training is made of."""

import gc

import numpy as np
import pytest
import torch

from engine import Parameter, Variable, config, no_grad, test_mode, using_config
from engine import functions as F
from engine.datasets import Digits, SinCurve, Spiral
from engine.gradient_check import gradient_check, numerical_grad
from engine.layers import LSTM, RNN, BatchNorm, EmbedID, Linear
from engine.loaders import DataLoader, SeqDataLoader
from engine.models import CNN, MLP, Sequential
from engine.optimizers import SGD, AdaDelta, AdaGrad, Adam, ClipGrad, MomentumSGD
from engine.process_memory import look_for_cycles_rarely
from engine.weights import load_weights, save_weights

PAIRS = [
    (SGD(0.1), torch.optim.SGD, {"lr": 0.1}),
    (MomentumSGD(0.1, 0.8), torch.optim.SGD, {"lr": 0.1, "momentum": 0.8}),
    (AdaGrad(0.1), torch.optim.Adagrad, {"lr": 0.1, "eps": 1e-8}),
    (AdaDelta(0.9), torch.optim.Adadelta, {"lr": 1.0, "rho": 0.9, "eps": 1e-6}),
    (Adam(0.1), torch.optim.Adam, {"lr": 0.1}),
]


def a_model(seed=0):
    torch.manual_seed(seed)
    return MLP([4, 3], in_size=2)


def loss_of(model):
    return F.softmax_cross_entropy(model(torch.tensor([[1.0, 2.0], [0.5, -1.0]])), torch.tensor([0, 2]))


def step(model, optimizer):
    loss = loss_of(model)
    model.cleargrads()
    loss.backward()
    optimizer.update()
    return loss.item()


@pytest.mark.parametrize(("optimizer", "theirs", "options"), PAIRS, ids=lambda x: type(x).__name__)
def test_an_optimiser_takes_torchs_steps(optimizer, theirs, options):
    model = a_model()
    leaves = [torch.nn.Parameter(p.array.clone()) for p in model.params()]
    reference = theirs(leaves, **options)
    optimizer.setup(model)
    for _ in range(5):
        step(model, optimizer)
        W0, b0, W1, b1 = leaves  # noqa: N806
        x = torch.tensor([[1.0, 2.0], [0.5, -1.0]])
        reference.zero_grad()
        logits = torch.sigmoid(x @ W0 + b0) @ W1 + b1
        torch.nn.functional.cross_entropy(logits, torch.tensor([0, 2])).backward()
        reference.step()
    for p, leaf in zip(model.params(), leaves, strict=True):
        torch.testing.assert_close(p.array, leaf.data, rtol=1e-5, atol=1e-6)


def test_clip_grad_limits_the_common_norm():
    p, q = Parameter(torch.zeros(2)), Parameter(torch.zeros(1))
    p.grad, q.grad = Variable(torch.tensor([3.0, 0.0])), Variable(torch.tensor([4.0]))
    ClipGrad(1.0)([p, q])
    assert [*p.grad.array.tolist(), *q.grad.array.tolist()] == pytest.approx([0.6, 0.0, 0.8])


def test_an_optimiser_resumes_from_its_state():
    straight, broken = a_model(), a_model()
    optimizer, before = Adam(0.1).setup(straight), Adam(0.1).setup(broken)
    losses = [step(straight, optimizer) for _ in range(6)]
    for _ in range(3):
        step(broken, before)
    after = Adam(0.5).setup(broken)
    after.load_state_dict(before.state_dict())
    assert [step(broken, after) for _ in range(3)] == losses[3:]


def test_an_optimiser_without_a_model_says_so():
    with pytest.raises(RuntimeError, match=r"call setup\(model\) first"):
        SGD().update()


def test_weights_survive_a_round_trip_into_a_lazy_model(tmp_path):
    model, twin = CNN(3, (2, 2)), CNN(3, (2, 2))
    x = torch.rand(4, 1, 8, 8)
    model(x)
    save_weights(model, tmp_path / "cnn.npz")
    load_weights(twin, tmp_path / "cnn.npz")
    with test_mode():
        assert twin(x).array.equal(model(x).array)


def test_weights_of_another_structure_are_refused(tmp_path):
    save_weights(a_model(), tmp_path / "mlp.npz")
    with pytest.raises(ValueError, match=r"missing \['W', 'b'\], unexpected \['layers/0/W'"):
        load_weights(Linear(2, in_size=2), tmp_path / "mlp.npz")
    with pytest.raises(ValueError, match=r"layers/0/W has shape \(5, 4\)"):
        load_weights(MLP([4, 3], in_size=5), tmp_path / "mlp.npz")


def test_a_shared_layer_is_counted_once():
    layer = Linear(2, in_size=2)
    assert len(list(Sequential(layer, F.relu, layer).params())) == 2


def test_batch_norm_layer_is_torchs_in_training_and_after():
    ours, theirs = BatchNorm(3, eps=1e-5), torch.nn.BatchNorm1d(3)
    for seed in range(3):
        x = torch.randn(6, 3, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(ours(x).array, theirs(x).detach())
    theirs.eval()
    with test_mode():
        torch.testing.assert_close(ours(x).array, theirs(x).detach())


def test_an_lstm_layer_is_torchs_lstm():
    ours, theirs = LSTM(4, in_size=3), torch.nn.LSTM(3, 4)
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(ours.x2g.W.array.T)
        theirs.weight_hh_l0.copy_(ours.h2g.W.array.T)
        theirs.bias_ih_l0.copy_(ours.x2g.b.array)
        theirs.bias_hh_l0.zero_()
    x = torch.randn(5, 2, 3)
    steps = [ours(step) for step in x]
    expected, _ = theirs(x)
    torch.testing.assert_close(F.stack(steps).array, expected.detach())
    F.sum(F.stack(steps) ** 2).backward()
    (expected**2).sum().backward()
    torch.testing.assert_close(ours.x2g.W.grad.array.T, theirs.weight_ih_l0.grad)


@pytest.mark.parametrize("layer", [RNN(3, in_size=2), LSTM(3, in_size=2)], ids=["RNN", "LSTM"])
def test_truncation_keeps_the_state_and_ends_the_gradient(layer):
    layer(torch.ones(1, 2))
    h = layer.h
    F.sum(layer.h).unchain_backward()
    x = Variable(torch.ones(1, 2))
    F.sum(layer(x)).backward()
    assert layer.h is not h
    assert x.grad is not None


def test_an_embedding_gives_rows():
    layer = EmbedID(5, 2)
    assert layer([[1, 3]]).array.equal(layer.W.array[[1, 3]][None])


def test_dropout_keeps_the_mean_and_does_nothing_after_training():
    torch.manual_seed(0)
    x = torch.ones(10_000)
    assert F.dropout(x, 0.3).mean().item() == pytest.approx(1.0, abs=0.02)  # three standard deviations
    with test_mode():
        assert F.dropout(x, 0.3) is x


def test_settings_return_after_an_error():
    with pytest.raises(ZeroDivisionError), no_grad(), using_config("kernels", "vendor"):
        1 / 0  # noqa: B018
    assert (config.enable_backprop, config.kernels) == (True, "scratch")


def test_a_loader_gives_every_sample_once_in_a_new_order():
    loader = DataLoader(Spiral(), 32, seed=0)
    first, second = (torch.cat([x for x, _ in loader]) for _ in range(2))
    assert len(first) == 300
    assert len(loader) == 10
    assert not first.equal(second)
    assert first.sort(0).values.equal(second.sort(0).values)


def test_a_sequence_loader_reads_parts_side_by_side():
    class Numbers:
        def __len__(self):
            return 7

        def __getitem__(self, i):
            return np.array([i]), np.array([i + 1])

    batches = [x.flatten().tolist() for x, _ in SeqDataLoader(Numbers(), 2)]
    assert batches == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize(
    ("dataset", "size", "shape"), [(Spiral, 300, (2,)), (SinCurve, 999, (1,)), (Digits, 1437, (1, 8, 8))]
)
def test_data_sets_have_their_sizes(dataset, size, shape):
    data = dataset()
    assert (len(data), data[0][0].shape) == (size, shape)
    assert len(list(data)) == size


def test_differences_find_a_wrong_formula_and_pass_a_right_one():
    x = np.random.default_rng(0).normal(size=(2, 3))
    gradient_check(lambda x: F.tanh(x) * x, x, second_order=True)
    with pytest.raises(AssertionError, match=r"the gradient of inputs\[0\] is"):
        gradient_check(lambda x: F.tanh(x) * F.copy(x).array, x)


def test_differences_of_float32_are_refused():
    with pytest.raises(ValueError, match="mostly rounding error"):
        numerical_grad(F.sin, [torch.ones(2)])


def test_a_network_learns_the_spiral():
    torch.manual_seed(0)
    data = Spiral()
    model = MLP([30, 3], F.tanh)
    optimizer = Adam(0.05).setup(model)
    for _ in range(30):
        for x, t in DataLoader(data, 50, seed=1):
            loss = F.softmax_cross_entropy(model(x), t)
            model.cleargrads()
            loss.backward()
            optimizer.update()
    assert F.accuracy(model(data.data), data.label) > 0.75  # a straight line reaches 0.5


@pytest.mark.parametrize(("before", "after"), [(700, 50_000), (80_000, 80_000), (0, 0)])
def test_cycles_are_looked_for_rarely_but_not_more_often_than_before(before: int, after: int) -> None:
    thresholds = gc.get_threshold()
    try:
        gc.set_threshold(before, 10, 10)
        look_for_cycles_rarely()
        assert gc.get_threshold() == (after, 10, 10)
    finally:
        gc.set_threshold(*thresholds)
