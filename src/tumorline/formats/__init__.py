"""Files of images, a module for each format: whatever lies in one, it gives its pixels or one line about it."""
