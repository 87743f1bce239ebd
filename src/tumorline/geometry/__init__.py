"""Grids of pixels and voxels: distances, flips, slices, resampling, and windows that tile a space."""
