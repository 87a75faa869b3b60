"""Training runs: driver, workers, start, seeds and the record of each start."""
