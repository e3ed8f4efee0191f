"""Every way in which an upstream may send a stream, and what an SDK behind the gateway has to read of it.

A case names the bytes that upstream sends, the texts of the chunks in them, and how the stream ends. The gateway sends
one framing whatever it gets, so every SDK must read every chunk of every case, and its end or its error.
"""

import dataclasses
import itertools
import json

TEXTS = ["Hello \\ \"there\", ", "w\u00f6rld \U0001f30d\n", "data: [DONE]"]
# What the double does between two pieces of a body.
PAUSE, BREAK = "pause", "break"
# How a stream can end for the reader: in order, or with the code and the status of an error.
FINISHED = None
CUT = (503, "UNAVAILABLE")
QUOTA = (429, "RESOURCE_EXHAUSTED")
UNREADABLE = (500, "INTERNAL")

ERROR = {
    "code": 429,
    "message": "Quota exceeded.",
    "status": "RESOURCE_EXHAUSTED",
    "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3.5s"}],
}


@dataclasses.dataclass
class Case:
    """One stream. `pieces` are sent one by one: bytes, or PAUSE, or BREAK, which resets the connection."""

    pieces: list
    texts: list = dataclasses.field(default_factory=lambda: TEXTS)
    end: tuple | None = FINISHED
    status: int = 200
    kind: str = "text/event-stream"


def chunk(text, **more):
    """A chunk of an answer with that text."""
    return {"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": 0, **more}]}


USAGE = {"usageMetadata": {"promptTokenCount": 2, "candidatesTokenCount": 3, "totalTokenCount": 5}}
CHUNKS = [chunk(TEXTS[0]), chunk(TEXTS[1]), {**chunk(TEXTS[2], finishReason="STOP"), **USAGE}]
UNFINISHED = [chunk(text) for text in TEXTS]


def one_line(value):
    return json.dumps(value, ensure_ascii=False)


def many_lines(value):
    return json.dumps(value, ensure_ascii=False, indent=2)


def event(value, eol="\n", prefix="data: ", form=one_line):
    """A server-sent event with that value. A JSON text of several lines takes as many lines of data."""
    return "".join(prefix + line + eol for line in form(value).split("\n")) + eol


def events(values, **how):
    return [event(value, **how).encode() for value in values]


def between(separator, parts):
    """The parts with a separator before each but the first."""
    return [parts[0], *itertools.chain.from_iterable((separator, part) for part in parts[1:])]


def cut_into(size, parts):
    """The same bytes in pieces of that size, as a network may deliver them."""
    body = b"".join(parts)
    return [body[begin : begin + size] for begin in range(0, len(body), size)]


# The rows of the table of framings that at least one SDK cannot read, and what else upstreams have been seen to do.
CASES = {
    "plain": Case(events(CHUNKS)),
    "CRLF": Case(events(CHUNKS, eol="\r\n")),
    "CR": Case(events(CHUNKS, eol="\r")),
    "comment blocks": Case(between(b": ping\n\n", events(CHUNKS))),
    "a comment block first": Case([b": ping\n\n", *events(CHUNKS)]),
    "a comment block last": Case([*events(CHUNKS), b": bye\n\n"]),
    "glued comments": Case([b": ping\n" + part for part in events(CHUNKS)]),
    "comments after the data": Case([part[:-1] + b": ping\n\n" for part in events(CHUNKS)]),
    "empty comments": Case(between(b":\n\n", events(CHUNKS))),
    "event lines": Case([b"event: message\n" + part for part in events(CHUNKS)]),
    "id lines": Case([b"id: 7\n" + part for part in events(CHUNKS)]),
    "retry lines": Case([b"retry: 3000\n" + part for part in events(CHUNKS)]),
    "ping events": Case(between(b"event: ping\ndata:\n\n", events(CHUNKS))),
    "lines of unknown fields": Case([b"weather: fine\n" + part for part in events(CHUNKS)]),
    "no space after data": Case(events(CHUNKS, prefix="data:")),
    "[DONE]": Case([*events(CHUNKS), b"data: [DONE]\n\n"]),
    "[DONE] without a blank line": Case([*events(CHUNKS), b"data: [DONE]"]),
    "[DONE] without a space": Case([*events(CHUNKS), b"data:[DONE]\n\n"]),
    "one more newline": Case(between(b"\n", events(CHUNKS))),
    "two more newlines": Case(between(b"\n\n", events(CHUNKS))),
    "newlines first": Case([b"\n\n\n", *events(CHUNKS)]),
    "LF between CRLF": Case(between(b"\n\n", events(CHUNKS, eol="\r\n"))),
    "JSON over several lines of data": Case(events(CHUNKS, form=many_lines)),
    "JSON over several lines of data with CRLF": Case(events(CHUNKS, form=many_lines, eol="\r\n")),
    "no blank line at the end": Case([*events(CHUNKS[:-1]), events(CHUNKS)[-1].rstrip()]),
    "one newline at the end": Case([*events(CHUNKS[:-1]), events(CHUNKS)[-1].rstrip() + b"\n"]),
    "a byte order mark": Case([b"\xef\xbb\xbf", *events(CHUNKS)]),
    "status 201": Case(events(CHUNKS), status=201),
    "a content type in capitals": Case(events(CHUNKS), kind="Text/Event-Stream; Charset=UTF-8"),
    "events in one piece": Case([b"".join(events(CHUNKS))]),
    "byte by byte": Case(cut_into(1, events(CHUNKS))),
    "byte by byte with CRLF": Case(cut_into(1, events(CHUNKS, eol="\r\n"))),
    "pieces of seven bytes": Case(cut_into(7, events(CHUNKS))),
    "silence": Case(between(PAUSE, events(CHUNKS))),
    "silence in an event": Case([b"".join(events(CHUNKS))[:100], PAUSE, b"".join(events(CHUNKS))[100:]]),
    "line separators of Unicode in a text": Case(
        events([chunk("a\u2028b\u2029c\x85d\x0be", finishReason="STOP")]), texts=["a\u2028b\u2029c\x85d\x0be"]
    ),
    # Chunks that are no text.
    "an empty object first": Case(events([{}, *CHUNKS]), texts=["", *TEXTS]),
    "an empty object in the middle": Case(events([CHUNKS[0], {}, *CHUNKS[1:]]), texts=[TEXTS[0], "", *TEXTS[1:]]),
    "an empty line of data": Case(between(b"data:\n\n", events(CHUNKS))),
    "usage last": Case(events([*CHUNKS, USAGE]), texts=[*TEXTS, ""]),
    "a blocked prompt": Case(events([{"promptFeedback": {"blockReason": "SAFETY"}}]), texts=[""]),
    # Errors in the middle of a stream.
    "an error event": Case(events([*CHUNKS[:2], {"error": ERROR}]), texts=TEXTS[:2], end=QUOTA),
    "an error event first": Case(events([{"error": ERROR}]), texts=[], end=QUOTA),
    "an error event behind another key": Case(
        events([*CHUNKS[:2], {"responseId": "r", "error": ERROR}]), texts=TEXTS[:2], end=QUOTA
    ),
    "an error event after the finish": Case(events([*CHUNKS, {"error": ERROR}]), end=QUOTA),
    "an error event of several lines": Case(
        [*events(CHUNKS[:2]), *events([{"error": ERROR}], form=many_lines)], texts=TEXTS[:2], end=QUOTA
    ),
    "an error event with its name": Case(
        [*events(CHUNKS[:2]), b"event: error\n" + events([{"error": ERROR}])[0]], texts=TEXTS[:2], end=QUOTA
    ),
    "an error event in a list": Case(events([*CHUNKS[:2], [{"error": ERROR}]]), texts=TEXTS[:2], end=QUOTA),
    "a raw error block": Case(
        [*events(CHUNKS[:2]), many_lines({"error": ERROR}).encode() + b"\n\n"], texts=TEXTS[:2], end=QUOTA
    ),
    "a raw error in one line": Case(
        [*events(CHUNKS[:2]), one_line({"error": ERROR}).encode()], texts=TEXTS[:2], end=QUOTA
    ),
    "a raw error without a blank line before it": Case(
        [b"".join(events(CHUNKS[:2]))[:-1] + many_lines({"error": ERROR}).encode()], texts=TEXTS[:2], end=QUOTA
    ),
    # Streams that upstream did not finish.
    "no finish reason": Case(events(UNFINISHED), end=CUT),
    "no finish reason but [DONE]": Case([*events(UNFINISHED), b"data: [DONE]\n\n"], end=CUT),
    "nothing at all": Case([], texts=[], end=UNREADABLE),
    "comments only": Case([b": ping\n\n"] * 3, texts=[], end=UNREADABLE),
    "an end in the middle of an event": Case([*events(CHUNKS[:2]), events(CHUNKS)[2][:40]], texts=TEXTS[:2], end=CUT),
    "a cut in the middle of an event": Case(
        [*events(CHUNKS[:2]), events(CHUNKS)[2][:40], BREAK], texts=TEXTS[:2], end=CUT
    ),
    "a cut between events": Case([*events(CHUNKS[:2]), BREAK], texts=TEXTS[:2], end=CUT),
    "a cut before the blank line": Case([*events(CHUNKS[:2]), events(CHUNKS)[2][:-2], BREAK], texts=TEXTS[:2], end=CUT),
    "a cut after the finish": Case([*events(CHUNKS), BREAK], end=CUT),
    "a cut before the first event": Case([BREAK], texts=[], end=CUT),
    "text that is not JSON": Case([*events(CHUNKS[:2]), b"data: <html>\n\n"], texts=TEXTS[:2], end=UNREADABLE),
    # JSON where events were asked for.
    "a JSON array": Case([json.dumps(CHUNKS).encode()], kind="application/json"),
    "a JSON array over several lines": Case(
        cut_into(40, [json.dumps(CHUNKS, indent=1).encode()]), kind="application/json"
    ),
    "a JSON array that ends with an error": Case(
        [json.dumps([*CHUNKS[:2], {"error": ERROR}]).encode()], texts=TEXTS[:2], end=QUOTA, kind="application/json"
    ),
    "a JSON array that is cut": Case(
        [json.dumps(CHUNKS).encode()[:-60], BREAK], texts=TEXTS[:2], end=CUT, kind="application/json"
    ),
    "a JSON array without its end": Case(
        [json.dumps(CHUNKS).encode()[:-1]], end=CUT, kind="application/json"
    ),
    "a JSON object": Case(
        [json.dumps({**chunk("all", finishReason="STOP"), **USAGE}).encode()], texts=["all"], kind="application/json"
    ),
}


def combinations():
    """Every combination of a line end, what is between events, a form of the data, an end, and a size of the pieces."""
    ends = {
        "finish": (CHUNKS, "", TEXTS, FINISHED),
        "DONE": (CHUNKS, "data: [DONE]{eol}{eol}", TEXTS, FINISHED),
        "no blank line": (CHUNKS, None, TEXTS, FINISHED),
        "error": ([*CHUNKS[:2], {"error": ERROR}], "", TEXTS[:2], QUOTA),
        "late error": ([*CHUNKS[:2], {"responseId": "r", "error": ERROR}], "", TEXTS[:2], QUOTA),
        "raw error": (CHUNKS[:2], one_line({"error": ERROR}) + "{eol}{eol}", TEXTS[:2], QUOTA),
        "unfinished": (UNFINISHED, "", TEXTS, CUT),
        "broken": (CHUNKS[:2], BREAK, TEXTS[:2], CUT),
    }
    betweens = {
        "nothing": "",
        "comments": ": ping{eol}{eol}",
        "glued comments": ": ping{eol}",
        "names": "event: message{eol}id: 7{eol}",
        "a newline": "{eol}",
        "LF": "\n\n",
    }
    eols = {"LF": "\n", "CRLF": "\r\n", "CR": "\r"}
    prefixes = ["data: ", "data:"]
    forms = {"line": one_line, "lines": many_lines}
    sizes = [5, 1 << 20]
    for end, gap, eol, prefix, form, size in itertools.product(ends, betweens, eols, prefixes, forms, sizes):
        if (gap, eol) == ("LF", "CR"):
            # Together these are CRLF, so a body that ends with CR would be cut.
            continue
        values, tail, texts, outcome = ends[end]
        parts = events(values, eol=eols[eol], prefix=prefix, form=forms[form])
        parts = [betweens[gap].replace("{eol}", eols[eol]).encode() + part for part in parts]
        if tail is None:
            parts[-1] = parts[-1].rstrip()
        elif tail != BREAK:
            parts.append(tail.replace("{eol}", eols[eol]).encode())
        pieces = cut_into(size, parts) + ([BREAK] if tail == BREAK else [])
        yield f"{end}, {gap}, {eol}, {prefix}, {form}, {size}", Case(pieces, texts, outcome)


# A stream in two parts. An SDK asks for the second part by itself when the first one breaks.
BEGINNING = Case([*events([chunk(TEXTS[0], continuationToken="dG9rZW4=")]), BREAK])
REST = Case(events(CHUNKS[1:]))
ALL = {**CASES, **dict(combinations())}


def model_of(name):
    """The model whose stream is the case of that name."""
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-")
