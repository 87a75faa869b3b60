"""The error of the readers of each format; `read_checkpoint` converts it to a CheckpointError."""

from htc_tf.errors import HTCError

DAMAGED = 'the file is truncated or damaged: download it again'
NOT_WEIGHTS = (
  'the file was made to run code, or holds more than weights: take it from its '
  'publisher, or save its state_dict alone'
)


class UnreadableError(HTCError):
  """A file, or part of one, that is not a checkpoint of the expected format.

  Args:
    reason: the finding, in one clause that starts in lower case.
    likely_cause: the usual reason, and what to do about it.
  """

  def __init__(self, reason: str, likely_cause: str = DAMAGED):
    super().__init__(reason, likely_cause=likely_cause)
    self.reason = reason
    self.likely_cause = likely_cause
