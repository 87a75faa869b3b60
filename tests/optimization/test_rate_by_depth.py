"""Tests of learning rates by the depth of a layer against factors by hand."""

import pytest

from htc_tf.optimization.rate_by_depth import rate_factors

# Two blocks in the second stage, one in each of the others; the exponents of layers and stages.
RESNET = {
  'conv1/kernel:0': (6, 5),
  'bn1/gamma:0': (6, 5),
  'layer1/0/conv1/kernel:0': (5, 4),
  'layer2/0/downsample/0/kernel:0': (4, 3),
  'layer2/1/bn2/beta:0': (3, 3),
  'layer3/0/conv2/conv_offset/kernel:0': (2, 2),
  'layer4/0/conv3/kernel:0': (1, 1),
  'published_fpn/lateral_convs/0/kernel:0': (0, 0),
  'mask_head/convs/0/conv1/kernel:0': (0, 0),
}
SWIN = {
  'patch_embed/proj/kernel:0': (6, 5),
  'cb_modules/0/layers/0/blocks/0/attn/table:0': (5, 4),
  'cb_modules/0/layers/1/blocks/0/fc1/kernel:0': (4, 3),
  'cb_modules/1/layers/1/blocks/1/fc1/kernel:0': (3, 3),
  'cb_modules/1/layers/1/downsample/reduction/kernel:0': (3, 3),
  'cb_modules/0/layers/2/blocks/0/norm1/gamma:0': (2, 2),
  'cb_modules/1/layers/3/blocks/0/norm1/gamma/replica_1:0': (1, 1),
  'cb_modules/1/norm3/gamma:0': (0, 0),
  'cb_linears/0/1/kernel:0': (0, 0),
  'box_head/fc_cls/kernel:0': (0, 0),
}


@pytest.mark.parametrize('kind', ['layer', 'stage'])
@pytest.mark.parametrize('exponents', [RESNET, SWIN], ids=['ResNet', 'Swin'])
def test_factors_fall_towards_the_first_layers(exponents, kind):
  expected = {
    name.replace('/replica_1', ''): 0.5 ** pair[kind == 'stage'] for name, pair in exponents.items()
  }
  assert rate_factors(exponents, 0.5, kind) == expected


def test_a_single_transformer_is_that_of_a_composite_and_frozen_layers_do_not_matter():
  alone = {name.replace('cb_modules/0', 'trunk'): pair for name, pair in SWIN.items()}
  names = [name for name in alone if not name.startswith('patch_embed')]
  factors = rate_factors(names, 0.5)
  assert factors['trunk/layers/0/blocks/0/attn/table:0'] == 0.5**5


def test_a_deep_stem_comes_before_the_first_stage():
  factors = rate_factors(['stem/0/kernel:0', 'layer1/0/conv1/kernel:0'], 0.5)
  assert list(factors.values()) == [0.25, 0.5]


def test_no_backbone_has_no_factors():
  assert rate_factors(['kernel:0'], 0.5) == {'kernel:0': 1.0}
  assert rate_factors([], 0.5) == {}
