"""Checks of the output folder of a prediction: its files must not replace inputs."""

import os
from collections.abc import Sequence

from htc_tf import file_systems
from htc_tf.errors import InputError
from htc_tf.serving import result_files, tiled_detection
from htc_tf.serving.outputs import registry


def check_options(output: str, batch_size: int, save: Sequence[str]) -> None:
  """Raise InputError unless the folder, the batch size and the outputs can be used."""
  registry.check(save)
  file_systems.check_local(output, 'The output folder (--output)')
  file_systems.check_given(output, 'The output folder (--output)')
  tiled_detection.check_batch_size(batch_size)
  if os.path.exists(output) and not os.path.isdir(output):
    raise InputError(
      f'{output} is not a folder',
      expected='a folder, new or existing',
      got='a file',
      likely_cause='the name of one overlay instead of the folder for all of them',
    )


def protect_inputs(paths: Sequence[str], output: str, kind: str = 'images') -> None:
  """Raise InputError if an input lies in the output folder, where a result could replace it.

  The folders of `registry.FOLDERS` in it count as well, whatever is saved now.

  Args:
    paths: paths of the inputs.
    output: the output folder.
    kind: what they are, for the message.
  """
  folders = {os.path.realpath(os.path.join(output, name)) for name in ('', *registry.FOLDERS)}
  # A link may lead into a folder, or lie in it.
  inside = [
    path
    for path in paths
    if not folders.isdisjoint(
      (os.path.realpath(os.path.dirname(path) or '.'), os.path.dirname(os.path.realpath(path)))
    )
  ]
  if inside:
    raise InputError(
      f'The output folder {output} holds {kind} to predict on',
      expected=f'another folder, so that no result replaces one of the {kind}',
      got=f'{len(inside)} {kind} in it, such as {inside[0]}',
      likely_cause=f'the folder of the {kind} as --output, or results of an earlier run as inputs',
    )


def protect_annotations(annotations: str | None, output: str) -> None:
  """Raise InputError if the COCO file has the path of a result."""
  names = (*result_files.NAMES, *registry.FILES)
  results = [os.path.realpath(os.path.join(output, name)) for name in names]
  if annotations is not None and os.path.realpath(annotations) in results:
    raise InputError(
      f'The results would replace {annotations}',
      expected='another output folder',
      got=output,
      likely_cause=f'the {os.path.basename(annotations)} of an earlier run as --annotations',
    )
