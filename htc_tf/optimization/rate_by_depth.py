"""Learning rates that fall towards the first layers of a backbone (layer-wise decay).

Clark et al. 2020 (ELECTRA, section 3.1) fine-tune so; mmdetection has it for ConvNeXt as
`layer_wise` and `stage_wise`.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

LAYER, STAGE = 'layer', 'stage'
_REPLICA = re.compile(r'/replica_\d+(?=:|$)')
_STEM = re.compile(r'(conv1|bn1|stem|patch_embed)/')
# Blocks of a ResNet; blocks and downsampling of a Swin transformer, alone or in a composite.
_BLOCK = re.compile(
  r'(?:layer|(?:trunk|cb_modules/\d+)/layers/)(?P<stage>\d+)/'
  r'(?:(?:blocks/)?(?P<block>\d+)|downsample)/'
)


class _Place(NamedTuple):
  """Place of a layer in a backbone; -1 is before all stages."""

  stage: int
  block: int


def plain_name(name: str) -> str:
  """Name of a variable without that of a replica."""
  return _REPLICA.sub('', name)


def rate_factors(names: Iterable[str], decay: float, part: str = LAYER) -> dict[str, float]:
  """Factors on the learning rate by name of the variable.

  The last block, or stage, of the backbone has the factor `decay`, that before it `decay` squared,
  and so on; the stem comes before the first one. All other variables have 1: decoder and heads,
  norms of the outputs of a Swin transformer, and what connects the two of a composite, whose blocks
  of one depth have one factor.

  Args:
    names: names of the variables of a model with a published ResNet or Swin transformer.
    decay: factor from a block or stage to the one before it.
    part: `LAYER` to count blocks, `STAGE` to count stages.
  """
  plain = [plain_name(name) for name in names]
  places = {name: place for name in plain if (place := _place(name)) is not None}
  if part == STAGE:
    places = {name: place._replace(block=0) for name, place in places.items()}
  else:
    places = _with_last_blocks(places)
  order = sorted({*places.values()}, reverse=True)
  steps = {place: number for number, place in enumerate(order, 1)}
  return {name: decay ** steps[places[name]] if name in places else 1.0 for name in plain}


def _place(name: str) -> _Place | None:
  """Place of a variable; a downsampling has the block -1. None outside of the backbone."""
  if _STEM.match(name):
    return _Place(-1, 0)
  found = _BLOCK.match(name)
  return found and _Place(
    int(found['stage']), -1 if found['block'] is None else int(found['block'])
  )


def _with_last_blocks(places: dict[str, _Place]) -> dict[str, _Place]:
  """The places with the last block of its stage for a downsampling, which follows it."""
  last = {place.stage: place.block for place in sorted(places.values())}
  return {
    name: place if place.block >= 0 else _Place(place.stage, last[place.stage])
    for name, place in places.items()
  }
