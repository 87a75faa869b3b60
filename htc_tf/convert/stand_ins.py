"""Inert objects that stand in for the functions and classes a checkpoint names."""

from collections.abc import Callable
from typing import Any, NamedTuple

from htc_tf.convert.unreadable import UnreadableError


class Placeholder:
  """An object nobody needs: it takes any construction and any contents, and keeps none.

  Attributes:
    name: what the file calls it.
  """

  __slots__ = ('name',)

  def __init__(self, name: str):
    self.name = name

  def make(self, arguments: tuple) -> 'Placeholder':
    """What the file would have built by calling it."""
    del arguments
    return Placeholder(self.name)


class Constructor(NamedTuple):
  """An allowed function.

  Attributes:
    name: what the file calls it.
    function: takes the arguments in the file, which it has to check.
    num_arguments: fewest and most arguments.
  """

  name: str
  function: Callable[..., Any]
  num_arguments: tuple[int, int]

  def make(self, arguments: tuple) -> Any:
    """What the function makes of `arguments`; raises UnreadableError if they are not its kind."""
    fewest, most = self.num_arguments
    require(
      fewest <= len(arguments) <= most,
      f'{self.name} takes {fewest} to {most} arguments and got {len(arguments)}',
    )
    return self.function(*arguments)


def require(condition: bool, reason: str) -> None:
  """Raises UnreadableError with `reason` unless `condition` holds."""
  if not condition:
    raise UnreadableError(reason)
