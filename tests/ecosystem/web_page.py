"""A page with everything that a browser fetches, and what its script finds out about that."""

import hashlib
from dataclasses import dataclass

MEBIBYTE = bytes(i * i % 251 for i in range(1024)) * 1024
_IMAGES = 20

_HTML = """<!DOCTYPE html>
<title>a page</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/style.css">
<p id="report">nothing yet</p>
{images}
<script src="/script.js"></script>
""".format(images="\n".join(f'<img src="/image/{number}">' for number in range(_IMAGES)))

_STYLE = "#report { width: 321px }"

_SCRIPT = """
const hexadecimal = (byte) => byte.toString(16).padStart(2, "0");

async function sha256(data) {
  const digest = await crypto.subtle.digest("SHA-256", data);
  return Array.from(new Uint8Array(digest), hexadecimal).join("");
}

async function find() {
  const loaded = new Promise((resolve) => addEventListener("load", resolve));
  const download = await (await fetch("/download")).arrayBuffer();
  const upload = await fetch("/upload", { method: "POST", body: download });
  await loaded;
  return {
    style: getComputedStyle(document.getElementById("report")).width,
    images: Array.from(document.images, (image) => image.naturalWidth),
    download: await sha256(download),
    upload: await upload.text(),
  };
}

const finished = find().then((found) => {
  document.getElementById("report").textContent = JSON.stringify(found);
});
"""

# The text of the element `report`, once the script has found everything, and what it says then.
REPORT = 'finished.then(() => document.getElementById("report").textContent)'
EXPECTED_REPORT = {
    "style": "321px",
    "images": [1 + number for number in range(_IMAGES)],
    "download": hashlib.sha256(MEBIBYTE).hexdigest(),
    "upload": hashlib.sha256(MEBIBYTE).hexdigest(),
}


@dataclass(frozen=True)
class Answer:
    """closes: no other request is answered on this connection."""

    content_type: str
    body: bytes
    closes: bool = False
    status: int = 200


def image(number: int) -> bytes:
    """Of a width, and a length, that no other has."""
    comment = "." * (1000 * number)
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{1 + number}" height="1">'
    return f"{svg}<!--{comment}--></svg>".encode()


ANSWERS = {
    ("GET", "/"): Answer("text/html", _HTML.encode()),
    ("GET", "/style.css"): Answer("text/css", _STYLE.encode()),
    ("GET", "/script.js"): Answer("text/javascript", _SCRIPT.encode()),
    ("GET", "/download"): Answer("application/octet-stream", MEBIBYTE),
    # For visits that are to be on connections of their own.
    ("GET", "/last"): Answer("text/html", b'<link rel="icon" href="data:,">last', closes=True),
    **{
        ("GET", f"/image/{number}"): Answer("image/svg+xml", image(number))
        for number in range(_IMAGES)
    },
}
# The paths of one visit to the page.
PATHS = sorted(["/upload", *(path for _, path in ANSWERS if path != "/last")])


def answer(method: str, path: str, body: bytes) -> Answer:
    if (method, path) == ("POST", "/upload"):
        return Answer("text/plain", hashlib.sha256(body).hexdigest().encode())
    return ANSWERS.get((method, path), Answer("text/plain", b"", status=404))
