"""An older LangChain, over gRPC with TLS: `python langchain_grpc.py HOST:PORT` prints what it got as JSON.

The variable GRPC_DEFAULT_SSL_ROOTS_FILE_PATH names the authority of the gateway's certificate.
"""

import json
import sys

from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"{city}: sun"


def model_of(name="gemini-2.5-flash"):
    options = {"client_options": {"api_endpoint": sys.argv[1]}, "transport": "grpc", "max_retries": 1}
    return ChatGoogleGenerativeAI(model=name, google_api_key="a-key", **options)


def failure():
    try:
        model_of("sandbox-429").invoke("hi")
    except Exception as error:
        return [type(error).__name__, str(error)]


whole = model_of().invoke("hello there")
print(
    json.dumps(
        {
            "text": whole.text,
            "usage": whole.usage_metadata["input_tokens"],
            "stream": [chunk.text for chunk in model_of().stream("hello there")],
            "tool": model_of().bind_tools([weather]).invoke("Paris please").tool_calls[0]["name"],
            "error": failure(),
        }
    )
)
