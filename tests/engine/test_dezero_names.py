"""Scripts written for DeZero run on the engine."""

import numpy as np
import pytest
import torch
from engine.compat.dezero.utils import array_allclose, get_dot_graph, gradient_check, plot_dot_graph

import engine.compat.dezero as dezero
import engine.compat.dezero.functions as F
import engine.compat.dezero.layers as L
from engine.compat.dezero import Function, Model, Parameter, Variable, core_simple, optimizers
from engine.compat.dezero.models import MLP, VGG16, ResNet50, Sequential

NAMES = {  # module -> names
    "": "DataLoader Function Layer Model Parameter SeqDataLoader Variable as_variable as_array is_simple_core"
    " no_grad test_mode using_config Config Dataset core core_simple cuda datasets functions layers models optimizers"
    " transforms utils",
    "functions": "sin cos tanh exp log pow add sub mul div neg reshape transpose get_item expand_dims flatten sum"
    " sum_to broadcast_to average matmul linear sigmoid relu softmax log_softmax leaky_relu mean_squared_error"
    " softmax_cross_entropy sigmoid_cross_entropy binary_cross_entropy accuracy dropout batch_norm batch_nrom embed_id"
    " max min clip conv2d deconv2d pooling average_pooling im2col col2im conv2d_simple pooling_simple softmax_simple"
    " linear_simple sigmoid_simple mean_squared_error_simple softmax_cross_entropy_simple",
    "layers": "Layer Linear Conv2d Deconv2d RNN LSTM EmbedID BatchNorm",
    "models": "Model Sequential MLP VGG16 ResNet ResNet50",
    "optimizers": "Optimizer SGD MomentumSGD AdaGrad AdaDelta Adam WeightDecay ClipGrad FreezeParam",
    "datasets": "Dataset Spiral MNIST SinCurve Shakespear ImageNet get_spiral",
    "dataloaders": "DataLoader SeqDataLoader",
    "transforms": "Compose Normalize Flatten AsType ToFloat ToInt",
    "utils": "plot_dot_graph get_dot_graph gradient_check numerical_grad array_allclose array_equal get_file"
    " get_conv_outsize get_deconv_outsize",
    "core_simple": "Variable Function as_variable no_grad using_config setup_variable",
    "cuda": "get_array_module as_numpy as_cupy gpu_enable cupy",
}
OF_A_VARIABLE = (
    "data grad name creator generation shape ndim size dtype T cleargrad unchain unchain_backward backward reshape"
    " transpose sum matmul dot max min to_cpu to_gpu __getitem__ __len__"
)
OF_A_LAYER = "params cleargrads to_cpu to_gpu save_weights load_weights forward"


@pytest.mark.parametrize("module", NAMES)
def test_every_name_of_the_book_is_there(module):
    place = getattr(dezero, module) if module else dezero
    assert [name for name in NAMES[module].split() if not hasattr(place, name)] == []


def test_variables_and_layers_have_the_books_attributes():
    assert [name for name in OF_A_VARIABLE.split() if not hasattr(Variable(np.ones((2, 2))), name)] == []
    assert [name for name in OF_A_LAYER.split() if not hasattr(MLP([1]), name)] == []


def test_data_is_a_view_of_numpy():
    x = Variable(np.arange(3.0))
    x.data -= 1.0
    x.data[0] += 5.0
    assert x.array.tolist() == [4.0, 0.0, 1.0]
    assert isinstance(x.data, np.ndarray)
    assert repr(Variable(np.ones((2, 2)))) == "variable([[1. 1.]\n          [1. 1.]])"


def test_functions_take_arrays_and_return_variables():
    y = F.matmul(np.ones((2, 3)), np.ones((3, 1)))
    assert (type(y), y.shape, y.dtype) == (Variable, (2, 1), np.dtype(np.float64))


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


def test_generative_losses_are_summed_over_a_sample():
    p, t = np.full((2, 3), 0.25), np.ones((2, 3))
    assert float(F.binary_cross_entropy(p, t).data) == pytest.approx(-3 * np.log(0.25))
    assert float(F.sigmoid_cross_entropy(np.zeros((2, 3)), t).data) == pytest.approx(3 * np.log(2))


@pytest.mark.parametrize("f", [F.sigmoid, lambda x: F.max(x, axis=1), lambda x: F.batch_nrom(x, *np.ones((4, 3)))])
def test_gradient_check_says_yes(f):
    assert gradient_check(f, np.random.default_rng(0).normal(size=(4, 3)))


def test_gradient_check_says_no_to_a_wrong_formula(capsys):
    class Wrong(Function):
        def forward(self, x):
            return x**2

        def backward(self, gy):
            return gy

    assert not gradient_check(lambda x: Wrong()(x), np.ones(2))
    assert "by differences" in capsys.readouterr().out


def test_running_statistics_of_numpy_are_changed_in_place():
    mean, var = np.zeros(3), np.ones(3)
    F.batch_norm(np.arange(12.0).reshape(4, 3), np.ones(3), np.zeros(3), mean, var)
    assert mean.tolist() == pytest.approx([0.45, 0.55, 0.65])


def test_the_first_core_has_gradients_of_numpy():
    x = core_simple.Variable(np.array(3.0))
    (x * x).backward()
    (x * 1.0).backward()
    assert isinstance(x.grad, np.ndarray)
    assert float(x.grad) == 7.0


def test_pictures_need_no_graphviz(tmp_path):
    x = Variable(np.array(1.0), name="x")
    y = F.tanh(x) * x
    plot_dot_graph(y, to_file=str(tmp_path / "tanh.svg"))
    text = (tmp_path / "tanh.svg").read_text()
    assert all(word in text for word in ("Tanh", "Mul", "x: ()", "<svg"))


def test_inner_gradients_are_kept_on_request():
    x = Variable(np.array(3.0))
    h = x * 2
    y = h * h
    y.backward(retain_grad=True)
    assert float(h.grad.data) == 12.0


def test_large_models_give_a_thousand_scores():
    # On torch's meta device: shapes without numbers, since VGG-16 has 138 million weights.
    for model, size in ((VGG16(), 64), (ResNet50(), 64)):
        image = torch.empty(1, 3, size, size, device="meta")
        model.to("meta")
        with dezero.test_mode(), dezero.no_grad():
            assert model(image).shape == (1, 1000)


def test_pretrained_weights_are_not_downloaded():
    with pytest.raises(ValueError, match="the engine downloads nothing"):
        VGG16(pretrained=True)


def test_parameters_made_by_hand_are_trained():
    class Scale(Model):
        def __init__(self):
            super().__init__()
            self.scale = Parameter(np.array(1.0))

        def forward(self, x):
            return x * self.scale

    model = Sequential(Scale(), F.exp)
    optimizer = optimizers.SGD(0.1).setup(model)
    y = model(np.array(2.0))
    y.backward()
    optimizer.update()
    assert float(next(iter(model.params())).data) == pytest.approx(1.0 - 0.1 * 2 * np.exp(2.0))
