"""The mean over training steps of a network's weights, which draws calmer samples than the weights of any one step."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def averaged_copy(network: nn.Module, *, decay: float) -> AveragedModel:
    """A copy whose `update_parameters(network)` moves weights and batch normalisation's means towards the network's.

    An exponential mean (https://arxiv.org/abs/1806.04498, equation 3) that begins with a short memory, else the first
    weights would stay for long: the decay of step n is at most (1 + n) / (10 + n), TensorFlow's formula.
    """

    def average(averaged: Tensor, current: Tensor, num_averaged: Tensor | int) -> Tensor:
        share = torch.as_tensor((1 + num_averaged) / (10 + num_averaged)).clamp(max=decay).to(averaged.device)
        return share * averaged + (1 - share) * current

    return AveragedModel(network, avg_fn=average, use_buffers=True).requires_grad_(requires_grad=False)
