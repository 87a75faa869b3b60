"""Which experiment a published file fits, by its hash or by the names and shapes in it."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from htc_tf.configs import (
  experiments,  # noqa: F401  # It registers them.
  parsing,
)
from htc_tf.convert import comparison, conversion, published_files, traits
from htc_tf.convert.checkpoint_file import Checkpoint, read_checkpoint
from htc_tf.convert.paddle_names import PADDLE
from htc_tf.convert.published_files import PublishedFile
from htc_tf.errors import CheckpointError

_MAX_NEAREST = 3
_MAX_KEYS = 5


class Identified(NamedTuple):
  """A file and what it was taken for.

  Attributes:
    known: entry of the registry whose experiment fits.
    reason: sentence that says how it was found, and between what was chosen.
  """

  known: PublishedFile
  reason: str


def identify(path: str) -> Identified:
  """The registered file that a file is, or one with the same network.

  The hash in the name decides, then the hash of the content, then the names and shapes in the file.

  Args:
    path: path of a published file, or of one that was trained with the same configuration.

  Raises:
    CheckpointError: the file cannot be read, cannot be converted, or fits no experiment; the
      message has the nearest ones, and what differs.
  """
  known = published_files.find_name(path)
  if known is not None:
    _check_not_refused(path, known)
    return Identified(known, f'the hash {known.hash} in the name is that of {known.file}')
  checkpoint = read_checkpoint(path)
  known = published_files.find_hash(checkpoint.sha256)
  if known is not None:
    _check_not_refused(path, known)
    return Identified(known, f'the content has the hash {known.hash} of {known.file}')
  return _by_shapes(checkpoint)


def check_choice(path: str, experiment: str, config_files: Sequence[str]) -> str:
  """A warning if the experiment is not that of the file, by the hash in its name; '' if it is.

  Args:
    path: path of the file.
    experiment: name of the chosen experiment.
    config_files: files that change it.

  Raises:
    CheckpointError: the file cannot be converted, whatever the experiment.
    ConfigError: the experiment is unknown, or a file cannot be read.
  """
  known = published_files.find_name(path)
  if known is None:
    return ''
  _check_not_refused(path, known)
  chosen, own = (
    dict(_values(parsing.parse(name, files).params.task.model.as_dict()))
    for name, files in ((experiment, config_files), (known.experiment, known.config_paths))
  )
  keys = sorted(key for key in {*chosen, *own} if chosen.get(key) != own.get(key))
  if not keys:
    return ''
  more = f' and {len(keys) - _MAX_KEYS} more' if len(keys) > _MAX_KEYS else ''
  return (
    f'the hash in the name of {path} is that of {known.file}, which fits {known.flags}; '
    f'the model of the given flags, --experiment={experiment}, is another one: it differs in '
    f'{", ".join(keys[:_MAX_KEYS])}{more} of task.model'
  )


def _values(tree: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, Any]]:
  """Pairs (full name, value) of nested dictionaries."""
  for key, value in tree.items():
    if isinstance(value, Mapping):
      yield from _values(value, f'{prefix}{key}.')
    else:
      yield f'{prefix}{key}', value


def _check_not_refused(path: str, known: PublishedFile) -> None:
  if known.refused:
    raise CheckpointError(
      f'{path} cannot be converted: {known.refusal}',
      expected='a file of the list in MODEL_ZOO.md',
      got=f'{known.title} ({known.file})',
      likely_cause=f'a choice between two files of one shape; {known.model} is published with the '
      'other ResNet too',
    )


def _by_shapes(checkpoint: Checkpoint) -> Identified:
  name_map = conversion.find_name_map(checkpoint)
  if name_map.is_of_classifier:
    raise CheckpointError(
      f'{checkpoint.path} is an ImageNet classifier ({name_map.source}), which starts the backbone '
      'of every experiment that has it',
      expected='--experiment, the experiment to start from it',
      got='no experiment',
      likely_cause='only detectors determine their experiment',
    )
  found = traits.of_variables(comparison.shapes_by_path(name_map, checkpoint.tensors))
  candidates = [
    known
    for known in published_files.published_files()
    if not known.refused and known.source.startswith('laihuihui') == (name_map is PADDLE)
  ]
  differing = {known: traits.differences(found, _traits(known)) for known in candidates}
  fitting = [known for known, texts in differing.items() if not texts]
  if not fitting:
    raise _no_experiment(checkpoint.path, differing)
  return Identified(fitting[0], _choice(fitting))


@functools.cache
def _traits(known: PublishedFile) -> traits.Traits:
  params = parsing.parse(known.experiment, known.config_paths).params
  return traits.of_config(params.task.model)


def _choice(fitting: list[PublishedFile]) -> str:
  """How the first of the fitting files was chosen."""
  models = list(dict.fromkeys(known.model for known in fitting))
  text = f'the names and shapes in the file are those of {models[0]}'
  if len(models) > 1:
    text += f'; the same model, trained otherwise: {", ".join(models[1:])}'
  twins = {
    known.refused
    for known in published_files.published_files()
    if known.refused and known.model in models
  }
  if 'caffe' in twins:
    text += '. A ResNet of Caffe has the same shapes; such a file would give wrong results'
  if fitting[0].channels == 'bgr':
    text += (
      '. The published file reads BGR images; this one, whose hash is unknown, is taken for one of '
      'RGB images, and would give wrong results if it were trained on BGR'
    )
  return text


def _no_experiment(path: str, differing: dict[PublishedFile, list[str]]) -> CheckpointError:
  """The error that names the nearest experiments."""
  nearest: dict[str, list[str]] = {}
  for known, texts in sorted(differing.items(), key=lambda item: len(item[1])):
    if texts not in nearest.values():  # Those of one network differ in the same facts.
      nearest.setdefault(known.model, texts)
  listed = '; '.join(
    f'{model} ({", ".join(texts)})' for model, texts in list(nearest.items())[:_MAX_NEAREST]
  )
  return CheckpointError(
    f'No known experiment has the network of {path}',
    expected='the names and shapes of a file of the list in MODEL_ZOO.md',
    got=f'another network; nearest, with what differs: {listed}',
    likely_cause='a configuration of your own: name it with --experiment and --config_file',
  )
