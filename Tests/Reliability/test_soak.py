"""The soak for a few seconds: too short to tell growth, long enough for wrong answers."""
from soak import Soak


def test_no_answer_is_wrong(tmp_path):
    soak = Soak(tmp_path, 8)
    try:
        soak.run()
        assert not soak.wrong, soak.wrong[:3]
        assert soak.disturbances >= 1 and sum(soak.counts.values()) > 50
    finally:
        soak.stop()
