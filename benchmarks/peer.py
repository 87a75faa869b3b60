"""The Python environment of mmdetection, and the flags that name it."""

import argparse
import os
import pathlib
from typing import NamedTuple

from htc_tf import processes

_ROOT = pathlib.Path(__file__).parents[1]


class Peer(NamedTuple):
  """The Python environment of the peer.

  Attributes:
    python: path of the Python that has mmdet and mmcv.
    path: folder for its PYTHONPATH; '' for none.
    first_import: module that it imports before mmdet; '' for none.
  """

  python: str
  path: str = ''
  first_import: str = ''

  @property
  def imports(self) -> list[str]:
    """The module of `first_import` as words of a command."""
    return list(filter(None, [self.first_import]))


def environment(folder: str = '') -> dict[str, str]:
  """Variables of a process of a benchmark, which uses all cores and finds this repository.

  Args:
    folder: another folder for its PYTHONPATH; '' for none.
  """
  path = os.pathsep.join(filter(None, [str(_ROOT), folder, os.environ.get('PYTHONPATH')]))
  return {
    'TF_CPP_MIN_LOG_LEVEL': '2',
    **os.environ,
    'PYTHONPATH': path,
    # By default torch uses one thread per physical core, but mistakes some cores for hyper-threads.
    'OMP_NUM_THREADS': str(processes.usable_cores()),
  }


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Add `--peer`, `--peer_path` and `--peer_import`."""
  add = parser.add_argument
  add('--peer', default='', help='Python of an environment with mmdet and mmcv')
  add('--peer_path', default='', help='folder for the PYTHONPATH of that Python')
  add('--peer_import', default='', help='module that this Python imports before mmdet')


def of(args: argparse.Namespace) -> Peer | None:
  """The peer of the flags; None without `--peer`."""
  return Peer(args.peer, args.peer_path, args.peer_import) if args.peer else None
