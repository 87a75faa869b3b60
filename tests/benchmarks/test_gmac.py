"""Tests of the count of multiply-accumulates against published figures and counting by hand."""

import math

import pytest

from benchmarks import gmac, scene


@pytest.fixture(scope='module', name='shapes')
def _shapes():
  return scene.Weights().shapes


def test_resnet_50_has_its_published_count(shapes):
  # 4.09e9 at 224x224, for the network of He et al. with the stride on the 3x3 convolution. That
  # includes the classifier of 2048 x 1000, which this backbone does not have.
  counted = gmac.by_part(shapes, (224, 224), 0, 0)['backbone']
  assert counted + 2048 * 1000 / 1e9 == pytest.approx(4.09, abs=0.005)


def test_parts_agree_with_counting_by_hand(shapes):
  parts = gmac.by_part(shapes, (64, 96), 10, 2)
  areas = [16 * 24, 8 * 12, 4 * 6, 2 * 3, 1 * 2]
  laterals = sum(area * channels * 256 for area, channels in zip(areas, (256, 512, 1024, 2048)))
  assert parts['fpn'] * 1e9 == pytest.approx(laterals + sum(areas[:4]) * 9 * 256 * 256)
  assert parts['rpn'] * 1e9 == pytest.approx(sum(areas) * (9 * 256 * 256 + 256 * 15))
  # Five laterals and the embedding, four 3x3 convolutions, and the logits.
  semantic = 6 * 256 * 256 + 4 * 9 * 256 * 256 + 256 * 183
  assert parts['semantic'] * 1e9 == pytest.approx(areas[1] * semantic)
  box = 256 * 49 * 1024 + 1024 * 1024 + 1024 * (81 + 4)
  assert parts['box_stages'] * 1e9 == pytest.approx(10 * 3 * box)
  mask = 3 * (196 * (4 * 9 * 256 * 256 + 4 * 256 * 256) + 784 * 256) + 2 * 196 * 256 * 256
  assert parts['mask_stages'] * 1e9 == pytest.approx(2 * mask)


def test_every_kernel_is_counted_once(shapes):
  prefixes = (
    'backbone.',
    'neck.',
    'rpn_head.',
    'roi_head.semantic_head.',
    'roi_head.bbox_head.',
    'roi_head.mask_head.',
  )
  kernels = [name for name, shape in shapes.items() if len(shape) > 1]
  assert all(sum(name.startswith(prefix) for prefix in prefixes) == 1 for name in kernels)


def test_a_convolution_agrees_with_counting_by_hand():
  assert gmac.convolution(2, 3, 5) == pytest.approx(math.prod((2, 3, 5, 5, 9)) / 1e9)
