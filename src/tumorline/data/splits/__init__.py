"""Who trains, validates and tests, and what may not lie on both sides."""
