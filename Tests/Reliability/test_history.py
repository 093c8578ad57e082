"""The checked history. HISTORY_CALLS sets the number of calls, HISTORY_SEED what befalls them; `make history` makes a
hundred thousand of each upstream's."""
import os

import pytest

from history import CountingUpstream, History, OwnUpstream

CALLS = int(os.environ.get("HISTORY_CALLS", "3000"))
SEED = int(os.environ.get("HISTORY_SEED", "1"))


@pytest.mark.parametrize("kind, share", [("modern", 1), ("legacy", 1), ("own", 4)])
def test_every_call_is_accounted_for(tmp_path, kind, share):
    upstream = OwnUpstream(tmp_path) if kind == "own" else CountingUpstream(tmp_path, kind)
    calls = CALLS // share
    history = History(tmp_path, upstream, total=calls, pause=max(100, min(calls // 10, 1000)), seed=SEED)
    try:
        counts, wrong = history.run()
        print(f"\n{kind}\n{history.table(counts)}")
        assert not wrong, "\n".join([f"HISTORY_SEED={SEED}", *wrong[:20], history.table(counts)])
        # It was a fair trial: most calls succeeded all the same, and of the other outcomes there were some.
        outcomes = {outcome: sum(times for (name, _), times in counts.items() if name == outcome)
                    for outcome in ("answered", "unknown", "silence", "left")}
        assert all(outcomes.values()), history.table(counts)
        assert outcomes["answered"] > 0.6 * len(history.outcomes), history.table(counts)
        assert sum(history.disturbances.values()) >= 4 and history.to_upstream.count and history.to_front.count
    finally:
        history.stop()
