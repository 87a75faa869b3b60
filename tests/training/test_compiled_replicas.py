"""Test of compiled training steps on two replicas.

It has a file of its own because two replicas with two buckets compile four programs, which need
gigabytes of memory.
"""

import pytest

from tests.replicated_step import check_compiled_step


@pytest.mark.slow
def test_a_compiled_step_gives_the_same_losses_and_weights(two_replicas, monkeypatch):
  check_compiled_step(two_replicas, monkeypatch)
