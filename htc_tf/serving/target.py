"""The model on a server that a client asks for detections."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

# Signature of an export that takes encoded images, and the name of its input.
SIGNATURE = 'image_bytes'
INPUT = 'inputs'

# From encoded images to arrays by output name, the batch axis first.
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
