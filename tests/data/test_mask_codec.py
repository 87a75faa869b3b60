"""Tests of run-length encodings, against pycocotools."""

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from htc_tf.data import mask_codec
from htc_tf.errors import DataError


@pytest.mark.parametrize('density', [0.0, 0.02, 0.5, 1.0])
@pytest.mark.parametrize('dtype', [bool, np.uint8, np.int32])
def test_masks_are_encoded_as_by_pycocotools_and_decoded_again(density, dtype):
  mask = np.random.default_rng(3).random([37, 90]) < density
  encoded = mask_codec.encode(mask.astype(dtype))
  expected = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
  assert encoded == {'size': [37, 90], 'counts': expected['counts'].decode()}
  assert json.loads(json.dumps(encoded)) == encoded
  for counts in (encoded['counts'], expected['counts']):
    decoded = mask_codec.decode({**encoded, 'counts': counts})
    assert decoded.dtype == bool
    np.testing.assert_array_equal(decoded, mask)


@pytest.mark.parametrize('numbers', [range(4), range(1, 3), [0], [7]])
def test_a_map_is_encoded_as_the_mask_of_each_number(numbers):
  values = np.array([0, 300, 70_000, -5, 0, 0, 0, 9])[list(numbers)]
  map_ = np.random.default_rng(5).choice(values, [23, 31])
  expected = {value: mask_codec.encode(map_ == value) for value in sorted(set(values) - {0})}
  assert mask_codec.encode_map(map_) == expected


def test_all_numbers_except_zero_count_as_one():
  mask = np.array([[0, 256], [3, 0]])
  np.testing.assert_array_equal(mask_codec.decode(mask_codec.encode(mask)), mask != 0)


def test_run_lengths_alternate_between_zeros_and_ones():
  mask = np.zeros([4, 3], np.uint8)
  mask[1:3, 1] = 1
  assert mask_codec.run_lengths(mask_codec.encode(mask)['counts']) == [5, 2, 5]


@pytest.mark.parametrize('counts', ['\u20ac', 'garbage!!', 'P'])
def test_text_that_is_not_an_encoding_is_refused(counts):
  with pytest.raises(DataError, match='run length'):
    mask_codec.run_lengths(counts)
