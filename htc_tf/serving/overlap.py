"""Work beside the detection of images: the next ones are read, and what was found is written.

Decoding and encoding of files leave Python's lock to other threads, and so does a model.
"""

from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any, Generic, TypeVar

Item = TypeVar('Item')


class Ahead(Generic[Item]):
  """Items of an iterator, of which the next is made while the caller uses one.

  Use it in a `with` block; at its end, no item is being made. Errors of the iterator are raised
  where its item would come.

  Args:
    items: an iterator that nothing else uses.
  """

  def __init__(self, items: Iterator[Item]):
    self._items = items
    self._thread = futures.ThreadPoolExecutor(1, 'ahead')

  def __enter__(self) -> Iterator[Item]:
    return self._each()

  def __exit__(self, *_: Any) -> None:
    self._thread.shutdown()

  def _each(self) -> Iterator[Item]:
    following = self._thread.submit(self._take)
    while item := following.result():
      following = self._thread.submit(self._take)
      yield item[0]

  def _take(self) -> tuple[Item] | None:
    """The next item; None after the last one."""
    for item in self._items:
      return (item,)
    return None


class Behind:
  """Calls that another thread makes in order, one while the caller goes on.

  Use it in a `with` block; at its end, no call is being made.
  """

  def __init__(self) -> None:
    self._thread = futures.ThreadPoolExecutor(1, 'behind')
    self._last: futures.Future[object] | None = None

  def __enter__(self) -> 'Behind':
    return self

  def add(self, call: Callable[[], object]) -> None:
    """Make a call as soon as the one before has ended, for which the caller waits.

    Raises:
      Exception: the one of the call before.
    """
    self.wait()
    self._last = self._thread.submit(call)

  def wait(self) -> None:
    """Wait until the last call has ended.

    Raises:
      Exception: the one of the call.
    """
    if self._last is not None:
      last, self._last = self._last, None
      last.result()

  def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
    try:
      if error is None:  # Else that error is the one to report.
        self.wait()
    finally:
      self._thread.shutdown()
