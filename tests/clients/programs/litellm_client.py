"""LiteLLM as a client: `python litellm_client.py BASE_URL` prints what it got as JSON."""

import asyncio
import json
import sys

import litellm

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def request(text="hello there", model="gemini-2.5-flash", **options):
    return {
        "model": f"gemini/{model}",
        "messages": [{"role": "user", "content": text}],
        "api_base": f"{sys.argv[1]}/v1beta",
        "api_key": "a-key",
        "max_retries": 0,
        **options,
    }


def texts_of(chunks):
    return [chunk.choices[0].delta.content or "" for chunk in chunks]


async def read():
    return texts_of([chunk async for chunk in await litellm.acompletion(**request(stream=True))])


def failure(**options):
    """The class of the error, and how many chunks came before it."""
    chunks = []
    try:
        answer = litellm.completion(**request(**options))
        chunks.extend(answer if options.get("stream") else [])
    except Exception as error:
        return type(error).__name__
    return texts_of(chunks)


whole = litellm.completion(**request())
print(
    json.dumps(
        {
            "text": whole.choices[0].message.content,
            "usage": whole.usage.prompt_tokens,
            "stream": texts_of(litellm.completion(**request(stream=True))),
            "asyncio": asyncio.run(read()),
            "tool": litellm.completion(**request(tools=[TOOL])).choices[0].message.tool_calls[0].function.name,
            "error": failure(model="sandbox-429"),
            "cut": failure(model="sandbox-cut", stream=True),
        }
    )
)
