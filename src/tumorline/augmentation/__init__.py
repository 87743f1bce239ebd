"""Random changes of the training images; what is drawn for a sample depends on (seed, epoch, sample) alone."""
