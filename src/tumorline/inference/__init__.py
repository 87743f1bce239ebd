"""From a model file and an image to masks on the image's own grid; needs no torch."""
