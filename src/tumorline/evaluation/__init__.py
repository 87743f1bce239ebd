"""What a model reaches on cases: scores, baselines, operating point, robustness, and the tables of them."""
