"""Conversion of published weights to the variables of a model, and back."""

import re
from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from htc_tf.convert import (
  classifier_start,
  position_tables,
  published_files,
  stem,
  traits,
  transforms,
)
from htc_tf.convert import comparison as comparison_lib
from htc_tf.convert.checkpoint_file import Checkpoint
from htc_tf.convert.comparison import Allowed
from htc_tf.convert.mmdet_names import find_mmdet_map
from htc_tf.convert.name_map import NameMap
from htc_tf.convert.paddle_names import PADDLE
from htc_tf.convert.swin_names import MMPRETRAIN_SWIN, SWIN
from htc_tf.convert.torchvision_names import MMCLS, TORCHVISION
from htc_tf.convert.variables import named_variables
from htc_tf.errors import CheckpointError
from htc_tf.modeling.htc_model import HTCModel

_VERSION_1_HEAD = re.compile(r'bbox_head\.(\d+\.)?fc_cls\.')
# Heads of single-stage detectors of mmdetection, and of classifiers of mmcls. Both may have a neck.
_SINGLE_STAGE_HEADS = {'bbox_head', 'mask_head'}
_OTHER_HEADS = {'head', *_SINGLE_STAGE_HEADS}
# The second version of Swin transformers has no tables.
_SWIN_NAMES = {'patch_embed.proj.weight', 'layers.0.blocks.0.attn.relative_position_bias_table'}
_MMPRETRAIN_SWIN_NAMES = {
  'backbone.patch_embed.projection.weight',
  'backbone.stages.0.blocks.0.attn.w_msa.relative_position_bias_table',
}
_MMCLS_STEMS = {'backbone.conv1.weight', 'backbone.stem.0.weight'}


class Conversion(NamedTuple):
  """The result of a conversion, by variable of the model and by entry of the file.

  Attributes:
    source: name of the source of the file.
    parts: parts of the model that were filled; None for all.
    filled: paths of the variables that now have published values.
    adapted: paths of the filled variables whose values were made for RGB images; see `stem`.
    from_bgr: paths of the filled variables whose values were made for BGR images, and turned.
    dropped: paths of the variables that were skipped because their number of classes differs.
    missing: paths of the variables without an entry.
    unused: names of the entries without a variable.
    resized: paths of the filled tables of relative positions that were made for windows of another
      size; see `position_tables`.
  """

  source: str
  parts: tuple[str, ...] | None
  filled: tuple[str, ...]
  adapted: tuple[str, ...]
  dropped: tuple[str, ...]
  missing: tuple[str, ...]
  unused: tuple[str, ...]
  from_bgr: tuple[str, ...] = ()
  resized: tuple[str, ...] = ()

  def describe(self) -> str:
    """A text with one line per outcome, which names every variable that was not filled."""
    lines = [f'{len(self.filled)} variables filled from {self.source} names']
    for title, names in (
      ('variables for RGB images, adapted to the channels of the model', self.adapted),
      ('variables for BGR images, turned to RGB', self.from_bgr),
      ('tables of relative positions, resized to the windows of the model', self.resized),
      ('variables with another number of classes, left as initialized', self.dropped),
      ('variables without an entry, left as initialized', self.missing),
      ('entries without a variable', self.unused),
    ):
      if names:
        lines.append(f'{len(names)} {title}: {", ".join(names)}')
    return '\n'.join(lines)


def convert_checkpoint(
  checkpoint: Checkpoint,
  model: HTCModel,
  allowed: Allowed = Allowed(),
  parts: Sequence[str] | None = None,
) -> Conversion:
  """Fill a model from a published checkpoint, completely or not at all.

  A classifier fills the second backbone of a model as well; see `classifier_start`. Its tables of
  relative positions are resized to the windows of the model; see `position_tables`. The first
  convolution of a published file whose network reads BGR images is turned to RGB.

  Args:
    checkpoint: result of `read_checkpoint`.
    model: the model; its variables must exist, and are changed.
    allowed: accepted mismatches.
    parts: parts of the model to fill, e.g. ['backbone']; None for all that the source has.

  Returns:
    The filled variables and the mismatches.

  Raises:
    CheckpointError: the file does not fit the model; the message lists the mismatches.
  """
  crop_size = model.cascade.box_features.crop_size
  name_map = find_name_map(checkpoint).with_crop_size(crop_size)
  parts = tuple(parts) if parts is not None else name_map.parts
  variables = {
    path: variable
    for path, variable in named_variables(model).items()
    if comparison_lib.is_in(path, parts)
  }
  comparison = comparison_lib.compare(name_map, checkpoint.tensors, variables, parts)
  comparison_lib.check_crop_size(checkpoint.path, comparison.other_shape, crop_size)
  problems = list(comparison_lib.problems(comparison, allowed))
  if problems:
    raise _misfit(checkpoint, name_map, variables, problems)
  bgr_stems = _bgr_stems(comparison, checkpoint)
  filled = _fill(variables, comparison, checkpoint, bgr_stems)
  started: list[str] = []
  if name_map.is_of_classifier:
    started = classifier_start.finish(named_variables(model), comparison.optional)
  still_initial = [path for path in comparison.optional if path not in started]
  return Conversion(
    name_map.source,
    parts,
    filled=(*filled, *started),
    adapted=tuple(pair.path for pair in comparison.rgb_stems),
    dropped=tuple(pair.path for pair in comparison.other_classes),
    missing=(*comparison.missing, *still_initial),
    unused=(*comparison.unused, *comparison.absent),
    from_bgr=bgr_stems,
    resized=tuple(pair.path for pair in comparison.tables),
  )


def _misfit(
  checkpoint: Checkpoint,
  name_map: NameMap,
  variables: Mapping[str, tf.Variable],
  problems: Sequence[str],
) -> CheckpointError:
  """The error of a file that does not fit: another backbone in a few words, or all mismatches."""
  differences = []
  if name_map.is_of_classifier:
    differences = traits.backbone_differences(
      comparison_lib.shapes_by_path(name_map, checkpoint.tensors),
      {path: tuple(variable.shape) for path, variable in variables.items()},
    )
  if differences:
    return CheckpointError(
      f'{checkpoint.path} is the ImageNet classifier of another backbone',
      expected='the classifier of the backbone of the model, task.model.backbone',
      got='; '.join(differences),
      likely_cause='a classifier of another size or kind; the files in experiments/ name theirs',
    )
  return CheckpointError(
    f'{checkpoint.path} does not fit the model',
    expected='a variable for every entry, and an entry for every variable',
    got='; '.join(problems),
    likely_cause='the experiment of another file, with another depth, more or fewer branches, or '
    'another number of classes',
  )


def _fill(
  variables: Mapping[str, tf.Variable],
  comparison: comparison_lib.Comparison,
  file: Checkpoint,
  bgr_stems: Sequence[str],
) -> list[str]:
  """Assign the entries of a file that fit, and return the paths of their variables."""
  pairs = [*comparison.fitting, *comparison.rgb_stems, *comparison.tables]
  for pair in pairs:
    values = transforms.apply(pair.row.steps, file.tensors[pair.name])
    values = values.astype(np.float32, copy=False)
    if pair.path in bgr_stems:
      values = stem.reversed_channels(values)
    if pair in comparison.rgb_stems:
      values = stem.adapted(values, pair.shape[2])
    if pair in comparison.tables:
      values = position_tables.resized(values, pair.shape[0])
    variables[pair.path].assign(values)
    file.release()
  return [pair.path for pair in pairs]


def _bgr_stems(comparison: comparison_lib.Comparison, file: Checkpoint) -> tuple[str, ...]:
  """Paths of the first convolutions of a file whose network reads BGR images; () for another."""
  if not published_files.reads_bgr(file.path, file.sha256):
    return ()
  pairs = [*comparison.fitting, *comparison.rgb_stems]
  return tuple(pair.path for pair in pairs if pair.path in stem.PATHS)


def class_values(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
  """The entries of a published checkpoint that have a row per class.

  Args:
    checkpoint: result of `read_checkpoint`.

  Returns:
    Arrays in our layout, with the background first, by path of the variable.
  """
  name_map = find_name_map(checkpoint)
  values = {}
  for name, tensor in checkpoint.tensors.items():
    match = None if name_map.ignores(name) else name_map.find_path(name)
    if match is not None and match.row.classes is not None:
      values[match.name] = transforms.apply(match.row.steps, tensor)
  return values


def published_weights(model: HTCModel, name_map: NameMap) -> dict[str, np.ndarray]:
  """The weights of a model with published names and in the published layout.

  Args:
    model: the model; its variables must exist.
    name_map: name map of the source; it determines the parts of the model.

  Raises:
    CheckpointError: a variable has no published name.
  """
  name_map = name_map.with_crop_size(model.cascade.box_features.crop_size)
  found = {}
  for path, variable in named_variables(model).items():
    if not comparison_lib.is_in(path, name_map.parts):
      continue
    match = name_map.find_source(path)
    if match is None:
      raise CheckpointError(
        f'{path} has no {name_map.source} name',
        likely_cause='a model that is built of other parts than the published ones',
      )
    found[match.name] = np.ascontiguousarray(transforms.revert(match.row.steps, variable.numpy()))
  return found


def _refuse_version_1(path: str, names: Set[str]) -> None:
  """Raise CheckpointError if the heads have the names of mmdetection 1.x, which were other ones."""
  if any(map(_VERSION_1_HEAD.match, names)):
    raise CheckpointError(
      f'{path} is a checkpoint of mmdetection 1.x',
      expected='a checkpoint of mmdetection 2.x or 3.x, with entries such as roi_head.bbox_head',
      got='entries such as bbox_head without roi_head',
      likely_cause='a file from before 2020; mmdetection publishes newer weights of the same '
      'configuration, and its tools/model_converters/upgrade_model_version.py converts old files',
    )


def find_name_map(checkpoint: Checkpoint) -> NameMap:
  """The name map for a checkpoint, chosen by its source and the names of its entries.

  Raises:
    CheckpointError: the names belong to no known source.
  """
  names = set(checkpoint.tensors)
  first_parts = {name.split('.', 1)[0] for name in names}
  _refuse_version_1(checkpoint.path, names)
  if checkpoint.source == 'paddle':
    if 'backbone.conv1.conv1.conv.weight' in names:
      return PADDLE
  elif 'roi_head' in first_parts or ('neck' in first_parts and not _OTHER_HEADS & first_parts):
    return find_mmdet_map(checkpoint.tensors)
  elif not _SINGLE_STAGE_HEADS & first_parts and names & _MMCLS_STEMS:
    return MMCLS
  elif names & {'conv1.weight', 'stem.0.weight'}:
    return TORCHVISION
  elif names >= _SWIN_NAMES:
    return SWIN
  elif not _SINGLE_STAGE_HEADS & first_parts and names >= _MMPRETRAIN_SWIN_NAMES:
    return MMPRETRAIN_SWIN
  raise CheckpointError(
    f'{checkpoint.path} does not hold a known model',
    expected='an HTC of mmdetection 2.x or 3.x or of laihuihui/htc, or an ImageNet classifier: '
    'ResNet of torchvision or mmcls, HRNet of its authors, Swin transformer of its authors or of '
    'mmpretrain',
    got=f'entries such as {sorted(names)[:3]}',
    likely_cause='the checkpoint of another network',
  )
