"""The address of a model on a server, and the connection to it."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

from htc_tf.errors import InputError, ServingError

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


class Connection:
  """A connection to a model on a server, which is called with encoded images.

  `close` ends it; as a context manager it closes itself.

  Args:
    target: model on the server.
    send: function that sends a request.
    release: function that releases the network connection.
  """

  def __init__(self, target: Target, send: Call, release: Callable[[], None] = lambda: None):
    self._target = target
    self._send = send
    self._release = release
    self._is_open = True

  def __call__(self, images: Sequence[bytes]) -> dict[str, np.ndarray]:
    """Arrays by output name; their first axis is the batch.

    Args:
      images: contents of JPEG or PNG files.

    Raises:
      InputError: there are no images.
      ServingError: the connection is closed, or the server does not answer as expected.
    """
    if not self._is_open:
      raise ServingError(
        f'The connection to {self._target.server} is closed',
        expected='calls before `close`, or inside the `with` block',
      )
    if len(images) == 0:
      raise InputError(
        'There are no images', expected='one image or more', likely_cause='an empty selection'
      )
    return self._send(images)

  def close(self) -> None:
    """Close the connection; further calls of `close` do nothing."""
    if self._is_open:
      self._is_open = False
      self._release()

  def __enter__(self) -> Self:
    """The connection itself."""
    return self

  def __exit__(
    self,
    kind: type[BaseException] | None,
    error: BaseException | None,
    traceback: TracebackType | None,
  ) -> None:
    """Close the connection."""
    self.close()
