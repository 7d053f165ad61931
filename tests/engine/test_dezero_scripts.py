"""Scripts as one writes them for DeZero run on the engine."""

import numpy as np
import pytest
import torch
from engine.compat.dezero.utils import array_allclose, get_dot_graph

import engine.compat.dezero as dezero
import engine.compat.dezero.functions as F
import engine.compat.dezero.layers as L
from engine.compat.dezero import Function, Model, Variable, optimizers
from engine.compat.dezero.models import MLP, Sequential


def test_newton_finds_the_minimum():
    x = Variable(np.array(2.0))
    for _ in range(8):
        y = x**4 - 2 * x**2
        x.cleargrad()
        y.backward(create_graph=True)
        gx = x.grad
        x.cleargrad()
        gx.backward()
        x.data -= gx.data / x.grad.data
    assert float(x.data) == pytest.approx(1.0)


def test_a_function_written_for_numpy_is_differentiated_twice():
    class Square(Function):
        def forward(self, x):
            return np.square(x)

        def backward(self, gy):
            (x,) = self.inputs
            return gy * x * 2

    x = Variable(np.array([1.0, 3.0]), name="x")
    y = F.sum(Square()(x) ** 2)
    y.backward(create_graph=True)
    gx = x.grad
    x.cleargrad()
    gx.backward()
    assert [gx.data.tolist(), x.grad.data.tolist()] == [[4.0, 108.0], [12.0, 108.0]]
    assert "Square" in get_dot_graph(y)


def test_a_function_finds_its_output_though_nobody_else_holds_it():
    class Exponential(Function):
        def forward(self, x):
            return np.exp(x)

        def backward(self, gy):
            return gy * self.outputs[0]()

    x = Variable(np.array(0.5))
    (Exponential()(x) * 1.0).backward(create_graph=True)
    gx = x.grad
    x.cleargrad()
    gx.backward()
    assert float(x.grad.data) == pytest.approx(np.exp(0.5))


def test_the_gradient_of_a_gradient_may_enter_an_expression():
    x = Variable(np.array(2.0))
    y = x**2
    y.backward(create_graph=True)
    gx = x.grad
    x.cleargrad()
    (gx**3 + y).backward()
    assert float(x.grad.data) == 100.0


def test_plain_gradient_descent_fits_a_line():
    random = np.random.default_rng(0)
    x = random.uniform(size=(100, 1))
    t = 3 * x - 1
    W, b = Variable(np.zeros((1, 1))), Variable(np.zeros(1))  # noqa: N806
    for _ in range(500):
        loss = F.mean_squared_error(F.linear(x, W, b), t)
        W.cleargrad()
        b.cleargrad()
        loss.backward()
        for p in (W, b):
            p.data -= 0.5 * p.grad.data
    assert [W.data.item(), b.data.item()] == pytest.approx([3.0, -1.0], abs=1e-3)  # 500 steps of descent


def test_a_model_trains_on_the_spiral_through_a_loader():
    torch.manual_seed(0)
    loader = dezero.DataLoader(dezero.datasets.Spiral(train=True), 30)
    model = MLP((16, 3))
    optimizer = optimizers.Adam(alpha=0.03).setup(model)
    optimizer.add_hook(optimizers.WeightDecay(1e-5))
    losses = []
    for _ in range(15):
        for x, t in loader:
            loss = F.softmax_cross_entropy(model(x), t)
            model.cleargrads()
            loss.backward()
            optimizer.update()
            losses.append(float(loss.data))
    assert np.mean(losses[-10:]) < 0.75 < 1.0 < losses[0]
    with dezero.no_grad():
        assert float(F.accuracy(model(x), t).data) > 0.5


def test_a_recurrent_model_trains_with_truncation():
    class Waves(Model):
        def __init__(self):
            super().__init__()
            self.rnn, self.fc = L.LSTM(8), L.Linear(1)

        def reset_state(self):
            self.rnn.reset_state()

        def forward(self, x):
            return self.fc(self.rnn(x))

    torch.manual_seed(0)
    model = Waves()
    optimizer = optimizers.Adam(0.02).setup(model)
    means = []
    for _ in range(4):
        model.reset_state()
        loss, total, count = 0, 0.0, 0
        for x, t in dezero.SeqDataLoader(dezero.datasets.SinCurve(), 30):
            loss += F.mean_squared_error(model(x), t)
            count += 1
            if count % 11 == 0:
                model.cleargrads()
                loss.backward()
                loss.unchain_backward()
                optimizer.update()
                total, loss = total + float(loss.data), 0
        means.append(total / count)
    assert means[-1] < means[0] / 2


def test_arrays_of_double_precision_meet_weights_of_single_as_in_numpy():
    x, t = np.random.default_rng(0).normal(size=(4, 2)), np.array([2, 0, 1, 0])
    model = MLP((5, 3))
    loss = F.softmax_cross_entropy(model(x), t)
    loss.backward()
    assert loss.dtype == np.float64
    assert {p.grad.dtype for p in model.params()} == {np.dtype(np.float32)}
    assert F.conv2d(np.ones((1, 1, 4, 4)), np.ones((1, 1, 2, 2), dtype=np.float32)).dtype == np.float64


def test_a_layer_remembers_its_last_output_for_grad_cam():
    model = Sequential(L.Conv2d(2, 3), F.ReLU(), F.flatten, L.Linear(1))
    y = model(np.ones((1, 1, 5, 5)))
    feature = model.layers[0].outputs[0]()
    y[0, 0].backward(retain_grad=True)
    assert feature.grad.shape == feature.shape == (1, 2, 3, 3)


def test_losses_of_a_variational_autoencoder_are_differentiated():
    class Autoencoder(Model):
        def __init__(self):
            super().__init__()
            self.mean, self.log_var = L.Linear(2), L.Linear(2)
            self.linear, self.deconv = L.Linear(np.prod((3, 2, 2))), L.Deconv2d(1, kernel_size=4, stride=2, pad=1)

        def forward(self, x):
            h = F.flatten(x)
            mean, log_var = self.mean(h), self.log_var(h)
            z = mean + F.exp(log_var) * np.random.default_rng(0).normal(size=(len(x), 2))
            y = F.sigmoid(self.deconv(F.reshape(F.relu(self.linear(z)), (-1, 3, 2, 2))))
            distance = F.sum(mean**2 + F.exp(log_var) - log_var - 1) * 0.5 / len(x)
            return F.binary_cross_entropy(F.flatten(y), F.flatten(x)) + distance

    torch.manual_seed(0)
    model = Autoencoder()
    optimizer = optimizers.Adam(0.01).setup(model)
    x = (np.random.default_rng(1).random((8, 1, 4, 4)) > 0.5).astype(np.float32)
    losses = []
    for _ in range(30):
        loss = model(x)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        losses.append(float(loss.data))
    assert losses[-1] < losses[0]


def test_weights_are_saved_and_loaded(tmp_path):
    model, twin = MLP((3, 2)), MLP((3, 2))
    x = np.ones((1, 4), dtype=np.float32)
    y = model(x)
    model.save_weights(tmp_path / "mlp.npz")
    twin.load_weights(tmp_path / "mlp.npz")
    assert array_allclose(twin(x), y)
