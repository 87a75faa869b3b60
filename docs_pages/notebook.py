"""Run a notebook from top to bottom and store its outputs in it.

It needs the packages of requirements-notebook.txt. `make notebook` installs them and runs it.

Example:
  python -m docs_pages.notebook notebooks/first_steps.ipynb
"""

import argparse
import ast
import os
import re
import resource
import sys
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import nbformat

from htc_tf.cli import command
from htc_tf.errors import InputError

PARAMETERS = 'parameters'  # Tag of the cell whose values can be replaced.


class Duration(NamedTuple):
  """How long a notebook took.

  Attributes:
    wall: seconds from the start to the end.
    processor: seconds of all cores, in the kernel and the programs that it started.
  """

  wall: float
  processor: float


def with_parameters(notebook: Any, values: Mapping[str, Any]) -> Any:
  """A copy of a notebook with other values in its cell of parameters.

  Args:
    notebook: the notebook, of nbformat.
    values: new value of each parameter by name.

  Raises:
    InputError: the cell assigns no such parameter.
  """
  notebook = nbformat.from_dict(notebook)
  (cell,) = (cell for cell in notebook.cells if PARAMETERS in cell.metadata.get('tags', ()))
  for name, value in values.items():
    known = re.findall(r'^(\w+) = ', cell.source, re.MULTILINE)
    if name not in known:
      raise InputError('The notebook has no such parameter', expected=' or '.join(known), got=name)
    lines = cell.source.splitlines()
    new = f'{name} = {value!r}'
    cell.source = '\n'.join(new if line.startswith(f'{name} = ') else line for line in lines)
  return notebook


def execute(notebook: Any, folder: str) -> Duration:
  """Run all cells in a new kernel; their outputs replace those in the notebook.

  Args:
    notebook: the notebook, of nbformat.
    folder: working folder of the kernel.

  Raises:
    nbclient.exceptions.CellExecutionError: a cell failed.
  """
  import nbclient  # Only this function needs the packages of requirements-notebook.txt.

  start, used = time.monotonic(), _processor_seconds()
  client = nbclient.NotebookClient(
    notebook,
    timeout=None,
    startup_timeout=300,
    kernel_name='python3',
    record_timing=False,  # Times in the file would change it in every run.
    coalesce_streams=True,
    resources={'metadata': {'path': folder}},
  )
  client.execute()
  return Duration(time.monotonic() - start, _processor_seconds() - used)


def _processor_seconds() -> float:
  """Processor time of all ended child processes of this one."""
  usage = resource.getrusage(resource.RUSAGE_CHILDREN)
  return usage.ru_utime + usage.ru_stime


def _value(text: str) -> Any:
  """The Python value that a text writes; the text itself if it writes none."""
  try:
    return ast.literal_eval(text)
  except (SyntaxError, ValueError):
    return text


def main(argv: list[str] | None = None) -> int:
  """Run the notebook, write it, and return the exit status; see `command.run`."""
  parser = argparse.ArgumentParser(
    prog='python -m docs_pages.notebook',
    description='Run a notebook and store its outputs in it.',
  )
  parser.add_argument('notebook', help='file.ipynb')
  parser.add_argument('--output', help='file to write (default: the notebook itself)')
  parser.add_argument(
    '--set',
    action='append',
    default=[],
    metavar='NAME=VALUE',
    help='other value of a parameter; may be repeated',
  )

  def run(args: argparse.Namespace) -> int:
    values = {name: _value(text) for name, _, text in (each.partition('=') for each in args.set)}
    notebook = with_parameters(nbformat.read(args.notebook, as_version=4), values)
    duration = execute(notebook, os.path.dirname(args.notebook) or '.')
    nbformat.write(notebook, args.output or args.notebook)
    print(f'{duration.wall:.0f} s, {duration.processor:.0f} s of processor time')
    return 0

  return command.run(parser, run, argv)


if __name__ == '__main__':
  sys.exit(main())
