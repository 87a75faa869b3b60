"""Detections as a COCO data set with polygons, which annotation tools read."""

import itertools
import json
import os
from typing import Any

import numpy as np

from htc_tf.data import mask_runs
from htc_tf.data.mask_runs import Window
from htc_tf.serving.detected_image import DetectedImage
from htc_tf.serving.outputs.base import GrowingFile
from htc_tf.serving.outputs.object_windows import each_window
from htc_tf.serving.outputs.outlines import outlines_in

FILE = 'annotations.json'


class CocoPolygons:
  """`annotations.json`: images, categories and annotations with polygons and scores.

  Polygons have no holes: they are filled. `predictions.json` has the exact masks. Objects without a
  pixel are left out, because pycocotools cannot read masks without polygons; those whose box is
  larger than an image may be, which the log says, have run lengths.

  Args:
    folder: the output folder.
    categories: entries of the categories.
  """

  def __init__(self, folder: str, categories: list[dict[str, Any]]):
    self._file = GrowingFile(os.path.join(folder, FILE))
    self._categories = {entry['id']: entry for entry in categories}
    self._images: list[dict[str, Any]] = []
    self._num_annotations = 0

  def write(
    self, image: DetectedImage, stem: str, name: str | None = None, image_id: int | None = None
  ) -> int:
    """Append the annotations of an image; see `Output.write`."""
    height, width = image.size
    image_id = len(self._images) + 1 if image_id is None else image_id
    name = name or (os.path.basename(image.path) if image.path else f'{stem}.png')
    windows = each_window(image, 'polygon') if image.has_masks else itertools.repeat(None)
    for entry, window in zip(image.to_coco(image_id), windows):
      if window is None or window.bitmap.size:
        self._append(entry, window)
    self._images.append({'id': image_id, 'file_name': name, 'height': height, 'width': width})
    return 0

  def close(self) -> int:
    """Write the data set."""
    head = {'images': self._images, 'categories': list(self._categories.values())}
    text = json.dumps(head)[:-1] + ', "annotations": ['
    self._file.finish(text.encode(), b'\n]}\n')
    return 1

  def discard(self) -> None:
    """Leave the file of an earlier run as it is."""
    self._file.remove()

  def _append(self, entry: dict[str, Any], window: Window | None) -> None:
    category = entry['category_id']
    self._categories.setdefault(category, {'id': category, 'name': f'class {category}'})
    of_mask, area = _mask_of(entry, window)
    self._num_annotations += 1
    annotation = {
      'id': self._num_annotations,
      'image_id': entry['image_id'],
      'category_id': category,
      'bbox': entry['bbox'],
      'area': area,
      'segmentation': of_mask,
      'iscrowd': 0,
      'score': entry['score'],
    }
    separator = ',\n' if self._num_annotations > 1 else '\n'
    self._file.append((separator + json.dumps(annotation, allow_nan=False)).encode())


def _mask_of(entry: dict[str, Any], window: Window | None) -> tuple[Any, float]:
  """Polygons or run lengths of an object, and its area; no polygons if the model has no masks."""
  if window is not None:
    return outlines_in(window).as_lists(), int(np.count_nonzero(window.bitmap))
  if 'segmentation' in entry:
    return entry['segmentation'], mask_runs.of_rle(entry['segmentation']).area
  _, _, width, height = entry['bbox']
  return [], width * height
