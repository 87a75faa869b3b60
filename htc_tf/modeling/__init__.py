"""The model: `factory` builds it from configuration, `htc_model` wires its parts."""
