"""Answers that try to do harm, or that are hard to show."""

import time

MARKUP = "<img src=x onerror=\"window.pwned=1\"><script>window.pwned=1</script>"
OVERRIDE = "\u202e"

RESULTS = [
    {"name": MARKUP, "url": "/psm/project/1/"},
    {"name": "javascript", "url": "javascript:window.pwned=1"},
    {"name": "JaVa", "url": " \tjAvAsCrIpT:window.pwned=1"},
    {"name": "data", "url": "data:text/html,<script>window.pwned=1</script>"},
    {"name": "vbscript", "url": "vbscript:pwned"},
    {"name": "user", "url": "https://bank.example@evil.example/"},
    {"name": f"invoice{OVERRIDE}fdp.exe", "url": "/files/1/"},
    {"name": "elsewhere", "url": "https://elsewhere.example/path"},
    {"name": "backslash", "url": "\\\\evil.example\\x"},
    {"name": "مشروع عاجل (Urgent)", "url": "/psm/project/2/"},
]

MARKDOWN = f"""# Heading {MARKUP}

[click](javascript:window.pwned=1) [entity](&#106;avascript:window.pwned=1) [data](data:text/html;base64,PHNjcmlwdD4=)
[good](https://elsewhere.example/a) [relative](/psm/project/3/) <javascript:window.pwned=1>
![pixel](https://tracker.example/pixel.png)
[https://bank.example](https://evil.example/)

<style>body {{ display: none }}</style>
<iframe src="https://evil.example"></iframe>

```html
{MARKUP}
```

[ref]: javascript:window.pwned=1
[1]: /ai/document/7/ "Password Policy"

See [ref] and [1]. {OVERRIDE}reversed

| a | b |
|---|---|
| {MARKUP} | `x` |

- one
  - two
- [x](https://elsewhere.example/{MARKUP})

{'>' * 500} deep

{'[' * 3000}{'*' * 3000}{'`' * 999}
"""


def results(value):
    return lambda handler, message: handler.results(message, value)


def too_many(handler, message):
    handler.whole({"error": "slow down"}, 429, [("Retry-After", "7")])


def slowly_with_progress(handler, message):
    handler.begin_events()
    for step in range(1, 5):
        handler.progress(message, progress=step, total=4)
        time.sleep(0.15)
    handler.finish_call(message, "All four steps are done.")


def huge_stream(handler, message):
    """Five megabytes in pieces, then once more as the result."""
    handler.begin_events()
    piece = ("word " * 12_000) + "\n\n"
    for step in range(85):
        handler.progress(message, progress=step + 1, message=piece)
    handler.finish_call(message, piece * 85)


def breaks_off(handler, message):
    handler.begin_events()
    handler.progress(message, progress=1, message="The answer begins, and then")
    time.sleep(0.2)
    handler.connection.close()


CITED = """“Below the target, customers get a credit.”
— Service Levels (/ai/document/11/)

The project is late.[1]

Sources:
- Urgent Q2 (/psm/project/123/)
- Somewhere (javascript:alert(1))

[1]: /ai/document/3/ "Q2 Status Report"
"""

ANSWERS = {
    "hostile results": results(RESULTS),
    "hostile markdown": results(MARKDOWN),
    "nothing": results([]),
    "many": results([{"name": f"Project {number}", "url": f"/psm/project/{number}/"} for number in range(5)]),
    "cited": results(CITED),
    "hello": results("Hello."),
    "too many": too_many,
    "progress": slowly_with_progress,
    "huge": results("A long line of text. " * 250_000),
    "huge stream": huge_stream,
    "break": breaks_off,
}
