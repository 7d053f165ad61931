"""The graph and the pass through it."""

import numpy as np
import pytest
import torch

from engine import Function, Variable, grad, no_grad, using_config
from engine import functions as F


class Cube(Function):
    def forward(self, x):
        return x**3

    def backward(self, gy, x):
        return gy * x**2 * 3.0


def scalar(value):
    return Variable(torch.tensor(value, dtype=torch.float64))


def test_a_variable_used_twice_adds_up_its_gradients():
    x = scalar(3.0)
    (x * x + x).backward()
    assert x.grad.item() == 7.0


def test_gradients_of_two_passes_add_up_until_cleared():
    x = scalar(3.0)
    (x * 2.0).backward()
    (x * 2.0).backward()
    assert x.grad.item() == 4.0
    x.cleargrad()
    assert x.grad is None


def test_the_youngest_function_goes_first():
    x = scalar(2.0)
    a = x**2
    (a**2 + a**2).backward()  # a must wait for both branches
    assert x.grad.item() == 64.0


def test_users_functions_can_be_differentiated_twice():
    x = scalar(2.0)
    (g,) = grad(Cube()(x), [x], create_graph=True)
    assert [g.item(), grad(g, [x])[0].item()] == [12.0, 12.0]


def test_one_function_object_can_be_applied_twice():
    cube, x = Cube(), scalar(1.1)
    cube(cube(x)).backward()
    assert x.grad.item() == pytest.approx(9 * 1.1**8)


def test_plain_arrays_stay_plain():
    assert isinstance(F.sin(torch.ones(2)), torch.Tensor)


@pytest.mark.parametrize("left", [2.0, np.full(2, 2.0), torch.full((2,), 2.0, dtype=torch.float64), np.float64(2.0)])
def test_operators_take_numbers_and_arrays_on_the_left(left):
    x = Variable(torch.tensor([1.0, 4.0], dtype=torch.float64))
    results = [left + x, left - x, left * x, left / x, left**x]
    expected = [[3.0, 6.0], [1.0, -2.0], [2.0, 8.0], [2.0, 0.5], [2.0, 16.0]]
    assert [y.array.tolist() for y in results] == expected


def test_nothing_is_recorded_under_no_grad():
    with no_grad():
        y = scalar(1.0) * 2.0
    assert y.creator is None
    with pytest.raises(RuntimeError, match="was it computed under no_grad"):
        y.backward()


def test_a_second_pass_through_a_freed_graph_is_refused():
    x = scalar(2.0)
    y = x**2
    y.backward()
    with pytest.raises(RuntimeError, match="pass retain_graph=True"):
        y.backward()


def test_a_retained_graph_can_be_passed_twice():
    x = scalar(2.0)
    y = x**2
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8.0


def test_a_saved_array_changed_in_place_is_detected():
    x = Variable(torch.ones(2))
    y = F.exp(x)
    y.array.add_(1.0)
    with pytest.raises(RuntimeError, match=r"Exp#\d+ needs 'y' of shape \(2,\).*changed in place"):
        y.backward()


def test_an_array_that_no_derivative_needs_may_change():
    x = Variable(torch.ones(2))
    y = x + 1.0
    x.array.add_(1.0)
    y.backward()
    assert x.grad.array.tolist() == [1.0, 1.0]


def test_replaced_data_is_refused_where_its_graph_is_needed():
    x = scalar(2.0)
    y = x**2
    x.data = torch.tensor(5.0, dtype=torch.float64)
    with pytest.raises(RuntimeError, match="data of a leaf was replaced"):
        y.backward(create_graph=True)


def test_what_backward_does_not_name_is_not_kept():
    x = Variable(torch.ones(3))
    assert [F.add(x, 1.0).creator.saved, (x * 2.0).creator.saved] == [(), (None, 2.0)]


def test_saved_arrays_are_let_go_as_the_pass_goes():
    x = scalar(2.0)
    y = F.exp(x)
    z = F.sin(y)
    z.backward()
    assert y.creator.saved is z.creator.saved is None


def test_inner_gradients_are_kept_on_request():
    x = scalar(3.0)
    a = x * 2.0
    y = a * a
    y.backward(retain_grad=True)
    assert (a.grad.item(), y.grad.item()) == (12.0, 1.0)


def test_grad_returns_gradients_of_inner_variables_and_writes_none():
    x = scalar(3.0)
    a = x * 2.0
    (ga,) = grad(a * a, [a])
    assert (ga.item(), x.grad, a.grad) == (12.0, None, None)


def test_grad_refuses_an_input_that_the_output_does_not_depend_on():
    x = scalar(1.0)
    y = x * 2.0
    with pytest.raises(ValueError, match=r"does not depend on inputs\[1\]"):
        grad(y, [x, scalar(1.0)])


def test_unchain_backward_ends_the_pass_there():
    x = scalar(1.0)
    a = x * 2.0
    b = a * 3.0
    a.unchain_backward()
    b.backward()
    assert x.grad is None


def test_a_backward_that_names_the_unknown_is_refused_when_it_is_written():
    with pytest.raises(TypeError, match=r"Wrong\.backward asks for 'z'"):

        class Wrong(Function):
            def forward(self, x):
                return x

            def backward(self, gy, z):
                return gy


def test_a_backward_of_the_wrong_shape_is_refused():
    class Wrong(Function):
        def forward(self, x):
            return x * 1.0

        def backward(self, gy):
            return F.sum(gy)

    with pytest.raises(ValueError, match=r"gradient of shape \(\) for input 0 of shape \(2,\)"):
        Wrong()(Variable(torch.ones(2))).backward()


def test_a_backward_of_the_wrong_number_of_gradients_is_refused():
    class Wrong(Function):
        def forward(self, x0, x1):
            return x0 * x1

        def backward(self, gy):
            return gy

    with pytest.raises(ValueError, match="returned 1 gradients for 2 inputs"):
        Wrong()(scalar(1.0), scalar(2.0)).backward()


def test_integers_get_no_gradient_and_cannot_ask_for_one():
    assert not Variable(torch.tensor([1, 2])).requires_grad
    with pytest.raises(ValueError, match="cannot require a gradient"):
        Variable(torch.tensor([1, 2]), requires_grad=True)


def test_no_array_ever_requires_torchs_gradient():
    x = Variable(torch.ones(3, requires_grad=True))
    y = F.sum(F.tanh(x * torch.ones(3, requires_grad=True)))
    y.backward(create_graph=True)
    assert not any(a.requires_grad for a in (x.array, y.array, x.grad.array))


def test_an_unknown_setting_is_refused():
    with (
        pytest.raises(ValueError, match="has no 'trian'"),
        using_config("trian", True),
    ):
        pass


def test_every_array_of_a_pass_stays_on_its_device():
    # Arrays of torch's meta device have no numbers; one made on the CPU by mistake would clash with them.
    from engine.models import CNN

    model = CNN(3)
    model.to("meta")
    images, labels = torch.empty(2, 1, 8, 8, device="meta"), torch.empty(2, dtype=int, device="meta")
    loss = F.softmax_cross_entropy(model(images), labels)
    loss.backward()
    assert {p.grad.device.type for p in model.params() if p.grad is not None} == {"meta"}
