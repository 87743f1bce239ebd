"""From tissue fractions to the grey values of one contrast, as a scanner would show them."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from tumorline.arrays import Float32Array
from tumorline.simulation.field import Axes, Noise
from tumorline.simulation.scene import Scene

T1CE = {
    "air": 0.0,
    "skin": 0.5,
    "fat": 1.0,
    "muscle": 0.4,
    "bone": 0.07,
    "marrow": 0.5,
    "dura": 0.55,
    "fluid": 0.14,
    "grey": 0.37,
    "white": 0.46,
    "vessel": 0.9,
    "solid": 0.38,
    "enhancing": 0.92,
    "necrosis": 0.2,
    "oedema": 0.31,
}
"""Signal of each tissue after contrast agent, relative to fat."""
T1 = {**T1CE, "dura": 0.3, "vessel": 0.3, "solid": 0.34, "enhancing": 0.36}
"""The same before contrast agent."""
T2 = {
    "air": 0.0,
    "skin": 0.3,
    "fat": 0.75,
    "muscle": 0.2,
    "bone": 0.05,
    "marrow": 0.35,
    "dura": 0.2,
    "fluid": 0.95,
    "grey": 0.52,
    "white": 0.4,
    "vessel": 0.15,
    "solid": 0.62,
    "enhancing": 0.58,
    "necrosis": 0.88,
    "oedema": 0.75,
}
"""Signal relative to what is brightest."""
FLAIR = {
    **T2,
    "fat": 0.5,
    "fluid": 0.08,
    "grey": 0.45,
    "white": 0.36,
    "solid": 0.7,
    "enhancing": 0.62,
    "necrosis": 0.3,
    "oedema": 0.85,
}
"""T2 with the signal of fluid suppressed."""


class Scanner:
    """One examination: its own signals, bias field, sharpness, noise and scale of grey values."""

    def __init__(self, rng: np.random.Generator, contrast: dict[str, float]) -> None:
        self._signals = {name: signal * np.exp(rng.normal(0, 0.06)) for name, signal in contrast.items()}
        self._bias, self._bias_strength = Noise.draw(rng, 90), rng.uniform(0.05, 0.18)
        self._blur_px = rng.uniform(0.4, 0.75)
        self._noise = rng.uniform(0.012, 0.035)
        self._gain = rng.uniform(0.8, 1.2)
        self._rng = rng

    def acquire(self, scene: Scene, axes: Axes) -> npt.NDArray[np.uint8]:
        """Grey values 0..255 of a scene, each axial plane blurred in itself, with Rician noise.

        Gudbjartsson and Patz, The Rician distribution of noisy MRI data, 1995.
        """
        signal: Float32Array = sum(self._signals[name] * fraction for name, fraction in scene.items())
        signal = ndimage.gaussian_filter(signal, (self._blur_px, self._blur_px, 0))
        signal = signal * np.exp(self._bias_strength * self._bias(axes))
        real, imaginary = self._noise * self._rng.standard_normal((2, *signal.shape))
        magnitude = np.hypot(signal + real, imaginary)
        grey: npt.NDArray[np.uint8] = np.clip(np.rint(255 * self._gain * magnitude), 0, 255).astype(np.uint8)
        return grey
