"""The ablation of the paper on `scenes`: `python -m benchmarks.ablation --output=FOLDER`."""
