"""Outputs of a conversion: what earlier runs left, and what must not be overwritten."""

import os
import re

from htc_tf.data import record_shards
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import ConfigError


def protect_inputs(options: ConversionOptions) -> None:
  """Raise ConfigError if an output would replace or join the annotations."""
  is_folder = os.path.isdir(options.annotation_file) and os.path.isdir(options.output_folder)
  if is_folder and os.path.samefile(options.annotation_file, options.output_folder):
    raise ConfigError(
      'The folder of the annotations is that of the records',
      expected='another output folder; it may be inside that of the annotations',
      got=options.output_folder,
      likely_cause='records beside the annotations, which a second run would read as such',
    )
  for suffix in ('.json', '_annotations.json'):
    path = options.output_path(suffix)
    both_exist = os.path.exists(options.annotation_file) and os.path.exists(path)
    if both_exist and os.path.samefile(options.annotation_file, path):
      raise ConfigError(
        f'The conversion would overwrite its annotation file {path}',
        expected='another output folder or prefix',
        got=options.output_folder,
        likely_cause='annotations inside the output folder, named like its outputs',
      )


def load_finished(
  options: ConversionOptions, tasks: list[record_shards.ShardTask]
) -> DatasetInfo | None:
  """The metadata if an earlier run finished with the same inputs, else None.

  In the latter case, the outputs that were made from other inputs are removed.

  Args:
    options: options of the conversion.
    tasks: all shards of the conversion.

  Raises:
    ConfigError: without `overwrite`, the outputs were made from another annotation file, or are not
      of an unfinished conversion.
    DataError: the metadata file was not written by the converter.
  """
  path = options.output_path('.json')
  if os.path.isfile(path):
    info = DatasetInfo.load(path)  # Raises DataError for a file that the converter did not write.
    outputs = [info.annotation_path, *(task.path for task in tasks)]
    if info.fingerprint == tasks[0].fingerprint and all(map(os.path.isfile, outputs)):
      return info
    if not options.overwrite and info.source != source_of(options):
      raise _would_overwrite(options, path, f'records of {info.source or "an unknown file"}')
    os.remove(path)
  elif not options.overwrite and not os.path.isdir(progress_folder(options)):
    others = _outputs(options)
    if others:
      raise _would_overwrite(options, others[0], 'a file that is not of an unfinished conversion')
  os.makedirs(progress_folder(options), exist_ok=True)
  keep = {task.path for task in tasks if record_shards.finished_result(task)}
  remove_shards(options, keep)
  return None


def source_of(options: ConversionOptions) -> str:
  """Absolute path of the annotation file, which the metadata records."""
  return os.path.abspath(options.annotation_file)


def _would_overwrite(options: ConversionOptions, path: str, got: str) -> ConfigError:
  return ConfigError(
    f'The conversion would overwrite {path}',
    expected=f'a prefix or an output folder without files of another origin; {options.prefix!r} in '
    f'{options.output_folder} is taken',
    got=got,
    likely_cause='a second split without --prefix, such as --prefix=val; --overwrite replaces the '
    'files',
  )


def _outputs(options: ConversionOptions) -> list[str]:
  """Existing shards and annotations of this prefix."""
  annotations = options.output_path('_annotations.json')
  found = [annotations] if os.path.exists(annotations) else []
  return found + _shards(options)


def _shards(options: ConversionOptions) -> list[str]:
  """Existing shards and temporary files of this prefix."""
  if not os.path.isdir(options.output_folder):
    return []
  of_prefix = re.compile(
    rf'\.?{re.escape(options.prefix)}-\d{{5}}-of-\d{{5}}(\.[0-9a-f]+\.part)?\.tfrecord'
  )
  names = sorted(os.listdir(options.output_folder))
  return [os.path.join(options.output_folder, name) for name in names if of_prefix.fullmatch(name)]


def remove_shards(options: ConversionOptions, keep: set[str]) -> None:
  """Remove shards and temporary files of this prefix, except those to keep."""
  for path in _shards(options):
    if path not in keep:
      os.remove(path)


def progress_folder(options: ConversionOptions) -> str:
  """Folder of the state files of an unfinished conversion."""
  return os.path.join(options.output_folder, f'.{options.prefix}.progress')
