"""Weights that the references of the families around HTC were computed with.

    state = state_dict('htc_hrnetv2p-w18_20e_coco')  # {name: array} of the published model

Every array is a pure function of its name and shape, and, for the two scales of a standardized
convolution, of the shape of its kernel: a generator seeded with crc32(name) draws in float64, the
scale is applied in float64, and the result is cast to float32 at the end. Running statistics cannot
be drawn so, because the activations of a deep network would grow without limit: they are what the
network measured on the image of the reference. The layouts are those of published checkpoints:
convolutions [out, in, height, width], fully connected layers [out, in], transposed convolutions
[in, out, height, width]. Only NumPy and the standard library are used.
"""

import json
import os
import zlib

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))

# (part of the name, factor on the He scale); the first match counts; without a match, the factor
# is 1.
GAINS = (
  ('neck.lateral_convs.', 0.4),
  ('neck.fpn_convs.', 0.5),
  ('neck.reduction_conv.', 0.25),
  ('rpn_head.rpn_cls.', 2.0),
  ('rpn_head.rpn_reg.', 0.4),
  ('.fc_cls.', 3.0),
  ('.fc_reg.', 0.7),
  ('semantic_head.lateral_convs.', 0.5),
  ('semantic_head.conv_embedding.', 0.5),
  ('semantic_head.conv_logits.', 0.6),
  ('glbctx_head.fc.', 0.5),
  ('feat_relay_head.fc.', 0.3),
  ('.conv_res.', 0.5),
  ('.conv2.conv_offset.', 0.2),
  ('.offset_s.', 0.2),
  ('.offset_l.', 0.2),
  ('.switch.', 0.2),
  ('.pre_context.', 0.1),
  ('.post_context.', 0.1),
  ('.weight_diff', 0.3),
  ('.rfp_conv.', 0.3),
  ('rfp_aspp.', 0.7),
  ('rfp_weight.', 0.3),
  ('cb_linears.', 0.3),
  ('.attn.proj.', 0.3),
  ('.mlp.fc2.', 0.3),
  ('.relative_position_bias_table', 0.3),
)
# Factors on the scale of norms at the end of a residual branch, by part of the name.
NORM_GAINS = (('.bn3.', 0.2), ('.fuse_layers.', 0.3))
BASIC_BLOCK_GAIN = 0.3
# Kernels from which the mean over the spatial positions is subtracted, for each pair of output and
# input channel.
SPATIALLY_CENTERED = ('.shared_fcs.0.weight', 'rpn_head.rpn_conv.weight')
ROI_POSITIONS = 49
# Entries that the network computes or has measured.
NOT_DRAWN = ('.relative_position_index', '.running_mean', '.running_var')


def state_dict(config):
  """All weights and statistics of a configuration, {name: array}, in the order of the state_dict.

  Args:
    config: name of the configuration, whose shapes and statistics are in the folder of this file.
  """
  with open(os.path.join(HERE, f'{config}_shapes.json'), encoding='ascii') as file:
    shapes = dict(json.load(file))
  measured = {**_statistics(config, shapes, 'mean'), **_statistics(config, shapes, 'var')}
  state = {}
  for name, shape in shapes.items():
    if name in measured:
      state[name] = measured[name]
    elif not name.endswith(NOT_DRAWN):
      state[name] = weight(name, tuple(shape), shapes)
  return state


def _statistics(config, shapes, kind):
  """Running means ('mean') or variances ('var') by name."""
  names = [name for name in shapes if name.endswith(f'.running_{kind}')]
  if not names:
    return {}
  with np.load(os.path.join(HERE, f'{config}_statistics.npz')) as file:
    values = file['means' if kind == 'mean' else 'variances']
  ends = np.cumsum([shapes[name][0] for name in names])
  return dict(zip(names, np.split(values, ends[:-1])))


def weight(name, shape, shapes):
  """One weight.

  Args:
    name: full key in the state_dict.
    shape: its shape.
    shapes: {name: shape} of all entries.

  Returns:
    float32 array of that shape (int64 zeros for '*.num_batches_tracked').
  """
  if name.endswith('.num_batches_tracked'):
    return np.zeros(shape, np.int64)
  rng = np.random.default_rng(zlib.crc32(name.encode('ascii')))
  if name.endswith(('.weight_gamma', '.weight_beta')):
    values = _standardized_scale(rng, name, shape, shapes)
  elif name.endswith('.bias'):
    values = _bias(rng, name, shape)
  elif len(shape) == 1:
    values = rng.uniform(0.5, 1.5, shape) * _norm_gain(name)
  else:
    values = _kernel(rng, name, shape)
  return values.astype(np.float32)


def _standardized_scale(rng, name, shape, shapes):
  """The scale or the shift of a standardized convolution."""
  fan_in = int(np.prod(shapes[name.rsplit('.', 1)[0] + '.weight'][1:]))
  is_scale = name.endswith('.weight_gamma')
  values = rng.uniform(0.5, 1.5, shape) if is_scale else rng.normal(0.0, 0.2, shape)
  return values * np.sqrt(2.0 / fan_in)


def _bias(rng, name, shape):
  values = rng.normal(0.0, 0.01, shape)
  if name.endswith('.fc_cls.bias'):  # The background is the last class.
    values[-1] += 2.0
  if name.endswith('rpn_head.rpn_cls.bias'):
    values -= 4.0
  if name.endswith('.switch.bias'):
    values += 0.5
  return values


def _norm_gain(name):
  if '.branches.' in name and '.bn2.' in name:
    return BASIC_BLOCK_GAIN
  return next((factor for part, factor in NORM_GAINS if part in name), 1.0)


def _kernel(rng, name, shape):
  fan_in = shape[0] if name.endswith('.upsample.weight') else int(np.prod(shape[1:]))
  draw = rng.normal(0.0, 1.0, shape)
  if name.endswith(SPATIALLY_CENTERED):
    positions = ROI_POSITIONS if len(shape) == 2 else shape[2] * shape[3]
    grid = draw.reshape(shape[0], -1, positions)
    draw = (grid - grid.mean(-1, keepdims=True)).reshape(shape)
  gain = next((factor for part, factor in GAINS if part in name), 1.0)
  return draw * (np.sqrt(2.0 / fan_in) * gain)
