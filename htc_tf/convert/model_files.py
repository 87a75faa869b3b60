"""Turns a published file into a model directory that predict, export and training take."""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from official.core import config_definitions as cfg
from official.core import train_utils

import htc_tf
from htc_tf.configs import model as model_config
from htc_tf.configs import validation
from htc_tf.convert.checkpoint_file import read_checkpoint
from htc_tf.convert.coco_categories import COCO_CATEGORIES
from htc_tf.convert.conversion import Allowed, Conversion, convert_checkpoint
from htc_tf.data.dataset_info import Category, DatasetInfo
from htc_tf.errors import CheckpointError
from htc_tf.modeling.htc_model import HTCModel
from htc_tf.serving import model_directory
from htc_tf.tasks.htc import HTCTask

RECORD_FILE = 'conversion.json'
_RECORD_VERSION = 1


def write_model_directory(
  path: str,
  params: cfg.ExperimentConfig,
  output: str,
  allowed: Allowed = Allowed(),
  origin: dict[str, Any] | None = None,
) -> Conversion:
  """Converts a published file; the directory appears complete or not at all.

  It holds the checkpoint `ckpt-0`, `params.yaml`, `conversion.json` and, for the 80 classes of
  COCO, `dataset.json`. Of an ImageNet classifier the checkpoint has the part `backbone` alone.

  Args:
    path: the published file.
    params: the experiment it is for.
    output: a folder that does not exist yet, or an empty one.
    allowed: what may not fit.
    origin: where `params` came from, for `conversion.json`, e.g. {'experiment': ...}.

  Raises:
    CheckpointError: an unreadable file, one that does not fit, or an output in use.
    ConfigError: an experiment of another task, or a model that cannot be built.
  """
  folder = pathlib.Path(output)
  _check_unused(folder)
  validation.validate_experiment(params, mode='')
  checkpoint = read_checkpoint(path)
  model = HTCTask(params.task).build_model()
  result = convert_checkpoint(checkpoint, model, allowed)
  info = _coco_info(params.task.model) if result.parts is None else None
  record = _record(checkpoint, params, result, info, origin or {})
  with _appearing_when_written(folder) as temporary:
    train_utils.serialize_config(params, str(temporary))
    if info is not None:
      model_directory.save_dataset_info(str(temporary), info)
    text = json.dumps(record, indent=2) + '\n'
    (temporary / RECORD_FILE).write_text(text, encoding='utf-8')
    _save_checkpoint(model, result, temporary)
  return result


def _check_unused(folder: pathlib.Path) -> None:
  if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
    raise CheckpointError(
      f'{folder} is in use',
      expected='a folder that does not exist yet',
      got='a folder with files in it' if folder.is_dir() else 'a file',
      likely_cause='an earlier conversion; remove it or name another folder',
    )


def _coco_info(config: model_config.HTC) -> DatasetInfo | None:
  """COCO's categories for a model with as many classes; other classes are not known here."""
  if config.num_classes != len(COCO_CATEGORIES) + 1:
    return None
  categories = tuple(
    Category(number, name, label) for label, (number, name) in enumerate(COCO_CATEGORIES.items(), 1)
  )
  return DatasetInfo(
    'coco',
    num_images=0,
    num_instances=0,
    num_shards=0,
    categories=categories,
    semantic=None,
    include_masks=config.include_mask,
    annotation_file='',
  )


def _record(
  checkpoint,
  params: cfg.ExperimentConfig,
  result: Conversion,
  info: DatasetInfo | None,
  origin: dict[str, Any],
) -> dict[str, Any]:
  """What `conversion.json` holds."""
  categories = None if info is None else [dataclasses.asdict(entry) for entry in info.categories]
  return {
    'version': _RECORD_VERSION,
    'htc_tf_version': htc_tf.__version__,
    'source': {
      'file': os.path.basename(checkpoint.path),
      'sha256': checkpoint.sha256,
      'kind': result.source,
    },
    **origin,
    'model': params.task.model.as_dict(),
    'categories': categories,
    'parts': 'all' if result.parts is None else list(result.parts),
    'num_filled': len(result.filled),
    'dropped': list(result.dropped),
    'missing': list(result.missing),
    'unused': list(result.unused),
  }


def _save_checkpoint(model: HTCModel, result: Conversion, folder: pathlib.Path) -> None:
  """Writes `ckpt-0` with the parts a training run saves, or with those the source has."""
  parts = {'model': model, **model.checkpoint_items}
  if result.parts is not None:
    parts = {name: parts[name] for name in result.parts}
  manager = tf.train.CheckpointManager(tf.train.Checkpoint(**parts), str(folder), max_to_keep=1)
  manager.save(checkpoint_number=0)


@contextlib.contextmanager
def _appearing_when_written(folder: pathlib.Path) -> Iterator[pathlib.Path]:
  """A temporary folder beside `folder` that takes its place when the block ends well."""
  folder = pathlib.Path(os.path.abspath(folder))
  temporary = folder.with_name(f'.{folder.name}.{os.getpid()}.part')
  temporary.mkdir(parents=True)
  try:
    yield temporary
    os.replace(temporary, folder)
  finally:
    shutil.rmtree(temporary, ignore_errors=True)
