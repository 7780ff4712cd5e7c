"""slowhttptest against one worker: clients that are slow on purpose, while others are to be served as ever."""
import subprocess
import time

import pytest
from harness.client import Http
from tools import need

SECONDS = 4
ROWS = {
    "headers": ["-H", "-i", 1],                                    # slowloris
    "body": ["-B", "-i", 1, "-s", 8192, "-x", 10],                 # R-U-Dead-Yet
    "read": ["-X", "-n", 1, "-w", 1, "-y", 16, "-z", 8, "-k", 3],  # windows of a few bytes
}


@pytest.mark.parametrize("how", ROWS)
def test_others_stay_served(lab, how):
    tool = need("slowhttptest")
    app = lab.http_origin()
    proxy, port = lab.http_front(app.port)
    with Http(port) as c:
        assert c.get("/").status == 200
    before = proxy.rss_kb()
    slow = subprocess.Popen(
        [str(a) for a in (tool, "-c", 200, "-r", 200, "-l", SECONDS, "-p", 3, "-u", f"http://127.0.0.1:{port}/bytes/2000000",
                          *ROWS[how])], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        waits = []
        with Http(port) as kept:
            while slow.poll() is None:
                start = time.monotonic()
                assert kept.get("/").body == b"app"
                with Http(port) as fresh:
                    assert fresh.get("/").body == b"app"
                waits.append(time.monotonic() - start)
    finally:
        if slow.poll() is None:
            slow.kill()
        slow.wait(10)
    waits.sort()
    assert len(waits) > 50 and waits[len(waits) * 99 // 100] < 0.5, (len(waits), waits[-5:])
    assert proxy.stat("http.http.downstream_cx_total") >= 200
    assert proxy.rss_kb() - before < 64 << 10
