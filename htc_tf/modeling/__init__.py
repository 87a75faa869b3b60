"""The model: `factory` builds it from configuration, `htc_model` connects its parts."""
