"""Requests per second, response times and memory of a served export under load.

The server is the one of the tests: a SavedModel behind the gRPC or REST interface of TensorFlow
Serving, without its batching. Server and clients share this process and its cores. Images of
several sizes take turns.

Examples:
  python -m benchmarks.server_load --model=build/demo/export/1
  python -m benchmarks.server_load --model=export/1 --clients=1,4,16 --requests=1000
"""

import argparse
import concurrent.futures
import itertools
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.measuring import resident_bytes

_SIZES = ((128, 128), (96, 160), (160, 96), (200, 150), (64, 64))
_NUM_SAMPLES = 10  # of the memory


class Load(NamedTuple):
  """Figures of a number of clients that send requests at the same time.

  Attributes:
    num_clients: number of clients.
    per_second: requests per second.
    median: median response time in seconds.
    percentile: time in seconds within which 99% of the responses come.
    num_errors: number of requests without a response.
    memory: bytes of the process, after each tenth of the requests.
  """

  num_clients: int
  per_second: float
  median: float
  percentile: float
  num_errors: int
  memory: list[int]


def measure(detect: Callable[[Any], Any], requests: Sequence[Any], num_clients: int) -> Load:
  """Send requests from several threads.

  Args:
    detect: function that sends a request and waits for the response; threads share it.
    requests: the requests.
    num_clients: number of threads.
  """
  taken, memory = itertools.count(), []

  def send(request: Any) -> float | None:
    start = time.perf_counter()
    try:
      detect(request)
    except Exception as error:
      print(f'{type(error).__name__}: {error}', file=sys.stderr)
      return None
    finally:
      if next(taken) % max(1, len(requests) // _NUM_SAMPLES) == 0:
        memory.append(resident_bytes('VmRSS'))
    return time.perf_counter() - start

  start = time.perf_counter()
  with concurrent.futures.ThreadPoolExecutor(num_clients) as threads:
    found = list(threads.map(send, requests))
  seconds = time.perf_counter() - start
  times = [value for value in found if value is not None]
  median, percentile = np.percentile(times, [50, 99]) if times else (np.nan, np.nan)
  return Load(
    num_clients,
    len(times) / seconds,
    float(median),
    float(percentile),
    len(found) - len(times),
    memory,
  )


def growth(memory: Sequence[int]) -> float:
  """Bytes by which a straight line through the samples grows from the first to the last one."""
  slope = np.polyfit(np.arange(len(memory)), np.asarray(memory, np.float64), 1)[0]
  return float(slope) * (len(memory) - 1)


def table(loads: Sequence[Load]) -> str:
  """The figures as a Markdown table."""
  lines = [
    '| clients | requests/s | p50 (s) | p99 (s) | errors | memory (MB) | growth (MB) |',
    '|---|---|---|---|---|---|---|',
  ]
  for load in loads:
    lines.append(
      f'| {load.num_clients} | {load.per_second:.2f} | {load.median:.3f} | {load.percentile:.3f} '
      f'| {load.num_errors} | {load.memory[-1] / 1e6:.0f} | {growth(load.memory) / 1e6:+.0f} |'
    )
  return '\n'.join(lines)


def _images(number: int, sizes: Sequence[tuple[int, int]]) -> list[Any]:
  from htc_tf.data import images

  rng = np.random.default_rng(0)
  each = []
  for height, width in sizes:
    blocks = rng.integers(0, 256, (-(-height // 8), -(-width // 8), 3), np.uint8)
    pixels = np.kron(blocks, np.ones((8, 8, 1), np.uint8))[:height, :width]
    each.append(images.image_from_pixels(pixels))
  return [each[index % len(each)] for index in range(number)]


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='python -m benchmarks.server_load',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('--model', required=True, help='export (SavedModel)')
  parser.add_argument('--clients', default='1,4,16', help='numbers (default: %(default)s)')
  parser.add_argument('--requests', type=int, default=1000, help='default: %(default)s')
  sizes = ','.join(f'{height}x{width}' for height, width in _SIZES)
  parser.add_argument('--sizes', default=sizes, help='HEIGHTxWIDTH,... (default: %(default)s)')
  parser.add_argument('--interface', choices=('grpc', 'rest'), default='grpc')
  return parser


def main(argv: Sequence[str] | None = None) -> int:
  """Measure, print a table, and return the exit status: 1 if a request failed."""
  args = _parser().parse_args(argv)
  from htc_tf.serving import client
  from htc_tf.serving.target import Target
  from tests.serving import loopback

  sides = [size.split('x') for size in args.sizes.split(',')]
  sizes = [(int(height), int(width)) for height, width in sides]
  images, loads = _images(args.requests, sizes), []
  model = loopback.Model(args.model)
  serve = {'grpc': loopback.grpc_server, 'rest': loopback.rest_server}[args.interface]
  with serve(model) as address:
    for number in map(int, args.clients.split(',')):
      detector = client.remote_detector(Target(address, 'htc', None, 600.0), args.model)
      for image in images[: len(sizes)]:  # Memory of each size is allocated once.
        detector.detect([image])
      loads.append(measure(detector.detect, [[image] for image in images], number))
      detector.close()
  print(f'{args.requests} requests, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}')
  print(table(loads))
  return int(any(load.num_errors for load in loads))


if __name__ == '__main__':
  sys.exit(main())
