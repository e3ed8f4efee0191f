"""LangChain with its package for Gemini, over REST: `python langchain_rest.py BASE_URL` prints what it got as JSON."""

import asyncio
import json
import sys

from langchain_core.messages import ToolMessage
from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI
from pydantic import BaseModel


class City(BaseModel):
    """A city."""

    name: str
    people: int


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"{city}: sun"


def model_of(name="gemini-2.5-flash", **options):
    return ChatGoogleGenerativeAI(model=name, google_api_key="a-key", base_url=sys.argv[1], max_retries=1, **options)


async def read():
    return [chunk.text async for chunk in model_of().astream("hello there")]


def answer_with_tools():
    """The answer after the model has called the tool, as an agent gets it."""
    model = model_of().bind_tools([weather])
    messages = [("human", "Paris please")]
    call = model.invoke(messages)
    result = ToolMessage(weather.invoke(call.tool_calls[0]["args"]), tool_call_id=call.tool_calls[0]["id"])
    return call.tool_calls[0]["name"], model.invoke([*messages, call, result]).text


def failure():
    try:
        model_of("sandbox-429").invoke("hi")
    except Exception as error:
        return [type(error).__name__, str(error)]


whole = model_of().invoke("hello there")
picture = model_of("gemini-2.5-flash-image", response_modalities=["TEXT", "IMAGE"]).invoke("a lighthouse")
print(
    json.dumps(
        {
            "text": whole.text,
            "usage": whole.usage_metadata["input_tokens"],
            "stream": [chunk.text for chunk in model_of().stream("hello there")],
            "asyncio": asyncio.run(read()),
            "tools": answer_with_tools(),
            "structured": type(model_of().with_structured_output(City, method="json_schema").invoke("a city")).__name__,
            "picture": [part["type"] for part in picture.content if isinstance(part, dict)],
            "error": failure(),
        }
    )
)
