"""A model for SAHI, which predicts on slices of images and evaluates them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from htc_tf.errors import InputError, missing_package
from htc_tf.serving import loading
from htc_tf.serving.detected_image import DetectedImage
from htc_tf.serving.predictor import HTCPredictor

try:
  from sahi.models.base import DetectionModel
  from sahi.prediction import ObjectPrediction
  from sahi.utils.compatibility import fix_full_shape_list, fix_shift_amount_list
  from sahi.utils.cv import get_coco_segmentation_from_bool_mask
except ImportError as failure:
  raise missing_package('The model cannot be given to SAHI', 'sahi', 'sahi', failure) from failure


class HTCDetectionModel(DetectionModel):
  """A model of this package for SAHI's `get_prediction`, `get_sliced_prediction` and `predict`.

  Categories have the ids of the data set of the training. SAHI holds masks as polygons: holes are
  filled, and objects of one or two pixels have a box only. The merge of slices is that of SAHI: for
  a model with `class_agnostic_nms`, give `get_sliced_prediction` `postprocess_class_agnostic=True`.

  Example:
    model = HTCDetectionModel(model_path='model', confidence_threshold=0.3)
    sahi.predict.get_sliced_prediction('large.png', model, slice_height=1024, slice_width=1024)

  Args:
    model_path: model directory or checkpoint prefix; see `htc_tf.load_model`.
    model: a loaded model in place of `model_path`.
    **kwargs: as for SAHI's `DetectionModel`, such as `confidence_threshold`. `image_size` and
      `mask_threshold` are those of the model and cannot be set here.

  Raises:
    InputError: neither a path nor a model is given, the model reads other images than RGB of 8
      bits, or an option cannot be set.
  """

  category_mapping: dict[str, str] | None

  def __init__(self, model_path: Any = None, model: HTCPredictor | None = None, **kwargs: Any):
    for name, default in (('image_size', None), ('mask_threshold', 0.5)):
      if kwargs.get(name, default) != default:
        raise InputError(
          f'{name} cannot be set',
          expected='the value of the model',
          got=str(kwargs[name]),
          likely_cause='an option for other models: change the configuration of this one with '
          'htc_tf.load_model(..., params_override=...)',
        )
    super().__init__(model_path=model_path, model=model, **kwargs)

  def load_model(self) -> None:
    """Load the model from `model_path`."""
    if self.model_path is None:
      raise InputError('There is no model', expected='model_path or model', got='neither of them')
    self.set_model(loading.load_model(self.model_path))

  def set_model(self, model: HTCPredictor, **_: Any) -> None:
    """Use a loaded model; its categories are taken unless SAHI was given a mapping of its own."""
    if not model.sample_format.is_rgb:
      raise InputError(
        'SAHI cannot read the images of this model',
        expected='a model of RGB images of 8 bits',
        got=str(model.sample_format),
      )
    self.model = model
    info = model.dataset_info
    if not self.category_mapping and info:
      pairs = zip(info.category_ids, info.category_names)
      self.category_mapping = {str(id_): name for id_, name in pairs}

  def perform_inference(self, image: np.ndarray) -> None:
    """Detect in an image.

    Args:
      image: [height, width, 3] uint8 RGB.
    """
    self.perform_batch_inference([image])

  def perform_batch_inference(self, images: Sequence[np.ndarray]) -> None:
    """Detect in images, one after another.

    Args:
      images: [height, width, 3] uint8 RGB each.
    """
    self._original_predictions = [
      found
      for image in images
      for found in self.model.detect(np.ascontiguousarray(image), self.confidence_threshold)
    ]

  @property
  def num_categories(self) -> int:
    """Number of categories; 0 if they are unknown."""
    return len(self.category_mapping or {})

  @property
  def category_names(self) -> list[str]:
    """Names of the categories."""
    return list((self.category_mapping or {}).values())

  @property
  def has_mask(self) -> bool:
    """Whether the detections of the last images have masks."""
    return any(found.has_masks for found in self._original_predictions or ())

  def _create_object_prediction_list_from_original_predictions(
    self, shift_amount_list: Any = None, full_shape_list: Any = None
  ) -> None:
    """Convert the detections of each image; see SAHI's `DetectionModel`."""
    found = self._original_predictions
    shifts = fix_shift_amount_list(shift_amount_list or [[0, 0]] * len(found))
    shapes = fix_full_shape_list(full_shape_list or [list(image.size) for image in found])
    self._object_prediction_list_per_image = [
      self._converted(image, shift, shape) for image, shift, shape in zip(found, shifts, shapes)
    ]

  def _converted(
    self, image: DetectedImage, shift: Sequence[int], full_shape: Sequence[int]
  ) -> list[ObjectPrediction]:
    """The detections of an image in SAHI's form."""
    masks = image.each_mask() if image.has_masks else [None] * len(image)
    ids = [result['category_id'] for result in image.to_coco()]
    names = self.category_mapping or {}
    return [
      ObjectPrediction(
        bbox=box.tolist(),
        segmentation=_segmentation(mask),
        category_id=id_,
        category_name=names.get(str(id_), f'class {id_}'),
        score=float(score),
        shift_amount=list(shift),
        full_shape=list(full_shape),
      )
      for box, mask, id_, score in zip(image.boxes_xyxy, masks, ids, image.scores)
    ]


def _segmentation(mask: np.ndarray | None) -> list[list[float]] | None:
  """SAHI's polygons of a mask; None if it has none."""
  return None if mask is None else get_coco_segmentation_from_bool_mask(mask) or None
