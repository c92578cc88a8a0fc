"""The spool against a model: conservation of what it is given, whatever is done."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from collector.spool import Spool, Standing
from tests.collector.spooled import NOW, body, crash, waiting
from wire.entry import SNAPSHOT
from wire.snapshot import decode_gap


class SpoolAgainstAList(RuleBasedStateMachine):
    """Whatever is done, every appended body is acknowledged, waiting in order, or in a declared gap."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(os.environ["PYTEST_TMP"]) / os.urandom(8).hex()
        self.bound = 12_000
        self.spool = Spool(self.folder, self.bound, NOW)
        self.appended = 0
        self.acknowledged = 0
        self.base = 0

    @rule(count=st.integers(1, 30), size=st.integers(10, 400))
    def append(self, count: int, size: int) -> None:
        for _ in range(count):
            self.appended += 1
            assert self.spool.append(body(self.appended, size), float(self.appended)) == self.appended - self.base

    @precondition(lambda self: self.appended > self.acknowledged)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        items = waiting(self.spool)
        item = data.draw(st.sampled_from(items))
        assert self.spool.acknowledge(item.incarnation, item.sequence) is Standing.CURRENT
        self.acknowledged = self.base + item.sequence

    @rule()
    def restart(self) -> None:
        self.spool.close()
        self.spool = Spool(self.folder, self.bound, NOW)

    @rule()
    def crash(self) -> None:
        crash(self.spool)
        self.spool = Spool(self.folder, self.bound, NOW)
        items = waiting(self.spool)
        if self.acknowledged > self.base and items and items[0].sequence <= self.acknowledged - self.base:
            # The crash may make it forget an acknowledgement; Redis has it.
            self.spool.acknowledge(items[0].incarnation, self.acknowledged - self.base)

    @rule()
    def start_incarnation(self) -> None:
        self.spool.start_incarnation(self.spool.incarnation + 1)
        self.base = self.acknowledged

    @invariant()
    def everything_is_accounted_for(self) -> None:
        place = self.acknowledged
        for item in waiting(self.spool):
            assert item.sequence == item.ordinal - self.base
            if item.kind == SNAPSHOT:
                assert int(item.body) == place + 1
                place += 1
            else:
                gap = decode_gap(item.body)
                assert gap.first <= place + 1 - self.base <= gap.last
                place = self.base + gap.last
        assert place == self.appended
        assert self.spool.size <= self.bound + 500

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.folder)


@pytest.fixture(autouse=True)
def _tmp_for_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_TMP", str(tmp_path))


TestSpoolAgainstAList = SpoolAgainstAList.TestCase
TestSpoolAgainstAList.settings = settings(max_examples=30, stateful_step_count=30)
