"""Prediction on the paths of the standard input, with lines of JSON on the standard output."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from htc_tf.cli import command
from htc_tf.cli.image_arguments import DEFAULT_SAVE
from htc_tf.errors import InputError

if TYPE_CHECKING:
  from htc_tf.serving.predict_files import Detector
  from htc_tf.serving.score_thresholds import ScoreThresholds

STREAM = '-'
_NOT_HEARD = 141  # 128 + SIGPIPE, as shells report it.


def is_stream(args: argparse.Namespace) -> bool:
  """Whether the paths come from the standard input.

  Raises:
    InputError: they come from there and from elsewhere, arguments do not fit a stream, or there is
      no output folder for files.
  """
  if STREAM not in args.inputs:
    if args.output is None:
      raise InputError('There is no output folder', expected='--output=FOLDER', got='no --output')
    return False
  wrong = [
    (len(args.inputs) > 1, f'{STREAM} alone', f'{len(args.inputs)} inputs'),
    (args.annotations, f'no --annotations beside {STREAM}', args.annotations),
    (args.track, f'no --track beside {STREAM}', '--track'),
    (args.batch_size != 1, f'no --batch_size beside {STREAM}', str(args.batch_size)),
  ]
  for is_wrong, expected, got in wrong:
    if is_wrong:
      raise InputError(
        'The stream of paths cannot start',
        expected=expected,
        got=got,
        likely_cause=f'a file that is named {STREAM}: write ./{STREAM}',
      )
  if args.output is None and args.save != DEFAULT_SAVE:
    raise InputError(
      '--save has no effect without --output',
      expected=f'--output=FOLDER beside {STREAM} and --save',
      got=f'--save={",".join(args.save)} alone',
      likely_cause=f'{STREAM} writes no files without --output, and has masks in its lines',
    )
  return True


def predict(
  args: argparse.Namespace,
  thresholds: 'ScoreThresholds',
  load: Callable[[], contextlib.AbstractContextManager['Detector']],
) -> int:
  """Predict on the stream and return the exit status: 141 if nobody reads the lines any more.

  Args:
    args: flags of `add_image_arguments`.
    thresholds: smallest scores of the objects in the lines.
    load: function that returns a context with the detector.
  """
  from htc_tf.serving import output_folder, predict_stream

  if args.output is not None:
    output_folder.check_options(args.output, 1, args.save)
  out, paths = sys.stdout, _Paths()
  if out is None or sys.stdin is None:
    raise InputError(
      'The stream of paths cannot start',
      expected='a standard input and a standard output',
      got='one that is closed',
      likely_cause='<&- or >&- in the command',
    )

  def write_line(line: str) -> None:
    out.write(line + '\n')
    out.flush()  # The reader waits for it.

  # Nothing but the lines may get to the standard output.
  with contextlib.redirect_stdout(sys.stderr), load() as detector:
    end = predict_stream.predict_stream(
      detector,
      paths,
      write_line,
      predict_stream.StreamOutputs(args.output, args.save, thresholds),
    )
    print(end.summary)
    if paths.num_blank:
      print(f'note: {paths.num_blank} empty lines of the standard input were skipped')
  if not end.is_heard:
    print('note: the reader of the standard output has gone; the rest is left out', file=sys.stderr)
    _drop(out)
    return _NOT_HEARD
  return command.PARTIAL if end.num_failed else 0


class _Paths:
  """The lines of the standard input that are not empty, each as soon as it is there.

  Attributes:
    num_blank: number of empty lines so far.
  """

  def __init__(self) -> None:
    self.num_blank = 0

  def __iter__(self) -> Iterator[str]:
    for line in sys.stdin.buffer:
      path = os.fsdecode(line.removesuffix(b'\n').removesuffix(b'\r'))
      if path:
        yield path
      else:
        self.num_blank += 1


def _drop(out: object) -> None:
  """Let the rest of a stream go nowhere: Python writes what is buffered when the process ends."""
  with contextlib.suppress(OSError, AttributeError), open(os.devnull, 'wb') as nowhere:
    os.dup2(nowhere.fileno(), out.fileno())  # type: ignore[attr-defined]
