"""What is given to predict: which files are images, and which of them are the channels of one case."""
