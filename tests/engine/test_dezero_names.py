"""DeZero's names are there and mean what they mean in DeZero."""

import numpy as np
import pytest
import torch
from engine.compat.dezero.utils import gradient_check, plot_dot_graph

import engine.compat.dezero as dezero
import engine.compat.dezero.functions as F
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
