"""Distances between two sets of features [N, D], as numpy arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Reference:
    """The set that others are compared with, on its own principal components.

    Few pictures do not fix a covariance of many dimensions, so only `dimensions` are kept; each is
    scaled by the largest deviation.
    """

    def __init__(self, features: Array, dimensions: int) -> None:
        self.mean = features.mean(0)
        _, deviations, axes = np.linalg.svd(features - self.mean, full_matrices=False)
        self.axes = axes[:dimensions].T / (deviations[0] / np.sqrt(len(features)))
        self.features = self.project(features)

    def project(self, features: Array) -> Array:
        """[N, D] → [N, dimensions]."""
        return (features - self.mean) @ self.axes

    def frechet(self, features: Array) -> float:
        """|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½) of projected features."""
        return frechet(self.features, features)

    def kernel(self, features: Array) -> float:
        """The unbiased squared kernel distance of projected features."""
        return kernel(self.features, features)


def frechet(a: Array, b: Array) -> float:
    """The Fréchet distance of the normal distributions that fit two sets (Heusel et al., 2017)."""
    first, second = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    # The product of two covariances has real eigenvalues; rounding makes them slightly complex.
    roots = np.sqrt(np.linalg.eigvals(first @ second).real.clip(min=0))
    between = np.square(a.mean(0) - b.mean(0)).sum()
    return float(between + np.trace(first) + np.trace(second) - 2 * roots.sum())


def kernel(a: Array, b: Array) -> float:
    """Unbiased squared MMD under (x·y / D + 1)³ (Bińkowski et al., 2018)."""

    def k(x: Array, y: Array) -> Array:
        return (x @ y.T / x.shape[1] + 1) ** 3

    def within(x: Array) -> float:
        values = k(x, x)
        return float((values.sum() - np.trace(values)) / (len(x) * (len(x) - 1)))

    return within(a) + within(b) - 2 * float(k(a, b).mean())
