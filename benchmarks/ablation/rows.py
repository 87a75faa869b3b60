"""The rows of the ablation, each as overrides of the same experiment.

They follow the component-wise analysis of the paper (Chen et al. 2019, section 4.4), which adds one
design after the other. The semantic branch comes in four rows, because its loss, its features for
the boxes and its features for the masks may each have an effect.
"""

from typing import Any, NamedTuple


class Row(NamedTuple):
  """A row of the ablation.

  Attributes:
    name: name in commands and files.
    title: text in the table.
    overrides: nested overrides of the experiment.
  """

  name: str
  title: str
  overrides: dict[str, Any]


def _row(
  name: str,
  title: str,
  interleaved: bool = False,
  flow: bool = False,
  semantic: tuple[bool, bool] | None = None,
) -> Row:
  """A row with the three published stages.

  Args:
    name: see `Row`.
    title: see `Row`.
    interleaved: whether the mask branch of a stage trains on the boxes that the stage refined.
    flow: whether mask features flow from stage to stage.
    semantic: whether semantic features go to the boxes, and to the masks; None for no branch.
  """
  head: dict[str, Any] = {'enabled': semantic is not None}
  if semantic is not None:
    head.update(zip(('feeds_box', 'feeds_mask'), semantic))
  cascade = {'interleaved': interleaved, 'mask_information_flow': flow}
  return Row(name, title, {'task': {'model': {'cascade': cascade, 'semantic_head': head}}})


def _one_stage(row: Row) -> Row:
  """The row with the first of the published stages alone."""
  stage = {'iou_threshold': 0.5, 'box_coder_weights': [10.0, 10.0, 5.0, 5.0], 'loss_weight': 1.0}
  row.overrides['task']['model']['cascade']['stages'] = [stage]
  return row


ROWS = {
  row.name: row
  for row in (
    _one_stage(_row('mask_rcnn', 'Mask R-CNN')),
    _row('cascade', 'Cascade Mask R-CNN'),
    _row('interleaved', '+ interleaved', interleaved=True),
    _row('flow', '+ mask information flow', interleaved=True, flow=True),
    _row('semantic_loss', '+ semantic loss alone', True, True, (False, False)),
    _row('semantic_box', '+ semantic, to boxes', True, True, (True, False)),
    _row('semantic_mask', '+ semantic, to masks', True, True, (False, True)),
    _row('semantic_both', '+ semantic, to both (HTC)', True, True, (True, True)),
  )
}
SEEDS = (0, 1, 2)


def common(seed: int, num_steps: int) -> dict[str, Any]:
  """Overrides of all rows: the seed, and evaluations that choose nothing.

  The figures are those of the last step: no row profits from the choice of a best checkpoint.

  Args:
    seed: seed of initial weights, sampling, order of the data and augmentation.
    num_steps: number of steps of the schedule.
  """
  return {
    'task': {'seed': seed, 'validation_data': {'global_batch_size': 4}},
    'trainer': {
      'best_checkpoint_export_subdir': '',
      'patience': 0,
      'num_pictures': 0,
      'max_to_keep': 1,
      'checkpoint_interval': max(1, num_steps // 10),
      'validation_interval': max(1, num_steps // 4),
    },
  }
