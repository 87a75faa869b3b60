"""Writes shards in parallel processes with a progress bar."""

import concurrent.futures
import multiprocessing
from collections.abc import Iterable
from concurrent.futures import process

import tqdm

from htc_tf import processes
from htc_tf.data import record_shards
from htc_tf.errors import DataError

_POLL_SECONDS = 0.2


def write_shards(
  tasks: list[record_shards.ShardTask], num_processes: int
) -> list[record_shards.ShardResult]:
  """Writes the shards that are not finished yet.

  Args:
    tasks: all shards.
    num_processes: workers; with 1 the shards are written in this process.

  Returns:
    The results in the order of the tasks, those of earlier runs included.

  Raises:
    DataError: an image cannot be used, or a worker was killed.
  """
  results = [record_shards.finished_result(task) for task in tasks]
  todo = [shard for shard, result in enumerate(results) if result is None]
  num_images = sum(len(task.items) for task in tasks)
  num_done = num_images - sum(len(tasks[shard].items) for shard in todo)
  num_workers = min(num_processes, len(todo))
  with tqdm.tqdm(total=num_images, initial=num_done, unit='image', desc='writing records') as bar:
    unfinished = [tasks[shard] for shard in todo]
    if num_workers > 1:
      written = _write_in_processes(unfinished, num_workers, bar)
    else:
      written = [record_shards.write_shard(task, bar.update) for task in unfinished]
  for shard, result in zip(todo, written):
    results[shard] = result
  return results


def _write_in_processes(
  tasks: list[record_shards.ShardTask], num_workers: int, bar: tqdm.tqdm
) -> list[record_shards.ShardResult]:
  context = multiprocessing.get_context('spawn')
  counter = context.Value('q', bar.n)
  pool = concurrent.futures.ProcessPoolExecutor(num_workers, context, _start_worker, (counter,))
  try:
    with processes.one_thread_each():
      futures = [pool.submit(_write_counted, task) for task in tasks]
    for _ in _until_done(futures):
      if counter.value > bar.n:
        bar.update(counter.value - bar.n)
    return [future.result() for future in futures]
  except process.BrokenProcessPool as error:
    raise DataError(
      'a worker process was killed',
      got=str(error),
      likely_cause='too little memory; use fewer processes and run the same command '
      'again to continue',
    ) from error
  finally:
    pool.shutdown(wait=True, cancel_futures=True)


def _until_done(futures: list[concurrent.futures.Future]) -> Iterable[None]:
  """Yields now and then until all futures are done or one has failed."""
  pending = set(futures)
  while pending:
    done, pending = concurrent.futures.wait(
      pending, _POLL_SECONDS, concurrent.futures.FIRST_EXCEPTION
    )
    yield
    if any(future.exception() for future in done):
      return


_image_counter = None  # of a worker process: images written by all workers


def _start_worker(counter) -> None:
  """Runs once in each worker: keeps the shared counter and ties its life to the parent's."""
  global _image_counter
  _image_counter = counter
  processes.end_with_parent()


def _count_image() -> None:
  with _image_counter.get_lock():
    _image_counter.value += 1


def _write_counted(task: record_shards.ShardTask) -> record_shards.ShardResult:
  return record_shards.write_shard(task, _count_image)
