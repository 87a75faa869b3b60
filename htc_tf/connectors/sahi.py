"""A model for SAHI, which predicts on slices of images and evaluates them."""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from htc_tf.errors import InputError, missing_package
from htc_tf.serving import loading
from htc_tf.serving.detected_image import DetectedImage
from htc_tf.serving.predictor import HTCPredictor
from htc_tf.serving.score_thresholds import check_score_threshold

try:
  from sahi.models.base import DetectionModel
  from sahi.prediction import ObjectPrediction
  from sahi.utils.coco import CocoPrediction
  from sahi.utils.cv import get_coco_segmentation_from_bool_mask
except ImportError as failure:
  raise missing_package('The model cannot be given to SAHI', 'sahi', 'sahi', failure) from failure


class HTCDetectionModel(DetectionModel):
  """A model of this package for SAHI's `get_prediction`, `get_sliced_prediction` and `predict`.

  Categories have the ids of the data set of the training, and boxes are those of the model.

  SAHI holds masks as polygons through the centers of pixels. Parts of a mask that have at most two
  pixels or are straight lines one pixel wide (horizontal, vertical or diagonal, of any length) are
  lost; an object with no other parts has a box only. COCO entries and merged objects have no holes.

  The merge of slices is that of SAHI: for a model with `class_agnostic_nms`, give
  `get_sliced_prediction` `postprocess_class_agnostic=True`. Objects that it merges have the extent
  of their polygons as box: whole pixels, one short on the right and below.
  `postprocess_type='NMS'` merges nothing and keeps the boxes.

  SAHI reads image files by itself and clips gray ones of 16 bits at 255: most pixels become white.
  Give it an array for such files, `pixels` of an image of `model.detect` or
  `htc_tf.data.images.read_image(path).samples(model.sample_format)`, or predict with the tiles of
  this package, `model.detect(path, tile_size=1024)`.

  Example:
    model = HTCDetectionModel(model_path='model', confidence_threshold=0.3)
    sahi.predict.get_sliced_prediction('large.png', model, slice_height=1024, slice_width=1024)

  Args:
    model_path: model directory or checkpoint prefix; see `htc_tf.load_model`.
    model: a loaded model in place of `model_path`; it is used even with `load_at_init=False`.
    **kwargs: as for SAHI's `DetectionModel`, such as `confidence_threshold`. The keys of
      `category_mapping` and `category_remapping` are ids as texts or numbers. `image_size`,
      `mask_threshold` and `config_path` are those of the model and cannot be set here.

  Raises:
    InputError: neither a path nor a model is given, or `model` is no loaded model; the model reads
      other images than RGB of 8 bits; or an option cannot be set or is out of range.
  """

  category_mapping: dict[str, str] | None
  _original_predictions: list[DetectedImage] | None
  _object_prediction_list_per_image: list[list[ObjectPrediction]] | None

  def __init__(self, model_path: Any = None, model: HTCPredictor | None = None, **kwargs: Any):
    for name, default in (('image_size', None), ('mask_threshold', 0.5), ('config_path', None)):
      if kwargs.get(name, default) != default:
        raise InputError(
          f'{name} cannot be set',
          expected='the value of the model',
          got=str(kwargs[name]),
          likely_cause='an option for other models: change the configuration of this one with '
          'htc_tf.load_model(..., params_override=...)',
        )
    for name in ('category_mapping', 'category_remapping'):
      kwargs[name] = _with_text_keys(name, kwargs.get(name))
    load_at_init = kwargs.pop('load_at_init', True)
    # SAHI would forget a model that is given with load_at_init=False, so it loads nothing itself.
    super().__init__(model_path=model_path, load_at_init=False, **kwargs)
    check_score_threshold(self.confidence_threshold)
    self._has_own_mapping = bool(self.category_mapping)
    if model is not None:
      self.set_model(model)
    elif load_at_init:
      self.load_model()

  def load_model(self) -> None:
    """Load the model from `model_path`; without a path, a model that was given stays.

    Raises:
      InputError: there is neither a path nor a model.
    """
    if self.model_path is not None:
      self.set_model(loading.load_model(self.model_path))
    elif self.model is None:
      raise InputError('There is no model', expected='model_path or model', got='neither of them')

  def set_model(self, model: HTCPredictor, **_: Any) -> None:
    """Use a loaded model; its categories are taken unless SAHI was given a mapping of its own.

    Raises:
      InputError: it is no loaded model, or reads other images than RGB of 8 bits.
    """
    if not (hasattr(model, 'detect') and hasattr(model, 'sample_format')):
      raise InputError(
        'SAHI cannot use this as a model',
        expected='a model from htc_tf.load_model',
        got=repr(model) if isinstance(model, str) else type(model).__name__,
        likely_cause='a path, which is model_path=..., or a model of another library',
      )
    if not model.sample_format.is_rgb:
      raise InputError(
        'SAHI cannot read the images of this model',
        expected='a model of RGB images of 8 bits',
        got=str(model.sample_format),
      )
    self.model = model
    if not self._has_own_mapping:
      info = model.dataset_info
      pairs = zip(info.category_ids, info.category_names) if info else ()
      self.category_mapping = {str(id_): name for id_, name in pairs} or None

  def perform_inference(self, image: np.ndarray) -> None:
    """Detect in an image.

    Args:
      image: [height, width, 3] uint8 RGB.

    Raises:
      InputError: see `perform_batch_inference`.
    """
    self.perform_batch_inference([image])

  def perform_batch_inference(self, images: Sequence[np.ndarray]) -> None:
    """Detect in images, one after another.

    Args:
      images: [height, width, 3] uint8 RGB each.

    Raises:
      InputError: the model is not loaded, an image has another shape or type, or the threshold is
        out of range.
    """
    # If this fails, a caller that goes on must not get the objects of the images before.
    self._original_predictions = self._object_prediction_list_per_image = None
    if self.model is None:
      raise InputError(
        'The model is not loaded',
        expected='a loaded model',
        got='none',
        likely_cause='load_at_init=False or unload_model(): call load_model() or set_model(model)',
      )
    check_score_threshold(self.confidence_threshold)
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
    """Convert the detections of each image; see SAHI's `DetectionModel`.

    Args:
      shift_amount_list: [num, 2] x and y of each image in the whole one; [2] or [1, 2] for all.
      full_shape_list: [num, 2] height and width of the whole images, in the same forms; by default
        those of the images themselves.

    Raises:
      InputError: nothing was detected before, or the numbers of shifts or shapes are others.
    """
    found = self._original_predictions
    if found is None:
      raise InputError(
        'There are no predictions to convert',
        expected='perform_inference or perform_batch_inference before',
        got='no inference, or one that failed',
        likely_cause='a call that is missing, or an error of the inference that was caught',
      )
    shifts = _pair_of_each('shift_amount', shift_amount_list, [[0, 0]] * len(found))
    shapes = _pair_of_each('full_shape', full_shape_list, [list(image.size) for image in found])
    self._object_prediction_list_per_image = [
      self._converted(*each) for each in zip(found, shifts, shapes, strict=True)
    ]

  def _converted(
    self, image: DetectedImage, shift: list[float], full_shape: list[float]
  ) -> list[ObjectPrediction]:
    """The detections of an image in SAHI's form."""
    masks = image.each_mask() if image.has_masks else [None] * len(image)
    ids = [result['category_id'] for result in image.to_coco()]
    names = self.category_mapping or {}
    return [
      _Prediction(
        bbox=box.tolist(),
        segmentation=_segmentation(mask),
        category_id=id_,
        category_name=names.get(str(id_), f'class {id_}'),
        score=float(score),
        shift_amount=shift,
        full_shape=full_shape,
      )
      for box, mask, id_, score in zip(image.boxes_xyxy, masks, ids, image.scores)
    ]


class _Prediction(ObjectPrediction):
  """A prediction whose box is the given one; SAHI replaces it by the extent of the polygons."""

  def __init__(self, **kwargs: Any):
    super().__init__(**kwargs)
    # Without polygons, SAHI keeps the box, and clips and shifts it by its own rules.
    self.bbox = ObjectPrediction(**{**kwargs, 'segmentation': None}).bbox

  def get_shifted_object_prediction(self) -> '_Prediction':
    """The prediction in the pixels of the whole image."""
    mask = self.mask.get_shifted_mask() if self.mask else None
    return _Prediction(
      bbox=self.bbox.get_shifted_box().to_xyxy(),
      segmentation=mask.segmentation if mask else None,
      category_id=self.category.id,
      category_name=self.category.name,
      score=self.score.value,
      shift_amount=[0, 0],
      full_shape=mask.full_shape if mask else None,
    )

  def to_coco_prediction(self, image_id: int | None = None) -> CocoPrediction:
    """The prediction as an entry of a COCO results file.

    Args:
      image_id: id of the image.
    """
    return _CocoPrediction(
      bbox=self.bbox.to_xywh(),
      segmentation=self.mask.segmentation if self.mask else None,
      category_id=self.category.id,
      category_name=self.category.name,
      score=self.score.value,
      image_id=image_id,
    )


class _CocoPrediction(CocoPrediction):
  """An entry of a COCO results file whose box is the given one, also beside polygons."""

  def __init__(self, bbox: list[float], **kwargs: Any):
    super().__init__(bbox=bbox, **kwargs)
    self._given_box = bbox

  @property
  def bbox(self) -> list[float]:
    """[4] xmin, ymin, width, height."""
    return self._given_box


def _segmentation(mask: np.ndarray | None) -> list[list[float]] | None:
  """SAHI's polygons of a mask; None if it has none."""
  return None if mask is None else get_coco_segmentation_from_bool_mask(mask) or None


def _with_text_keys(name: str, mapping: Any) -> dict[str, Any] | None:
  """A mapping from the ids of categories with texts as keys, as SAHI looks them up.

  Args:
    name: its name in messages.
    mapping: the mapping; None for none.
  """
  if mapping is None:
    return None
  is_mapping = isinstance(mapping, Mapping)
  if not is_mapping or not all(isinstance(key, (str, numbers.Integral)) for key in mapping):
    raise InputError(
      f'{name} cannot be used',
      expected="a mapping from ids of categories, such as {'1': ...}",
      got=repr(mapping),
      likely_cause='a list of names' if not is_mapping else 'ids of another type',
    )
  return {str(key): value for key, value in mapping.items()}


def _pair_of_each(name: str, given: Any, default: list[list[int]]) -> list[list[float]]:
  """Two numbers for each image.

  Args:
    name: their name in messages.
    given: [num, 2], or [2] or [1, 2] for all images; None or [] for the default.
    default: [num, 2] those of each image if none are given.
  """
  if given is None or len(given) == 0:
    return [[*pair] for pair in default]
  try:
    pairs = np.atleast_2d(np.asarray(given))
  except ValueError:  # Rows of different lengths.
    pairs = np.empty([0, 0])
  num = len(default)
  if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in 'iuf':
    got = repr(given)
  elif len(pairs) not in (1, num):
    got = f'{len(pairs)} pairs for {num} images'
  else:
    return np.broadcast_to(pairs, (num, 2)).tolist()
  raise InputError(
    f'{name} does not fit the images',
    expected=f'two numbers for each image, or two numbers for all of them; images: {num}',
    got=got,
    likely_cause='a batch of another size than that of the last inference',
  )
