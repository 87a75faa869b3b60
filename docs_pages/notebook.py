"""Run a notebook from top to bottom and store its outputs in it.

It needs the packages of requirements-notebook.txt. `make notebook` installs them and runs it.

Example:
  python -m docs_pages.notebook notebooks/first_steps.ipynb
"""

import argparse
import pathlib
import re
import resource
import sys
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import nbformat

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
    assignment = re.compile(rf'^{re.escape(name)} = .*$', re.MULTILINE)
    if not assignment.search(cell.source):
      known = re.findall(r'^(\w+) = ', cell.source, re.MULTILINE)
      raise InputError('The notebook has no such parameter', expected=' or '.join(known), got=name)
    cell.source = assignment.sub(lambda _, text=f'{name} = {value!r}': text, cell.source)
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


def main(argv: list[str] | None = None) -> int:
  """Run the notebook, write it, and return the exit status."""
  parser = argparse.ArgumentParser(description='Run a notebook and store its outputs in it.')
  parser.add_argument('notebook', type=pathlib.Path, help='file.ipynb')
  path = parser.parse_args(argv).notebook
  notebook = nbformat.read(path, as_version=4)
  duration = execute(notebook, str(path.parent))
  nbformat.write(notebook, path)
  print(f'{path}: {duration.wall:.0f} s, {duration.processor:.0f} s of processor time')
  return 0


if __name__ == '__main__':
  sys.exit(main())
