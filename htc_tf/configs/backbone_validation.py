"""Checks of the configuration of a backbone, and of the decoder that has one of its own."""

from htc_tf.configs import features
from htc_tf.configs import model as model_config
from htc_tf.errors import ConfigError

_NUM_STAGES = 4


def check_backbone(config: model_config.HTC) -> None:
  """Raise ConfigError unless the options of backbone and decoder fit each other."""
  _check_resnet(config)
  _check_hrnet(config)
  _check_swin(config)
  _check_recursion(config)


def _check_resnet(config: model_config.HTC) -> None:
  if config.backbone.type != 'published_resnet':
    return
  resnet, name = config.backbone.published_resnet, 'task.model.backbone.published_resnet'
  if resnet.base_width * resnet.width_multiplier < 1:
    raise ConfigError(
      f'{name}.base_width is too small',
      expected='base_width * width_multiplier of 1 or more',
      got=f'{resnet.base_width} * {resnet.width_multiplier}',
      likely_cause='a small width_multiplier: a group of the first stage would have no channel',
    )
  for field in ('deformable_stages', 'switchable_stages'):
    stages = getattr(resnet, field)
    if not set(stages) <= {1, 2, 3, 4}:
      raise ConfigError(
        f'{name}.{field} is wrong',
        expected='stages from 1 to 4',
        got=str(stages),
        likely_cause='levels instead of stages: C3-C5 are the stages 2-4',
      )
  if resnet.modulated and not resnet.deformable_stages:
    raise ConfigError(
      f'{name}.modulated has no effect',
      expected='deformable_stages, e.g. [2, 3, 4]',
      got='deformable_stages=[]',
      likely_cause='only a part of the options of deformable convolutions',
    )
  special_stages = [*resnet.deformable_stages, *resnet.switchable_stages]
  plain = (resnet.groups, resnet.base_width, special_stages, resnet.scales) == (1, 64, [], 1)
  if not plain and resnet.model_id < 50:
    raise ConfigError(
      f'{name} needs bottleneck blocks',
      expected='model_id 50, 101 or 152 with groups, base_width, deformable_stages, '
      'switchable_stages or scales',
      got=f'model_id {resnet.model_id}',
      likely_cause='options of ResNeXt, Res2Net or DetectoRS, or deformable stages, without a '
      'model that has such blocks',
    )
  _check_scales(resnet, name)
  _check_switchable_stages(resnet, name)
  _check_recompute(resnet, name)
  if not (resnet.train_norms or resnet.norm_eval):
    raise ConfigError(
      f'{name}.train_norms cannot be false',
      expected='norm_eval=true',
      got='norm_eval=false',
      likely_cause='norms that are not trained and have statistics that are, which no published '
      'network has',
    )


def _check_recompute(
  backbone: features.PublishedResNet | features.PublishedHRNet, name: str
) -> None:
  if backbone.recompute and not backbone.norm_eval:
    raise ConfigError(
      f'{name}.recompute cannot be used',
      expected='norm_eval=true',
      got='norm_eval=false',
      likely_cause='running statistics, which recomputed parts would update twice per step',
    )


def _check_hrnet(config: model_config.HTC) -> None:
  if config.backbone.type != 'published_hrnet':
    return
  hrnet, name = config.backbone.published_hrnet, 'task.model.backbone.published_hrnet'
  if len(hrnet.num_modules) != 3:
    raise ConfigError(
      f'{name}.num_modules is wrong',
      expected='three numbers, of the stages 2, 3 and 4',
      got=str(list(hrnet.num_modules)),
      likely_cause='a number for stage 1, which has no modules',
    )
  _check_recompute(hrnet, name)


def _check_swin(config: model_config.HTC) -> None:
  if config.backbone.type != 'published_swin':
    return
  swin, name = config.backbone.published_swin, 'task.model.backbone.published_swin'
  for field in ('depths', 'num_heads'):
    numbers = list(getattr(swin, field))
    if len(numbers) != _NUM_STAGES:
      raise ConfigError(
        f'{name}.{field} is wrong',
        expected=f'{_NUM_STAGES} numbers, one for each stage',
        got=str(numbers),
      )
  widths = [swin.embed_dim * 2**stage for stage in range(_NUM_STAGES)]
  if any(width % heads for width, heads in zip(widths, swin.num_heads)):
    raise ConfigError(
      f'{name}.num_heads does not fit embed_dim',
      expected=f'divisors of {widths}, the numbers of channels of the stages',
      got=str(list(swin.num_heads)),
      likely_cause='the numbers of another size: 3, 6, 12, 24 belong to 96 channels, 4, 8, 16, 32 '
      'to 128 and 6, 12, 24, 48 to 192',
    )


def _check_scales(resnet: features.PublishedResNet, name: str) -> None:
  special_stages = [*resnet.deformable_stages, *resnet.switchable_stages]
  plain = resnet.groups == 1 and not special_stages
  if resnet.scales > 1 and not (plain and resnet.avg_down):
    raise ConfigError(
      f'{name}.scales cannot be used',
      expected='groups=1, no deformable_stages or switchable_stages, and avg_down=true with more '
      'than one scale',
      got=f'groups={resnet.groups}, deformable_stages={list(resnet.deformable_stages)}, '
      f'switchable_stages={list(resnet.switchable_stages)}, '
      f'avg_down={str(resnet.avg_down).lower()}',
      likely_cause='options of Res2Net and of another network together',
    )


def _check_switchable_stages(resnet: features.PublishedResNet, name: str) -> None:
  stages = resnet.switchable_stages
  both = sorted(set(stages) & set(resnet.deformable_stages))
  if both or (stages and not resnet.standardized):
    raise ConfigError(
      f'{name}.switchable_stages cannot be used',
      expected='standardized=true, and stages that are not in deformable_stages',
      got=f'standardized={str(resnet.standardized).lower()}, {both} in both',
      likely_cause='only a part of the options of DetectoRS',
    )


def _check_recursion(config: model_config.HTC) -> None:
  if config.decoder.type != 'recursive_fpn':
    return
  backbone = config.backbone
  if backbone.type != 'published_resnet' or backbone.published_resnet.scales > 1:
    raise ConfigError(
      'task.model.decoder.type cannot be recursive_fpn',
      expected='backbone.type published_resnet, with scales=1',
      got=f'{backbone.type}, scales={backbone.published_resnet.scales}',
      likely_cause='the decoder of DetectoRS with the backbone of another network',
    )
  if not (config.min_level <= 3 and config.max_level >= 5):
    raise ConfigError(
      'task.model.decoder.type cannot be recursive_fpn',
      expected='the levels 3 to 5 within min_level..max_level',
      got=f'{config.min_level}..{config.max_level}',
      likely_cause='another min_level or max_level than published: the second backbone reads these',
    )
