"""Test of compiled training steps with Model Garden's mirrored strategy on one device."""

import pytest
from official.common import distribute_utils

from tests.replicated_step import check_compiled_step


@pytest.mark.slow
def test_a_compiled_step_gives_the_same_losses_and_weights(monkeypatch):
  check_compiled_step(distribute_utils.get_distribution_strategy('mirrored'), monkeypatch)
