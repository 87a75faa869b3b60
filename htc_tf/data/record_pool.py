"""Writing of shards in several processes, with a progress bar."""

from htc_tf import processes, progress
from htc_tf.data import record_shards
from htc_tf.errors import DataError

# A worker takes seconds to start, as long as it takes to write so many records.
_IMAGES_PER_WORKER = 50


def write_shards(
  tasks: list[record_shards.ShardTask], num_processes: int
) -> list[record_shards.ShardResult]:
  """Write the shards that are not finished yet.

  Args:
    tasks: all shards of the conversion.
    num_processes: largest number of worker processes; with 1 the shards are written in this
      process.

  Returns:
    The results in the order of the tasks, including those of earlier runs.

  Raises:
    DataError: an image cannot be used, or a worker was killed.
  """
  finished = [record_shards.finished_result(task) for task in tasks]
  unfinished = [task for task, result in zip(tasks, finished) if result is None]
  num_images = sum(len(task.items) for task in tasks)
  num_done = num_images - sum(len(task.items) for task in unfinished)
  num_left = num_images - num_done
  num_workers = max(1, min(num_processes, len(unfinished), num_left // _IMAGES_PER_WORKER))
  with (
    progress.bar(
      total=num_images, done=num_done, unit='image', description='writing records'
    ) as bar,
    processes.WorkerPool(num_workers, bar.update) as pool,
  ):
    try:
      written = iter(pool.run_all(record_shards.write_shard, unfinished))
    except processes.WorkerError as error:
      raise DataError(
        'A worker process was killed',
        got=str(error.__cause__),
        likely_cause='too little memory; use fewer processes, and run the same command again to '
        'continue',
      ) from error
  return [result or next(written) for result in finished]
