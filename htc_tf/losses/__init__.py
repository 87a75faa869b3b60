"""Pure functions of tensors; `htc_loss` alone applies the weights of the terms."""
