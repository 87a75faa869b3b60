"""Model directories that are converted from a published checkpoint."""

import dataclasses
import json
import os
from typing import Any

import tensorflow as tf
from official.core import config_definitions as cfg

from htc_tf import files, version
from htc_tf.checkpoints import model_card, model_directory
from htc_tf.configs import model as model_config
from htc_tf.configs import validation
from htc_tf.convert import published_files
from htc_tf.convert.checkpoint_file import Checkpoint, read_checkpoint
from htc_tf.convert.coco_categories import COCO_CATEGORIES
from htc_tf.convert.comparison import Allowed
from htc_tf.convert.conversion import Conversion, convert_checkpoint
from htc_tf.data.dataset_info import Category, DatasetInfo, SemanticInfo
from htc_tf.modeling.factory import build_htc
from htc_tf.modeling.htc_model import HTCModel

RECORD_FILE = 'conversion.json'
_RECORD_VERSION = 1
_UNKNOWN_LICENSE = 'unknown; see the page that the file was downloaded from'


def write_model_directory(
  path: str,
  params: cfg.ExperimentConfig,
  output: str,
  allowed: Allowed = Allowed(),
  origin: dict[str, Any] | None = None,
) -> Conversion:
  """Convert a published file and write a model directory, completely or not at all.

  The directory holds the checkpoint `ckpt-0`, `params.yaml`, `conversion.json`, `model_card.md`
  and, for the 80 classes of COCO, `dataset.json`. Prediction, export and `task.init_checkpoint`
  accept the directory. For an ImageNet classifier, the checkpoint has only the part `backbone`;
  only `task.init_checkpoint` accepts it, with `task.init_checkpoint_modules=backbone`.

  Args:
    path: the published file.
    params: configuration of the experiment that has the model of the file.
    output: a folder that does not exist yet, or an empty one.
    allowed: mismatches between file and model that are accepted.
    origin: source of `params`, recorded in `conversion.json`, e.g. {'experiment': ...}.

  Returns:
    The filled variables and the mismatches.

  Raises:
    CheckpointError: the file cannot be read, or does not fit the model.
    ConfigError: the experiment is of another task, or its model cannot be built.
    InputError: `output` is in use or cannot be created.
  """
  files.check_new_folder(output, 'an earlier conversion; remove it or name another folder')
  validation.validate_experiment(params, mode='')
  checkpoint = read_checkpoint(path)
  model = build_htc(params.task.model)
  result = convert_checkpoint(checkpoint, model, allowed)
  info = _coco_info(params.task.model) if result.parts is None else None
  record = {**_record(checkpoint, result, info), **(origin or {})}
  record['model'] = params.task.model.as_dict()
  with files.new_folder_when_written(output, last='checkpoint') as folder:
    model_directory.save_params(folder, params)
    if info is not None:
      model_directory.save_dataset_info(folder, info)
    text = json.dumps(record, indent=2) + '\n'
    files.write_bytes(os.path.join(folder, RECORD_FILE), text.encode())
    prefix = _save_checkpoint(model, result, folder)
    _write_card(folder, params.task.model, record, info, prefix)
  return result


def _coco_info(config: model_config.HTC) -> DatasetInfo | None:
  """The categories of COCO if the model has that number of classes, else None."""
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
    semantic=SemanticInfo('stuff_maps', config.semantic_head.num_classes)
    if config.semantic_head.enabled
    else None,
    include_masks=config.include_mask,
    annotation_file='',
  )


def _record(checkpoint: Checkpoint, result: Conversion, info: DatasetInfo | None) -> dict[str, Any]:
  """Content of `conversion.json` about the file and the conversion."""
  categories = None if info is None else [dataclasses.asdict(entry) for entry in info.categories]
  return {
    'version': _RECORD_VERSION,
    'htc_tf_version': version.__version__,
    'source': {
      'file': os.path.basename(checkpoint.path),
      'sha256': checkpoint.sha256,
      'kind': result.source,
    },
    'categories': categories,
    'parts': 'all' if result.parts is None else list(result.parts),
    'num_filled': len(result.filled),
    'dropped': list(result.dropped),
    'missing': list(result.missing),
    'unused': list(result.unused),
  }


def _write_card(
  folder: str,
  config: model_config.HTC,
  record: dict[str, Any],
  info: DatasetInfo | None,
  prefix: str,
) -> None:
  """Write the card: the published file, what of it was used, and what its authors state."""
  source = record['source']
  rows = {
    'file': source['file'],
    'SHA-256': source['sha256'],
    'kind': source['kind'],
    'parts': 'all' if record['parts'] == 'all' else ', '.join(record['parts']),
    'variables': f'{record["num_filled"]} filled, {len(record["missing"])} without an entry and '
    f'{len(record["dropped"])} of another number of classes left as initialized',
    'license of the weights': _license(source['sha256']),
  }
  title = f'{source["file"]}, converted'
  model_card.write(folder, title, config, info, {'Published weights': rows}, prefix)


def _license(sha256: str) -> str:
  """License of a file that the registry knows by its hash."""
  known = published_files.find_hash(sha256)
  return published_files.SOURCES[known.source].license if known else _UNKNOWN_LICENSE


def _save_checkpoint(model: HTCModel, result: Conversion, folder: str) -> str:
  """Write `ckpt-0` with the parts of the model that the file has; return its prefix."""
  parts = {'model': model, **model.checkpoint_items}
  if result.parts is not None:
    parts = {name: parts[name] for name in result.parts}
  manager = tf.train.CheckpointManager(tf.train.Checkpoint(**parts), folder, max_to_keep=1)
  return manager.save(checkpoint_number=0)
