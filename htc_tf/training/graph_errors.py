"""Finds errors of ours that were raised within a graph."""

import re

from htc_tf import errors

_STATED = re.compile(
  r'\b(?:{}): (.+)'.format('|'.join(error.__name__ for error in errors.HTCError.__subclasses__()))
)


def stated_message(error: BaseException) -> str | None:
  """The message of the error of ours behind one of TensorFlow; None if there is none.

  What Python raises within a graph comes out as an error of TensorFlow, whose text has type,
  message and traceback of the first.
  """
  found = _STATED.search(str(error))
  return found and found[1]
