"""Files of an export that describe it: the form of boxes and masks, the images, the classes."""

import json
import os
from typing import Any, NamedTuple

from htc_tf import file_systems, files
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.data.images import MAX_PIXELS
from htc_tf.data.sample_format import DEPTHS, MAX_CHANNELS, RGB, SampleFormat
from htc_tf.errors import InputError
from htc_tf.evaluation.mask_paste import PUBLISHED_THRESHOLD

FORMAT_FILE = 'export.json'
CATEGORIES_FILE = 'categories.json'

# Values of the output error_code.
READ = 0
UNREADABLE = 1
TOO_LARGE = 2
OTHER_CHANNELS = 3

BOXES = ('pixels', 'normalized')
MASKS = ('cropped', 'full', 'packed')


class ExportFormat(NamedTuple):
  """Form of the outputs, which is chosen at export.

  Attributes:
    boxes: `pixels` of the image, or `normalized` to 0..1 of its height and width.
    masks: `cropped`: [28, 28] float32 probabilities inside the box. `full`: uint8 0 or 1 at the
      size of the image. `packed`: as `full`, with eight pixels of a row in a byte, the first in its
      most significant bit.
    max_pixels: largest number of pixels; an encoded image with more is not decoded.
    num_channels: number of channels of the images, which the model determines.
    bits: number of bits of their samples, likewise.
    mask_threshold: smallest probability of a pixel of an object, likewise; full and packed masks
      are made with it, and cropped ones are to be pasted with it.
    class_agnostic_nms: whether the NMS of the model acts across classes, so that a merge of tiles
      has to do the same.
  """

  boxes: str = 'pixels'
  masks: str = 'cropped'
  max_pixels: int = MAX_PIXELS
  num_channels: int = RGB.num_channels
  bits: int = RGB.bits
  mask_threshold: float = PUBLISHED_THRESHOLD
  class_agnostic_nms: bool = False

  @property
  def sample_format(self) -> SampleFormat:
    """Channels and depth of the images."""
    return SampleFormat(self.num_channels, self.bits)

  def check(self) -> None:
    """Raise InputError unless the forms are known and the numbers are in their ranges."""
    for name, value, known in (('boxes', self.boxes, BOXES), ('masks', self.masks, MASKS)):
      if value not in known:
        raise InputError(
          f'The form of {name} is unknown',
          expected=f'one of {", ".join(known)}',
          got=str(value),
          likely_cause='a misspelled name, or an export of a newer version',
        )
    if not isinstance(self.max_pixels, int) or self.max_pixels < 1:
      raise InputError(
        'The limit of pixels is out of range',
        expected='a whole number from 1',
        got=str(self.max_pixels),
      )
    if self.bits not in DEPTHS or self.num_channels not in range(1, MAX_CHANNELS + 1):
      raise InputError(
        'The images of the export are unknown',
        expected=f'1 to {MAX_CHANNELS} channels of 8 or 16 bits',
        got=f'{self.num_channels} of {self.bits}',
        likely_cause='an export of a newer version',
      )
    if isinstance(self.mask_threshold, bool) or not _is_fraction(self.mask_threshold):
      raise InputError(
        'The threshold of the masks is out of range',
        expected='a number between 0 and 1',
        got=str(self.mask_threshold),
        likely_cause='a percentage',
      )
    if not isinstance(self.class_agnostic_nms, bool):
      raise InputError(
        'class_agnostic_nms of the export is unknown',
        expected='true or false',
        got=str(self.class_agnostic_nms),
        likely_cause='an edited export.json',
      )


def _is_fraction(value: Any) -> bool:
  return isinstance(value, (int, float)) and 0 < value < 1


def write_format(export_format: ExportFormat, folder: str) -> None:
  """Write `export.json` into a folder.

  It names the channels and bits of images other than RGB, the threshold of masks other than 0.5,
  and NMS across classes: without them, versions that do not know these entries read it too.
  """
  entries = export_format._asdict()
  if export_format.sample_format.is_rgb:
    del entries['num_channels'], entries['bits']
  if export_format.mask_threshold == PUBLISHED_THRESHOLD:
    del entries['mask_threshold']
  if not export_format.class_agnostic_nms:
    del entries['class_agnostic_nms']
  content = json.dumps(entries, indent=2)
  files.write_bytes(os.path.join(folder, FORMAT_FILE), content.encode())


def read_format(folder: str) -> ExportFormat:
  """Format of an export; the default if there is no `export.json`.

  Raises:
    InputError: the file cannot be read, has unknown entries or values, or is of an export for
      another runtime.
  """
  path = os.path.join(folder, FORMAT_FILE)
  if not file_systems.exists(path):
    return ExportFormat()
  content = read_json(path)
  if 'format' in content:  # `frame_export` writes it.
    raise InputError(
      f'{folder} is an export for another runtime, which no model server serves',
      expected='the folder of an export for TensorFlow (--format=saved_model)',
      got=f'the format {content["format"]}',
      likely_cause=f'another folder of the same model; htc-predict --model={folder} runs this one',
    )
  try:
    export_format = ExportFormat(**content)
  except TypeError as error:
    raise InputError(
      f'{path} cannot be read',
      expected=f'the entries {ExportFormat._fields}',
      got=str(error),
      likely_cause='an export of another version',
    ) from error
  export_format.check()
  return export_format


def write_categories(info: DatasetInfo | None, folder: str) -> None:
  """Write `categories.json`, {class: {id, name}}, unless the classes are unknown."""
  if info is None:
    return
  content = {str(c.label): {'id': c.id, 'name': c.name} for c in info.categories}
  text = json.dumps(content, indent=2)
  files.write_bytes(os.path.join(folder, CATEGORIES_FILE), text.encode())


def read_categories(folder: str) -> tuple[list[str], list[int]]:
  """Names and ids of the categories of an export; entry 0 is class 1.

  Both are empty if there is no `categories.json`.

  Raises:
    InputError: the file cannot be read, or has another form.
  """
  path = os.path.join(folder, CATEGORIES_FILE)
  if not file_systems.exists(path):
    return [], []
  content = read_json(path)
  try:
    entries = [content[label] for label in sorted(content, key=int)]
    return [str(entry['name']) for entry in entries], [int(entry['id']) for entry in entries]
  except (KeyError, TypeError, ValueError) as error:
    raise InputError(
      f'{path} cannot be read',
      expected='{"1": {"id": ..., "name": ...}, ...}',
      got=str(error),
      likely_cause='a file of another kind',
    ) from error


def read_json(path: str) -> dict[str, Any]:
  """The JSON object in a file; InputError if there is none."""
  try:
    content = json.loads(file_systems.read_bytes(path).decode())
  except FileNotFoundError as error:
    raise InputError(
      f'{path} does not exist',
      expected='a whole export, of which this file is a part',
      got='no such file',
      likely_cause='a copy of the model file alone; copy this file along with it',
    ) from error
  except (ValueError, RecursionError) as error:
    raise InputError(
      f'{path} cannot be read', expected='JSON', got=str(error), likely_cause='an interrupted copy'
    ) from error
  if not isinstance(content, dict):
    raise InputError(
      f'{path} cannot be read',
      expected='a JSON object',
      got=type(content).__name__,
      likely_cause='a file of another kind',
    )
  return content
