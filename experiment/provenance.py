"""What a result depends on beside its configuration: code, packages, hardware."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "omegaconf", "numpy", "wandb")
PROJECT_DIR = Path(__file__).resolve().parent.parent


def package_versions() -> dict[str, str]:
    """Of Python and of the packages that results depend on."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def hardware() -> dict[str, Any]:
    """Processor, cores this process may use, memory, and GPUs."""
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "machine": platform.machine(),
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gb": _memory_gb(),
        "gpus": gpus,
    }


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError, AttributeError):
        return None


def git_state() -> dict[str, Any]:
    """The commit of the code and what it has not; all None outside a repository."""
    sha = _git("rev-parse", "HEAD")
    diff = _git("diff", "HEAD", "--no-color") if sha else None
    untracked = _git("ls-files", "--others", "--exclude-standard") if sha else None
    return {
        "sha": sha,
        "branch": _git("rev-parse", "--abbrev-ref", "HEAD") if sha else None,
        "is_dirty": bool(diff or untracked) if sha else None,
        "diff": diff,
        "untracked": untracked.splitlines() if untracked else [],
    }


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=PROJECT_DIR, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip("\n")
