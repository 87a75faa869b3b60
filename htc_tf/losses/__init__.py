"""Losses as pure functions of tensors; only `htc_loss` applies the weights of the terms."""
