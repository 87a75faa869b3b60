"""The address of a model on a server, and the type of the functions that call it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

# Signature of an export for encoded images, and the name of its input.
SIGNATURE = 'image_bytes'
INPUT = 'inputs'

# Function from encoded images to arrays by output name; their first axis is the batch.
Call = Callable[[Sequence[bytes]], dict[str, np.ndarray]]


class Target(NamedTuple):
  """A model on a server.

  Attributes:
    server: `grpc://host:8500`, `http://host:8501` or `https://host`.
    model: name of the model on the server.
    version: version number; None for the server's default, the highest one.
    timeout: seconds that a request may take.
  """

  server: str
  model: str = 'htc'
  version: int | None = None
  timeout: float = 60.0
