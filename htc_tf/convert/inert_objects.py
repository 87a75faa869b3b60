"""Inert objects built in place of the functions and classes that a pickle names.

Nothing that a checkpoint names is imported or executed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from htc_tf.convert.unreadable import UnreadableError

# Full name to our function, and to the smallest and largest number of its arguments.
FunctionTable: TypeAlias = dict[str, tuple[Callable[..., Any], tuple[int, int]]]


class Placeholder:
  """An object that weights do not need: it accepts any arguments and contents, and drops them.

  Args:
    name: full name of the function or class in the file.
  """

  __slots__ = ('name',)

  def __init__(self, name: str):
    self.name = name

  def make(self, arguments: tuple) -> 'Placeholder':
    """The placeholder for the result of a call."""
    del arguments
    return Placeholder(self.name)


class Constructor(NamedTuple):
  """The replacement for a function or class that a pickle may call.

  Attributes:
    name: full name of the function or class in the file.
    function: our function; it has to check the arguments, which come from the file.
    num_arguments: smallest and largest number of arguments.
  """

  name: str
  function: Callable[..., Any]
  num_arguments: tuple[int, int]

  def make(self, arguments: tuple) -> Any:
    """The result of a call; raises UnreadableError if the arguments are not acceptable."""
    smallest, largest = self.num_arguments
    require(
      smallest <= len(arguments) <= largest,
      f'{self.name} takes {smallest} to {largest} arguments and got {len(arguments)}',
    )
    return self.function(*arguments)


def constructors(functions: FunctionTable) -> dict[str, Constructor]:
  """Constructors by full name."""
  return {
    name: Constructor(name, function, num_arguments)
    for name, (function, num_arguments) in functions.items()
  }


def require(condition: bool, reason: str) -> None:
  """Raise UnreadableError with `reason` unless `condition` holds."""
  if not condition:
    raise UnreadableError(reason)
