"""h2spec, strict: what the proxy's HTTP/2 side does with each frame RFC 9113 and RFC 7541 speak of."""
import re
import subprocess
import xml.etree.ElementTree

import pytest
from tools import go_tool


@pytest.mark.envoy_differs("it fails some of the strict cases")
def test_h2spec_strict(lab):
    tool = go_tool("h2spec")
    app = lab.http_origin()
    _, port = lab.http_front(app.port, hcm={"codec_type": "HTTP2"})
    report = lab.folder / "h2spec.xml"
    done = subprocess.run([tool, "-S", "-p", str(port), "-j", str(report)], capture_output=True, text=True,
                          timeout=280, check=False)
    # What it says of a failed case can hold the NULs of a frame, which no XML may.
    text = re.sub(r"[\x00-\x08\x0b-\x1f]", "", report.read_text(errors="replace"))
    cases = list(xml.etree.ElementTree.fromstring(text).iter("testcase"))
    bad = [f"{c.get('package')}: {c.get('classname')}" for c in cases
           if c.find("failure") is not None or c.find("error") is not None]
    assert len(cases) > 140
    assert bad == [] and done.returncode == 0, "\n".join(bad) + done.stdout[-4000:]
