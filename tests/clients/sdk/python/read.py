"""Reads streams with google-genai for Python and prints, for each model, one line of JSON: what was read, and the end.

    python read.py sync|aiohttp|httpx BASE_URL < MODELS
"""

import asyncio
import json
import sys

import httpx2
from google import genai
from google.genai import errors, types

TRANSPORT, BASE_URL = sys.argv[1:]


def failure(error):
    if isinstance(error, errors.APIError):
        return [type(error).__name__, error.code, error.status]
    return [type(error).__name__, str(error)]


def read(client, model):
    texts = []
    try:
        for chunk in client.models.generate_content_stream(model=model, contents="hi"):
            texts.append(chunk.text or "")
    except Exception as error:
        return texts, failure(error)
    return texts, None


async def read_async(client, model):
    texts = []
    try:
        async for chunk in await client.aio.models.generate_content_stream(model=model, contents="hi"):
            texts.append(chunk.text or "")
    except Exception as error:
        return texts, failure(error)
    return texts, None


def report(model, result):
    texts, end = result
    print(json.dumps({"model": model, "texts": texts, "end": end}))


async def main():
    options = types.HttpOptions(base_url=BASE_URL)
    if TRANSPORT == "httpx":
        options.httpx_async_client = httpx2.AsyncClient()
    client = genai.Client(api_key="a-key", http_options=options)
    for model in sys.stdin.read().split():
        report(model, read(client, model) if TRANSPORT == "sync" else await read_async(client, model))
    await client.aio.aclose()


asyncio.run(main())
