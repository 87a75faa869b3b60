"""Detection in images of any kind that Python programs have: files, folders, arrays, pictures."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageOps

from htc_tf.data import images as image_files
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.data.images import SourceImage
from htc_tf.data.sample_format import SampleFormat
from htc_tf.errors import InputError
from htc_tf.serving import predict_files
from htc_tf.serving.detected_image import DetectedImage
from htc_tf.serving.export_format import ExportFormat
from htc_tf.serving.instances import read_outputs
from htc_tf.serving.score_thresholds import check_score_threshold

OneImage: TypeAlias = str | os.PathLike | np.ndarray | Image.Image | SourceImage
Images: TypeAlias = OneImage | Iterable[OneImage]
# Function from [1, height, width, channels] to arrays by output name.
Run: TypeAlias = Callable[[np.ndarray], dict[str, np.ndarray]]
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
) -> Iterator[DetectedImage]:
  """The detections in each image, one after another.

  Args:
    images: see `HTCPredictor.detect`.
    run: the model.
    export_format: form of its outputs, and channels and depth of the images that it reads.
    info: its classes; None if unknown.
    score_threshold: detections with a lower score are left out.

  Raises:
    InputError: an image cannot be read, or is of another kind; or the threshold is out of range.
  """
  check_score_threshold(score_threshold)
  names, ids = (info.category_names, info.category_ids) if info else ([], [])
  sample_format = export_format.sample_format
  for source in _sources(images, sample_format):
    outputs = run(source.samples(sample_format)[np.newaxis])
    instances = read_outputs(outputs, 0, source.size, export_format)
    found = DetectedImage(source, instances, names, ids, sample_format)
    yield found.filtered(score_threshold) if score_threshold else found


def _sources(images: Images, sample_format: SampleFormat) -> Iterator[SourceImage]:
  if isinstance(images, SourceImage):
    yield images
  elif isinstance(images, (str, os.PathLike)):
    for path in predict_files.list_images([os.fspath(images)]):
      yield predict_files.read_image(path, sample_format)
  elif isinstance(images, Image.Image):
    # A copy has no format, by which the content of its file would be read again.
    yield SourceImage(ImageOps.exif_transpose(images).copy(), b'')
  elif isinstance(images, np.ndarray):
    yield from _of_array(images, sample_format)
  elif isinstance(images, Iterable):
    for image in images:
      yield from _sources(image, sample_format)
  else:
    raise InputError(
      'The model cannot read these images',
      expected=_EXPECTED,
      got=type(images).__name__,
      likely_cause='a variable that was not set, or an image of another library',
    )


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
