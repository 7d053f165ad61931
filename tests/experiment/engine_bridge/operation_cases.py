"""Calculations in torch's words, with the shapes of their inputs, that between them use every translation."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Case = tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]

IDS = torch.tensor([[0, 2, 1], [3, 3, 0]])
MASK = torch.tensor([[True, False, True, True], [False, True, True, False], [True, True, False, True]])


def in_place(x: Tensor) -> Tensor:
    y = x * 2
    y.add_(1).mul_(x)
    y.relu_()
    return y


def in_place_on_a_view(x: Tensor) -> Tensor:
    y = torch.zeros(3, 4, dtype=x.dtype)
    y[1] = x[0] * 3
    y[:, 2:] += x[:, :2] ** 2
    return y * x


def of_a_viewed_tensor(x: Tensor) -> Tensor:
    y = x * 2
    part = y[0]
    y.mul_(x)
    return part * y


def without_gradient(x: Tensor) -> Tensor:
    with torch.no_grad():
        weight = x.exp()
    return weight * x + x.detach() * x.round()


def recurrent(kind: type[nn.RNNBase], **settings: Any) -> Callable[[Tensor], Any]:
    torch.manual_seed(0)
    layer = kind(3, 4, num_layers=2, **settings).double()
    return lambda x: layer(x)[0]


def attention(*, is_causal: bool, mask: Tensor | None = None) -> Callable[[Tensor], Tensor]:
    return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, mask, is_causal=is_causal)  # type: ignore


A = ((3, 4),)
AB = ((3, 4), (3, 4))
IMAGE = ((2, 4, 7, 6),)

CASES: dict[str, Case] = {
    "arithmetic": (lambda x, y: (x + 2 * y - 1) / (y * y + 3) - (5 - x) * -y, AB),
    "scaled sums": (lambda x, y: torch.add(x, y, alpha=3) + torch.sub(x, y, alpha=2) + torch.rsub(x, y, alpha=2), AB),
    "powers": (lambda x: x**2 + (x.abs() + 1) ** 0.5 + 2**x + x.square(), A),
    "roots": (lambda x: (x.abs() + 1).sqrt() + (x.abs() + 1).rsqrt() + (x.abs() + 1).reciprocal(), A),
    "logarithms": (lambda x: (x.abs() + 1).log() + x.abs().log1p() + x.expm1() + x.exp(), A),
    "waves": (lambda x: x.sin() * x.cos() + x.tanh() + x.erf(), A),
    "rectifiers": (lambda x: F.relu(x) + F.leaky_relu(x, 0.3) + F.elu(x, 0.7) + F.silu(x) + F.relu6(x * 4), A),
    "soft rectifiers": (lambda x: F.softplus(x) + F.logsigmoid(x) + F.gelu(x) + F.gelu(x, approximate="tanh"), A),
    "a learnt slope": (F.prelu, ((3, 4), (4,))),
    "bounds": (lambda x: x.clamp(-0.5, 0.4) + x.clamp(min=0.1) + x.clamp_max(0.2) + F.hardtanh(x), A),
    "choices": (lambda x, y: torch.maximum(x, y) + torch.minimum(x, 2 * y) + torch.where(MASK, x, y), AB),
    "older choices": (lambda x, y: torch.max(x, y) - torch.min(x, 2 * y), AB),
    "masks": (lambda x: x.masked_fill(MASK, 0.3) + x.tril() * x.triu(1), A),
    "copies": (lambda x: x.clone() * x.float().double() + torch.zeros(3, 4).double().copy_(x[0]), A),
    "in place": (in_place, A),
    "in place on a view": (in_place_on_a_view, A),
    "in place with a view elsewhere": (of_a_viewed_tensor, A),
    "no gradient": (without_gradient, A),
    "shapes": (lambda x: x.view(2, 6).reshape(4, 3).t().unsqueeze(1).squeeze().permute(1, 0).flatten(), A),
    "transposed shapes": (lambda x: x.T.reshape(2, 6).transpose(0, 1)[..., None].squeeze(-1), A),
    "other views": (lambda x: torch.ops.aten._reshape_alias(x, [4, 3], [3, 1]) * torch.ops.aten.alias(x).view(4, 3), A),
    "repeats": (lambda x: x[None].expand(2, -1, 4) + x.repeat(2, 1, 1), A),
    "parts": (lambda x: x[1:, ::2] * x[0, 1] + x[:, -1:].sum(), A),
    "indices": (lambda x: x[1 - IDS[:, 0] % 2] + x[[0, 0]] * x.index_select(0, torch.tensor([2, 0])), A),
    "gathered": (
        lambda x: x[:2].gather(1, IDS) + x.take(IDS) + x[MASK].sum() + x.masked_select(MASK).mean(),
        A,
    ),
    "pieces": (lambda x: torch.cat([*x.split(2, 1), *x.chunk(2, 1)], 1) * torch.stack(x.unbind(0)).sum(), A),
    "uneven pieces": (lambda x: x.split([1, 3], 1)[1] * x[:, :1] + torch.unsafe_split(x, 3, 1)[0], A),
    "turned": (lambda x: x.flip(0) * x.roll(1, 1) + x.diagonal().sum() + x.unfold(1, 2, 2).sum(2).sum(), A),
    "shuffled pixels": (lambda x: F.pixel_shuffle(x, 2).sum(1) * F.pixel_unshuffle(x, 2).mean(), ((1, 4, 2, 2),)),
    "borders": (lambda x: F.pad(x, (1, 2, 0, 1), value=3.0).sum(1) * F.pad(x, (-1, 0))[:, 0].sum(), A),
    "rows of a table": (lambda x: F.embedding(IDS, x, padding_idx=1), ((4, 3),)),
    "sums": (lambda x: x.sum() * x.sum(1) + x.mean(-1) + x.sum((0, 1)) + x.mean(), A),
    "extremes": (lambda x: x.amax(1) * x.amin((0, 1)) + x.max() - x.min(), A),
    "extremes with places": (lambda x: x.max(1).values * x.min(1).values + x.topk(2, 1).values.sum(1), A),
    "spread": (lambda x: x.var(1) + x.std(0).sum() + torch.var_mean(x, 1, correction=0)[0] + x.var(), A),
    "norms": (lambda x: x.norm() + x.norm(dim=1) + torch.linalg.vector_norm(x, 1, 0).sum() + F.normalize(x).sum(), A),
    "softmax": (lambda x: x.softmax(1) * x.log_softmax(0) + torch.logsumexp(x, 1, keepdim=True), A),
    "inner softmax": (lambda x: torch._softmax(x, 1, False) * torch._log_softmax(x, 0, False), A),
    "products": (lambda x, w, b: F.linear(x, w, b) + x @ w.T + torch.addmm(b, x, w.T, alpha=2), ((3, 4), (5, 4), (5,))),
    "stacks of products": (
        lambda x, y: torch.bmm(x, y) * torch.baddbmm(x[..., :3], x, y) + torch.einsum("bij,bjk->bik", x, y),
        ((2, 3, 4), (2, 4, 3)),
    ),
    "vectors": (lambda x, v: torch.mv(x, v) * torch.dot(v, v) + torch.mm(x, v[:, None])[:, 0], ((3, 4), (4,))),
    "convolution": (
        lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1, dilation=(1, 2), groups=2),
        (*IMAGE, (6, 2, 3, 2), (6,)),
    ),
    "convolution of a line": (lambda x, w: F.conv1d(x, w, padding="same"), ((2, 3, 8), (4, 3, 3))),
    "transposed convolution": (
        lambda x, w, b: F.conv_transpose2d(x, w, b, stride=2, padding=1, output_padding=1),
        (*IMAGE, (4, 3, 3, 3), (3,)),
    ),
    "largest of windows": (lambda x: F.max_pool2d(x, 3, 2, 1).sum() + F.max_pool2d(x, 2, dilation=2, stride=1), IMAGE),
    "windows over the border": (lambda x: F.max_pool2d(x, 2, 2, ceil_mode=True), IMAGE),
    "means of windows": (lambda x: F.avg_pool2d(x, 3, 2, 1).sum() + F.avg_pool2d(x, 2, divisor_override=3), IMAGE),
    "means of parts": (lambda x: F.adaptive_avg_pool2d(x, (3, 4)) + F.adaptive_avg_pool2d(x, 1), IMAGE),
    "larger": (lambda x: F.interpolate(x, scale_factor=2) + F.interpolate(x, size=(14, 12), mode="bilinear"), IMAGE),
    "larger to the corners": (lambda x: F.interpolate(x, size=(9, 5), mode="bilinear", align_corners=True), IMAGE),
    "of lines": (
        lambda x: (
            F.max_pool1d(F.interpolate(x, scale_factor=2.0, mode="linear"), 2)
            * F.adaptive_avg_pool1d(F.interpolate(x, scale_factor=3.0), 6)
        ),
        ((2, 3, 6),),
    ),
    "of volumes": (
        lambda x: (
            F.max_pool3d(F.interpolate(x, scale_factor=2.0, mode="trilinear"), 2)
            * F.avg_pool3d(F.interpolate(x, scale_factor=2.0), 2)
            * F.adaptive_avg_pool3d(x, 1)
        ),
        ((2, 3, 4, 3, 2),),
    ),
    "batch statistics": (
        lambda x, w, b: F.batch_norm(x, torch.zeros(4).double(), torch.ones(4).double(), w, b, training=True) * x,
        (*IMAGE, (4,), (4,)),
    ),
    "running statistics": (lambda x: F.batch_norm(x, torch.zeros(4).double(), torch.ones(4).double()) * x, IMAGE),
    "statistics of instances": (lambda x: F.instance_norm(x) * x, IMAGE),
    "statistics of layers": (lambda x, w, b: F.layer_norm(x, (7, 6), w, b) * x, (*IMAGE, (7, 6), (7, 6))),
    "statistics of groups": (lambda x, w, b: F.group_norm(x, 2, w, b) * x, (*IMAGE, (4,), (4,))),
    "dropout": (lambda x: F.dropout(x, 0.4) + F.dropout2d(x, 0.5) + torch.native_dropout(x, 0.0, True)[0], IMAGE),
    "attention": (attention(is_causal=True), ((2, 3, 4),) * 3),
    "masked attention": (attention(is_causal=False, mask=MASK), ((2, 3, 5), (2, 4, 5), (2, 4, 5))),
    "cross-entropy": (lambda x: F.cross_entropy(x, torch.tensor([1, 3, 0])), A),
    "weighted cross-entropy": (
        lambda x: F.cross_entropy(
            x, torch.tensor([1, -100, 0]), weight=torch.arange(1.0, 5).double(), label_smoothing=0.1
        ),
        A,
    ),
    "cross-entropy of pixels": (lambda x: F.cross_entropy(x, torch.zeros(2, 7, 6, dtype=torch.long)), IMAGE),
    "distances": (lambda x, y: F.mse_loss(x, y) + F.l1_loss(x, y) + F.smooth_l1_loss(x, y, beta=0.5), AB),
    "robust distances": (lambda x, y: F.huber_loss(x, y, reduction="sum", delta=0.7) + F.smooth_l1_loss(x, y), AB),
    "coins": (
        lambda x: (
            F.binary_cross_entropy(x.sigmoid(), MASK.double())
            + F.binary_cross_entropy_with_logits(x, MASK.double(), pos_weight=torch.tensor(2.0))
        ),
        A,
    ),
    "divergence": (lambda x, y: F.kl_div(x.log_softmax(1), y.softmax(1), reduction="batchmean"), AB),
    "LSTM": (recurrent(nn.LSTM, bidirectional=True), ((5, 2, 3),)),
    "GRU": (recurrent(nn.GRU, batch_first=True), ((2, 5, 3),)),
    "recurrent with tanh": (recurrent(nn.RNN, bias=False), ((5, 2, 3),)),
    "recurrent with ReLU": (recurrent(nn.RNN, nonlinearity="relu"), ((5, 2, 3),)),
    "cells": (
        lambda x, h, w, u: torch.lstm_cell(x, (h, h), w, u)[0] + torch.gru_cell(x, h, w[:12], u[:12]),
        ((2, 3), (2, 4), (16, 3), (16, 4)),
    ),
}
