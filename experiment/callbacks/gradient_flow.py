"""How large each parameter's gradient was over the run, as a picture in the trackers: where it fades or bursts."""

import math
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageOps
from pytorch_lightning import Callback, LightningModule, Trainer

from lightning_modules.logged_pictures import log_pictures

_MOST_COLUMNS = 400
_ROW, _CELL, _LEFT, _RIGHT, _TOP = 13, 2, 300, 80, 30  # pixels


class GradientFlow(Callback):
    """Notes norms of gradients before they are clipped, and draws all of them at the end of every epoch.

    Args:
        every_n_steps: how often an optimiser's steps are looked at; null for never. On a GPU every look waits for it.
            A long run is looked at less often, so that the picture stays as wide as a screen.

    Raises:
        ValueError: `every_n_steps` is not positive.
    """

    def __init__(self, *, every_n_steps: int | None) -> None:
        if every_n_steps is not None and every_n_steps < 1:
            raise ValueError(f"every_n_steps={every_n_steps}: 1 or more; null leaves it out")
        self.every_n_steps = every_n_steps
        # By parameter: {"steps": of its optimiser so far, "every": of them one is noted, "norms": the notes}.
        self.rows: dict[str, dict[str, Any]] = {}

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows} if self.rows else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = state_dict["rows"]

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        if self.every_n_steps is None:
            return
        updated = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        due: dict[str, torch.Tensor] = {}
        for name, parameter in pl_module.named_parameters():
            if id(parameter) not in updated or parameter.grad is None:
                continue
            row = self.rows.setdefault(name, {"steps": 0, "every": self.every_n_steps, "norms": []})
            row["steps"] += 1
            if (row["steps"] - 1) % row["every"] == 0:
                due[name] = parameter.grad.detach()
        if not due:
            return
        norms = torch.stack([gradient.norm(dtype=torch.float32) for gradient in due.values()]).tolist()
        for name, norm in zip(due, norms, strict=True):
            self._note(self.rows[name], norm)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self.rows or not trainer.is_global_zero:
            return
        order = [name for name, _ in pl_module.named_parameters() if name in self.rows]
        picture = draw_rows({name: self.rows[name]["norms"] for name in order}, steps=trainer.global_step)
        log_pictures(trainer, "train/gradient_flow", [picture], step=trainer.global_step)

    @staticmethod
    def _note(row: dict[str, Any], norm: float) -> None:
        row["norms"].append(norm)
        if len(row["norms"]) == _MOST_COLUMNS:
            row["norms"] = row["norms"][::2]
            row["every"] *= 2


def draw_rows(rows: dict[str, list[float]], *, steps: int) -> Image.Image:
    """A row for each parameter, time from left to right; the brighter, the larger (logarithmic); the last norm as text.

    Black is a gradient of exactly zero, green one that is not finite.
    """
    logs = [math.log10(norm) for norms in rows.values() for norm in norms if norm > 0 and math.isfinite(norm)]
    low, high = (min(logs), max(logs)) if logs else (0.0, 0.0)
    width = _CELL * max(len(norms) for norms in rows.values())
    picture = Image.new("RGB", (_LEFT + max(width, 300) + _RIGHT, _TOP + _ROW * len(rows)), "white")
    draw = ImageDraw.Draw(picture)
    draw.text(
        (_LEFT, 8), f"norm of the gradient, steps 0 to {steps}: dark {10**low:.1e}, bright {10**high:.1e}", "black"
    )
    for number, (name, norms) in enumerate(rows.items()):
        top = _TOP + _ROW * number
        shades = bytes(_shade(norm, low, high) for norm in norms)
        line = ImageOps.colorize(Image.frombytes("L", (len(norms), 1), shades), "#2a0a4a", "#fff3b0", mid="#d1495b")
        for column, norm in enumerate(norms):
            if norm == 0 or not math.isfinite(norm):
                line.putpixel((column, 0), (0, 0, 0) if norm == 0 else (0, 200, 80))
        picture.paste(line.resize((max(width, 300), _ROW - 1), Image.Resampling.NEAREST), (_LEFT, top))
        draw.text((4, top), name[-48:], "black")
        draw.text((_LEFT + max(width, 300) + 6, top), f"{norms[-1]:.1e}", "black")
    return picture


def _shade(norm: float, low: float, high: float) -> int:
    if norm <= 0 or not math.isfinite(norm) or high == low:
        return 0
    return round(255 * (math.log10(norm) - low) / (high - low))
