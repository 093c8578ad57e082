"""The pictures of docs/pictures.md. `Tests/Browser/run --write-pictures test_pictures.py` writes them; otherwise they are made
beside the other screenshots, and those that are there are looked at."""
import collections
import random
import re
import struct
import time
import zlib

import pytest

from services import ROOT
from test_access import PICTURES

WRITTEN = ROOT / "docs/pictures"
#: A file of the documentation stays small.
LIMIT = 60_000


@pytest.fixture
def directory(request):
    directory = WRITTEN if request.config.getoption("--write-pictures") else PICTURES / "docs"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def compressed(data):
    """The same picture with a palette of at most 256 colours, compressed as far as zlib goes; browsers write true colours, in
    a hurry."""
    chunks, place = {}, 8
    while place < len(data):
        size, kind = struct.unpack(">I4s", data[place:place + 8])
        chunks[kind] = chunks.get(kind, b"") + data[place + 8:place + 8 + size]
        place += 12 + size
    width, height, depth, colours, *_ = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, colours) in {(8, 2), (8, 6)}
    pixels = [pixel[:3] for row in rows(zlib.decompress(chunks[b"IDAT"]), width, height, 3 if colours == 2 else 4)
              for pixel in row]
    # The shades that letters' edges need are few.
    kept = [colour for colour, _ in collections.Counter(pixels).most_common(256)]
    places = {colour: index for index, colour in enumerate(kept)}
    for colour in set(pixels) - set(kept):
        places[colour] = min(range(len(kept)), key=lambda index: sum((a - b) ** 2 for a, b in zip(kept[index], colour)))
    indexes = bytes(places[pixel] for pixel in pixels)
    lines = b"".join(b"\0" + indexes[start:start + width] for start in range(0, width * height, width))
    written = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)), (b"PLTE", b"".join(map(bytes, kept))),
               (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b"")]
    return data[:8] + b"".join(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
                               for kind, body in written)


def rows(filtered, width, height, size):
    """The pixels of a picture row by row, from PNG's filtered bytes (ISO 15948, 9.2)."""
    stride, above = width * size, bytearray(width * size)
    for start in range(0, height * (stride + 1), stride + 1):
        kind, row = filtered[start], bytearray(filtered[start + 1:start + 1 + stride])
        for at in range(stride) if kind else ():
            left = row[at - size] if at >= size else 0
            corner = above[at - size] if at >= size else 0
            guess = left + above[at] - corner
            row[at] = (row[at] + {
                1: left, 2: above[at], 3: (left + above[at]) // 2,
                4: min((left, above[at], corner), key=lambda value: abs(guess - value)),
            }[kind]) & 255
        yield [tuple(row[at:at + size]) for at in range(0, stride, size)]
        above = row


def take(page, path):
    path.write_bytes(compressed(page.driver.get_screenshot_as_png()))
    assert path.stat().st_size < LIMIT, path


def test_the_chat_page(page, stack, directory):
    page.size(1100, 800)
    page.log_in("alice", stack.upstream.passwords["alice"])
    page.eventually("return !document.querySelector('#who').hidden")
    page.ask("search_any", model="projects", query="urgent")
    page.ask("get_user_info")
    page.js("document.activeElement.blur()")
    take(page, directory / "chat.png")


def test_the_chat_page_on_a_phone(page, directory):
    page.size(390, 780)
    page.scheme("dark")
    page.ask("search_any", model="projects", query="urgent")
    take(page, directory / "chat-phone.png")


def test_the_status_page(page, stack, directory):
    page.size(1100, 1150)
    # Charts begin to tell something after some minutes; the page's own tests need no more than one point.
    end = time.monotonic() + (300 if directory == WRITTEN else 0)
    payloads = [{"type": "search_any", "model": "projects", "query": "urgent"}, {"type": "search_projects", "query": "audit"},
                {"message": "Hello"}, {"type": "search_any", "model": "planets", "query": "x"}, {"type": "unknown"}]
    while True:
        payload = random.choices(payloads, [6, 4, 3, 1, 0.4])[0]
        page.driver.execute_async_script(
            "const [payload, done] = arguments; "
            "fetch('/api/chat/', { method: 'POST', body: JSON.stringify(payload) }).then(done, done)", payload)
        if time.monotonic() > end:
            break
        time.sleep(random.uniform(0, 0.6))
    page.driver.get(stack.gateway.admin + "/status")
    page.js = lambda script, *arguments: page.driver.execute_script(script, *arguments)
    page.text = lambda: page.driver.execute_script("return document.querySelector('main').innerText")
    page.eventually("return document.querySelector('polyline')?.getAttribute('points').split(' ').length > 1", within=40)
    take(page, directory / "status.png")
    # Errors that were asked for.
    page.driver.get_log("browser")


def test_the_documentation_has_its_pictures():
    shown = re.findall(r"\((pictures/[\w-]+\.png)\)", (ROOT / "docs/pictures.md").read_text())
    assert sorted(shown) == sorted(f"pictures/{path.name}" for path in WRITTEN.glob("*"))
    for name in shown:
        data = (ROOT / "docs" / name).read_bytes()
        assert data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) < LIMIT, name
