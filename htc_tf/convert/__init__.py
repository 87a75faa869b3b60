"""Published checkpoints of torch and Paddle, read without either and without executing anything."""
