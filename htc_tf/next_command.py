"""The last line of a command: the command to type next."""

import shlex


def line(*words: str) -> str:
  """The line that names the next command.

  Args:
    *words: the command and its arguments; they are quoted as a shell needs it.
  """
  return f'next: {shlex.join(words)}'
