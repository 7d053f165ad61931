"""What the whole engine looks at while it runs, each changed for a while by a context manager."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

KERNELS = ("scratch", "vendor")


@dataclass(slots=True)
class Config:
    """The state that functions and layers read.

    Attributes:
        enable_backprop: whether functions record themselves for a reverse pass.
        train: whether dropout drops and batch normalisation uses the batch's statistics.
        kernels: convolution, pooling and LSTM written out here ("scratch") or torch's compiled ones ("vendor").
    """

    enable_backprop: bool = True
    train: bool = True
    kernels: str = "scratch"


config = Config()


@contextmanager
def using_config(name: str, value: bool | str) -> Iterator[None]:  # noqa: FBT001 - DeZero's signature
    """Set one field of the configuration inside a `with` block."""
    known = [field.name for field in fields(Config)]
    if name not in known:
        raise ValueError(f"the engine's configuration has no {name!r}; it has {', '.join(known)}")
    if name == "kernels" and value not in KERNELS:
        raise ValueError(f"kernels={value!r} is not one of {', '.join(KERNELS)}")
    before = getattr(config, name)
    setattr(config, name, value)
    try:
        yield
    finally:
        setattr(config, name, before)


@contextmanager
def no_grad() -> Iterator[None]:
    """Compute without recording: no graph, nothing kept for backward."""
    with using_config("enable_backprop", False):
        yield


@contextmanager
def test_mode() -> Iterator[None]:
    """Run layers as they are used after training: no dropout, running statistics."""
    with using_config("train", False):
        yield


# pytest must not take the context manager for a test.
test_mode.__test__ = False  # type: ignore[attr-defined]
