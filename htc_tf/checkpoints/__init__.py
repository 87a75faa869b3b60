"""What a model directory is: its checkpoints, its configuration and its classes."""
