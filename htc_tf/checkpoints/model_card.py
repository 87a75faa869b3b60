"""The card of a model, `model_card.md` in its directory: what it is, and what it was made from.

Mitchell et al., Model Cards for Model Reporting (FAT* 2019), name the sections.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence

from htc_tf import file_systems, files, version
from htc_tf.checkpoints import readability
from htc_tf.configs import model as model_config
from htc_tf.data.dataset_info import DatasetInfo

CARD_FILE = 'model_card.md'
_CHUNK = 2**24
# People look at a card; the metadata beside it have all classes.
_MAX_CATEGORIES = 100

Section = Mapping[str, str]


def write(
  folder: str,
  title: str,
  config: model_config.HTC,
  info: DatasetInfo | None,
  sections: Mapping[str, Section],
  prefix: str,
) -> None:
  """Write the card of a model directory, completely or not at all; an earlier card is replaced.

  Args:
    folder: the model directory.
    title: name of the model, for people.
    config: configuration of the model.
    info: the classes, and the data that the model was trained on; None if unknown.
    sections: further sections: texts by name, by heading.
    prefix: prefix of the checkpoint that the card describes.
  """
  parts = [
    f'# {title}',
    _section('Model', _model(config)),
    *(_section(heading, rows) for heading, rows in sections.items() if rows),
    *([] if info is None else [_classes(info), *_limits(info)]),
    _section('Files', _files(prefix)),
  ]
  files.write_bytes(os.path.join(folder, CARD_FILE), ('\n\n'.join(parts) + '\n').encode())


def data_rows(info: DatasetInfo) -> dict[str, str]:
  """What a card says about a data set: its size, its source, and the hash of its conversion."""
  rows = {
    'data set': info.name,
    'images': f'{info.num_images}',
    'objects': f'{info.num_instances}',
    'source': info.source,
    'semantic maps': f'{info.semantic.source}, {info.semantic.num_classes} classes'
    if info.semantic
    else '',
    'hash of the conversion': info.fingerprint,
  }
  return {name: text for name, text in rows.items() if text}


def _section(heading: str, rows: Section) -> str:
  lines = [f'- {name}: {_one_line(text)}' for name, text in rows.items()]
  return '\n'.join([f'## {heading}', '', *lines])


def _one_line(text: str) -> str:
  """A text without line breaks, which would end an entry of a list or a row of a table."""
  return ' '.join(text.split())


def _model(config: model_config.HTC) -> dict[str, str]:
  backbone = config.backbone.type
  depth = getattr(config.backbone.get(), 'model_id', None)
  return {
    'kind': _kind(config),
    'backbone': f'{backbone} {depth}' if depth is not None else str(backbone),
    'stages': str(len(config.cascade.stages)),
    'classes, background included': str(config.num_classes),
    'network input': f'up to {config.input_size[0]} x {config.input_size[1]} pixels, '
    f'{config.input_size[2]} channels',
    'made with': f'htc_tf {version.__version__}',
  }


def _kind(config: model_config.HTC) -> str:
  """The task of a model in words, with the branches that it has."""
  branches = []
  if config.include_mask:
    branches.append('masks')
  if config.semantic_head.enabled:
    branches.append('a semantic branch')
  name = 'a cascade' if len(config.cascade.stages) > 1 else 'one stage'
  return f'detection by {name}, with {", ".join(["boxes", *branches])}'


def _classes(info: DatasetInfo) -> str:
  """A table of the classes, with the numbers of their images and objects if these are known."""
  columns: list[Sequence[str]] = [
    [str(category.id) for category in info.categories],
    [_cell(category.name) for category in info.categories],
  ]
  titles = ['id', 'name']
  if info.statistics is not None:
    titles += ['images', 'objects']
    columns.append([str(number) for number in info.statistics.images_by_category])
    columns.append([str(number) for number in info.statistics.instances_by_category])
  rows = list(zip(*columns))
  lines = [titles, ['---'] * len(titles), *rows[:_MAX_CATEGORIES]]
  text = '\n'.join(f'| {" | ".join(line)} |' for line in lines)
  if len(rows) > _MAX_CATEGORIES:
    text += f'\n\n{len(rows) - _MAX_CATEGORIES} more are in the metadata beside this file.'
  return f'## Classes\n\n{text}'


def _cell(text: str) -> str:
  return _one_line(text).replace('|', '\\|')


def _limits(info: DatasetInfo) -> list[str]:
  """What the data say about the images that the model can be expected to work on."""
  known = info.statistics
  if known is None or not known.image_sizes:
    return []
  heights, widths, _ = zip(*known.image_sizes)
  rows = {
    'classes': 'only those above; anything else counts as background',
    'images': f'the training images have {_range(heights)} rows, {_range(widths)} columns, and '
    f'{known.num_channels} channels of {known.bits} bits',
  }
  if known.box_sides:
    rows['objects'] = (
      f'nine tenths of the boxes have a mean side of {known.box_sides[1]:.0f} to '
      f'{known.box_sides[-2]:.0f} pixels; at most {known.max_objects} objects in an image'
    )
  return [_section('Limits', rows)]


def _range(values: Sequence[int]) -> str:
  low, high = min(values), max(values)
  return f'{low}' if low == high else f'{low} to {high}'


def _files(prefix: str) -> dict[str, str]:
  """Sizes and hashes of the files of a checkpoint, by name."""
  rows = {}
  for path in readability.files_of(prefix):
    rows[f'`{os.path.basename(path)}`'] = (
      f'{file_systems.size(path)} bytes, SHA-256 {_sha256(path)}'
    )
  return rows


def _sha256(path: str) -> str:
  digest = hashlib.sha256()
  with file_systems.open_file(path, 'rb') as file:
    while chunk := file.read(_CHUNK):
      digest.update(chunk)
  return digest.hexdigest()
