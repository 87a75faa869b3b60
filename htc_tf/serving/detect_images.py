"""Detection in images of any kind that Python programs have: files, folders, arrays, pictures."""

import os
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageOps

from htc_tf.data import images as image_files
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.data.images import SourceImage
from htc_tf.data.sample_format import SampleFormat
from htc_tf.errors import InputError
from htc_tf.serving import large_images, predict_files, tiled_detection
from htc_tf.serving.batch_detection import Run, in_batches
from htc_tf.serving.detected_image import DetectedImage
from htc_tf.serving.export_format import ExportFormat
from htc_tf.serving.score_thresholds import check_score_threshold
from htc_tf.serving.tiled_detection import Picture, detect_pictures
from htc_tf.serving.tiling import Tiling

OneImage: TypeAlias = str | os.PathLike | np.ndarray | Image.Image | SourceImage
Images: TypeAlias = OneImage | Iterable[OneImage]
_EXPECTED = (
  'a path of an image or a folder, an array [height, width, channels], a batch of such arrays, a '
  'Pillow image, or several of these'
)


def detect_images(
  images: Images,
  run: Run,
  export_format: ExportFormat,
  info: DatasetInfo | None,
  score_threshold: float,
  tiling: Tiling | None = None,
  batch_size: int = 1,
) -> Iterator[DetectedImage]:
  """The detections in each image, one after another.

  Args:
    images: see `HTCPredictor.detect`.
    run: the model.
    export_format: form of its outputs, and what else it says about the model.
    info: its classes; None if unknown.
    score_threshold: detections with a lower score are left out.
    tiling: tiles of large images; None to see each image as a whole.
    batch_size: number of tiles that are computed together.

  Raises:
    InputError: an image cannot be read, or is of another kind; or the threshold is out of range.
  """
  check_score_threshold(score_threshold)
  tiled_detection.check_batch_size(batch_size)
  names, ids = (info.category_names, info.category_ids) if info else ([], [])
  detect, sample_format = in_batches(run, export_format), export_format.sample_format
  for source in _sources(images, sample_format, tiling):
    (instances,) = detect_pictures(
      detect,
      [source],
      sample_format,
      tiling,
      batch_size,
      class_agnostic=export_format.class_agnostic_nms,
    )
    if isinstance(instances, InputError):
      raise instances
    found = DetectedImage(source, instances, names, ids, sample_format)
    yield found.filtered(score_threshold) if score_threshold else found


def _sources(
  images: Images, sample_format: SampleFormat, tiling: Tiling | None
) -> Iterator[Picture]:
  if isinstance(images, SourceImage):
    yield images
  elif isinstance(images, (str, os.PathLike)):
    for path in predict_files.list_images([os.fspath(images)]):
      large = large_images.open_large(path, sample_format, tiling)
      yield predict_files.read_image(path, sample_format) if large is None else large
  elif isinstance(images, Image.Image):
    yield _of_picture(images, sample_format)
  elif isinstance(images, np.ndarray):
    yield from _of_array(images, sample_format)
  elif isinstance(images, Iterable):
    for image in images:
      yield from _sources(image, sample_format, tiling)
  else:
    raise InputError(
      'The model cannot read these images',
      expected=_EXPECTED,
      got=type(images).__name__,
      likely_cause='a variable that was not set, or an image of another library',
    )


def _of_picture(picture: Image.Image, sample_format: SampleFormat) -> SourceImage:
  if 0 in picture.size:
    raise InputError(
      'The model cannot read this picture',
      expected='at least one pixel',
      got=f'{picture.width}x{picture.height}',
      likely_cause='a cut-out whose box lies outside its picture',
    )
  # A copy has no format, by which the content of its file would be read again.
  image = SourceImage(ImageOps.exif_transpose(picture).copy(), b'')
  try:
    image.samples(sample_format)
  except image_files.UnreadableImageError as error:
    raise InputError(f'The model cannot read this picture: {error}') from error
  return image


def _of_array(pixels: np.ndarray, sample_format: SampleFormat) -> Iterator[SourceImage]:
  """The image of an array, or those of a batch."""
  channels = sample_format.num_channels
  is_known = pixels.ndim in (3, 4) and pixels.shape[-1] == channels and 0 not in pixels.shape[-3:]
  if not is_known or pixels.dtype.name != sample_format.dtype:
    raise InputError(
      'The model cannot read this array',
      expected=f'[height, width, {channels}] {sample_format.array_type}, or a batch of them',
      got=f'{list(pixels.shape)} {pixels.dtype.name}',
      likely_cause='gray or RGBA channels, channels first, or pixels already scaled to floats',
    )
  batch = pixels if pixels.ndim == 4 else pixels[np.newaxis]
  for image in batch:
    yield image_files.image_from_pixels(image)
