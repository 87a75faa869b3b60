"""The stored training step of the reference, in our layout and with our names."""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from htc_tf.data import preprocess
from htc_tf.modeling.outputs import Proposals
from parity.layout import yx

NUM_IMAGES = 2
_FILES = ('mmdet_r50_inference.npz', 'mmdet_r50_losses.npz')
_READ = ('image0_bgr', 'image1_bgr', 'image_sizes_hw')


class TrainingStep(NamedTuple):
  """Inputs and results of a training step.

  Attributes:
    inputs: inputs of `HTCModel` in training.
    semantic_labels: [batch, height, width] uint8 in padded-image pixels, 255 ignored.
    proposals: proposals of the reference's RPN.
    arrays: results of the reference by the keys of the pack, boxes xyxy.
  """

  inputs: dict[str, tf.Tensor]
  semantic_labels: tf.Tensor
  proposals: Proposals
  arrays: Mapping[str, np.ndarray]


def read_step(folder: str) -> TrainingStep:
  """The step stored in a folder with the parity pack."""
  inference, results = (np.load(os.path.join(folder, name)) for name in _FILES)
  with inference, results:
    return make_step({**{key: inference[key] for key in _READ}, **results})


def make_step(arrays: Mapping[str, np.ndarray]) -> TrainingStep:
  """The step that is stored in the given arrays.

  Args:
    arrays: images, ground truth, proposals and results by the keys of the pack.
  """
  semantic = np.concatenate(_of_images(arrays, 'gt_image{}_semantic_padded'))
  padded_hw = semantic.shape[1:]
  labels = _of_images(arrays, 'gt_image{}_labels')
  masks = [
    _pad_masks(image_masks, padded_hw) for image_masks in _of_images(arrays, 'gt_image{}_masks')
  ]
  inputs = {
    'images': np.stack(
      [_network_input(bgr, padded_hw) for bgr in _of_images(arrays, 'image{}_bgr')]
    ),
    'image_shape': arrays['image_sizes_hw'].astype(np.float32),
    'gt_boxes': _stack([yx(boxes) for boxes in _of_images(arrays, 'gt_image{}_boxes')], -1),
    'gt_classes': _stack([(image_labels + 1).astype(np.int32) for image_labels in labels], -1),
    'gt_masks': np.packbits(_stack(masks, 0), axis=-1),
  }
  inputs = {key: tf.constant(value) for key, value in inputs.items()}
  return TrainingStep(inputs, tf.constant(semantic), _proposals(arrays), arrays)


def _of_images(arrays: Mapping[str, np.ndarray], key: str) -> list[np.ndarray]:
  return [arrays[key.format(image)] for image in range(NUM_IMAGES)]


def _network_input(bgr: np.ndarray, padded_hw: tuple[int, ...]) -> np.ndarray:
  pixels = preprocess.normalize(tf.constant(np.ascontiguousarray(bgr[..., ::-1])))
  return preprocess.pad_to(pixels, padded_hw).numpy()


def _pad_masks(masks: np.ndarray, padded_hw: tuple[int, ...]) -> np.ndarray:
  padded = np.zeros([len(masks), *padded_hw], np.uint8)
  padded[:, : masks.shape[1], : masks.shape[2]] = masks
  return padded


def _stack(by_image: Sequence[np.ndarray], padding: int) -> np.ndarray:
  """The arrays of all images, padded to one row more than the longest of them."""
  num_rows = 1 + max(len(values) for values in by_image)
  stacked = np.full([len(by_image), num_rows, *by_image[0].shape[1:]], padding, by_image[0].dtype)
  for rows, values in zip(stacked, by_image):
    rows[: len(values)] = values
  return stacked


def _proposals(arrays: Mapping[str, np.ndarray]) -> Proposals:
  boxes = np.stack([yx(boxes) for boxes in _of_images(arrays, 'proposals_image{}')])
  scores = np.stack(_of_images(arrays, 'proposal_scores_image{}'))
  return Proposals(tf.constant(boxes), tf.constant(scores), tf.ones(scores.shape, tf.bool))
