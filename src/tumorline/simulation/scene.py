"""Tissue fractions of one patient on any product grid, painted from the outside in."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tumorline.arrays import Float32Array, MaskArray
from tumorline.simulation.anatomy import Head
from tumorline.simulation.field import Axes, Noise, positions, ramp
from tumorline.simulation.tumour import Tumour

Scene = dict[str, Float32Array]


@dataclass(frozen=True)
class Surroundings:
    """Random fields of one patient that are neither brain nor tumour."""

    thickness: Noise
    vessels: tuple[Noise, Noise]
    speckle: Noise

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Surroundings":
        thickness, first, second, speckle = (Noise.draw(rng, scale_mm) for scale_mm in (60, 20, 20, 7))
        return cls(thickness, (first, second), speckle)


@dataclass(frozen=True)
class View:
    """What all painters need to know about a grid: where it lies and how deep."""

    axes: Axes
    template_mm: Float32Array
    depth: Float32Array
    width_mm: float


@dataclass(frozen=True)
class Patient:
    """Everything that is true of one simulated patient, to be evaluated on any product grid."""

    head: Head
    tumour: Tumour
    surroundings: Surroundings

    def mask(self, axes: Axes) -> MaskArray:
        """Tumour `(x, y, z)`: enhancing rim and necrotic core, without oedema."""
        points = self.head.to_template(axes)
        return self._level(axes, self.head.depth(points), points) > 0

    def necrosis(self, axes: Axes) -> MaskArray:
        """Necrotic core `(x, y, z)`, a part of the mask."""
        points = self.head.to_template(axes)
        return self.tumour.core(axes, self._level(axes, self.head.depth(points), points)) > 0

    def scene(self, axes: Axes, width_mm: float) -> Scene:
        """Fractions `(x, y, z)` of each tissue, 1 in sum; surfaces are as soft as `width_mm`."""
        points = self.head.to_template(axes)
        view = View(axes, points, self.head.depth(points), width_mm)
        level = self._level(axes, view.depth, points)
        pushed = points - self.head.turned(self.tumour.push(positions(axes), view.depth))
        scene = {"air": np.ones_like(view.depth)}
        self._paint_shell(scene, view)
        _paint(scene, self.head.tissue(pushed))
        self._paint_vessels(scene, view)
        self._paint_tumour(scene, view, level)
        return scene

    def _level(self, axes: Axes, depth: Float32Array, points: Float32Array) -> Float32Array:
        return self.tumour.level(axes, depth, self.head.tissue(points))

    def _paint_shell(self, scene: Scene, view: View) -> None:
        """Skin, fat, muscle, skull with marrow, dura, and fluid all over the inside."""
        bumps, speckle = self.surroundings.thickness(view.axes), self.surroundings.speckle(view.axes)
        skull = self.head.skull_mm * (1 + 0.15 * bumps)
        scalp = self.head.scalp_mm * (1 + 0.2 * bumps)
        low = np.clip(-view.template_mm[2] / 40, 0, 1)
        outside_in = {
            "skin": skull + scalp + 2,
            "fat": skull + scalp,
            "muscle": skull + 0.8 * low * scalp,
            "bone": skull,
        }
        for name, thickness in outside_in.items():
            _paint(scene, {name: ramp(view.depth + thickness, view.width_mm)})
        marrow = ramp(skull / 5 - np.abs(view.depth + skull / 2), view.width_mm)
        _paint(scene, {"marrow": marrow * (speckle > -1)})
        _paint(scene, {"dura": ramp(view.depth + 0.8, view.width_mm)})
        _paint(scene, {"fluid": ramp(view.depth, view.width_mm)})
        base = ramp(self.head.away_from_brain(view.template_mm) - 5, 3) * ramp(view.depth, view.width_mm)
        _paint_base(scene, base, speckle)

    def _paint_vessels(self, scene: Scene, view: View) -> None:
        """Bright distractors: vessels outside white matter, sagittal sinus, falx and choroid plexus."""
        first, second = (noise(view.axes) for noise in self.surroundings.vessels)
        inside = ramp(view.depth, view.width_mm)
        tubes = ramp(1.2 - 16 * np.hypot(first, second), 1.0) * inside * (1 - scene["white"])
        x, y, z = view.template_mm
        top = ((z > 15) | (y < -30)) & (z > -25)
        sinus = ramp(3.5 - np.abs(x) - np.maximum(view.depth - 3, 0), view.width_mm) * inside * top
        falx = 0.6 * ramp(0.8 - np.abs(x), view.width_mm) * inside * top * (view.depth < 28)
        plexus = scene["fluid"] * (view.depth > 32) * ramp(self.surroundings.speckle(view.axes) - 1.3, 0.5)
        _paint(scene, {"dura": falx})
        _paint(scene, {"vessel": np.maximum.reduce([tubes, sinus, 0.7 * plexus])})

    def _paint_tumour(self, scene: Scene, view: View, level: Float32Array) -> None:
        """Oedema along the white matter, dural tail, tumour as it enhances, necrotic core."""
        texture = self.tumour.texture(view.axes)
        if self.tumour.oedema_mm > 1:
            fingers = ramp(level + self.tumour.oedema_mm * (1 + 0.3 * texture), 4)
            _paint(scene, {"oedema": 0.9 * fingers * scene["white"]})
        if self.tumour.kind.extra_axial:
            tail = ramp(level + 9, 4) * ramp(1.5 - np.abs(view.depth - 0.5), view.width_mm)
            _paint(scene, {"enhancing": 0.6 * tail})
        inside = ramp(level, view.width_mm)
        _paint(scene, {"solid": inside})
        uptake = self.tumour.enhancement * (1 + self.tumour.kind.patchiness * texture)
        _paint(scene, {"enhancing": inside * np.clip(uptake, 0, 1)})
        _paint(scene, {"necrosis": inside * ramp(self.tumour.core(view.axes, level), 1.5 * view.width_mm)})


def _paint_base(scene: Scene, base: Float32Array, speckle: Float32Array) -> None:
    """Below the brain: bone, muscle and fat in a mixture that looks like none of them."""
    _paint(scene, {"bone": base})
    _paint(scene, {"muscle": base * ramp(speckle, 0.8)})
    _paint(scene, {"fat": base * ramp(speckle - 1.4, 0.5)})


def _paint(scene: Scene, parts: Mapping[str, Float32Array]) -> None:
    """Cover the scene with layers of the given opacity; what was there before keeps the rest."""
    rest = 1 - np.sum(list(parts.values()), axis=0)
    for name in scene:
        scene[name] = scene[name] * rest
    for name, opacity in parts.items():
        scene[name] = scene.get(name, np.float32(0)) + opacity
