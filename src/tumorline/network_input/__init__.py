"""What a network sees of a case, the same in training and in prediction, and the caches that keep it."""
