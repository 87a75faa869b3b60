"""The workers of one run as processes of this machine."""

import json
import socket


def environments(num_workers: int = 2) -> list[dict[str, str]]:
  """`TF_CONFIG` for each worker, with free ports of this machine."""
  sockets = [socket.socket() for _ in range(num_workers)]
  for free in sockets:
    free.bind(('127.0.0.1', 0))
  addresses = [f'127.0.0.1:{free.getsockname()[1]}' for free in sockets]
  for free in sockets:
    free.close()
  return [
    {
      'TF_CONFIG': json.dumps(
        {'cluster': {'worker': addresses}, 'task': {'type': 'worker', 'index': index}}
      )
    }
    for index in range(num_workers)
  ]
