"""LangChain over gRPC with TLS: `python langchain_grpc.py HOST:PORT KEY [CA_FILE]`.

    pip install langchain-google-genai==3.2.0

That is the last release that speaks gRPC; later ones use REST.
"""

import os
import sys

from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI

endpoint, key, *ca = sys.argv[1:]
if ca:
    # Without it, gRPC trusts the authorities that it brings.
    os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = ca[0]


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"{city}: sun"


def model_of(name: str = "gemini-2.5-flash") -> ChatGoogleGenerativeAI:
    options = {"client_options": {"api_endpoint": endpoint}, "transport": "grpc", "max_retries": 1}
    return ChatGoogleGenerativeAI(model=name, google_api_key=key, **options)


model = model_of()
answer = model.invoke("Why is the sky blue?")
print("text:", answer.text)
print("stream: ", end="")
for chunk in model.stream("Why is the sky blue?"):
    print(chunk.text, end="", flush=True)
print()
[call] = model.bind_tools([weather]).invoke("What is the weather in Oslo?").tool_calls
print("tool:", call["name"])
try:
    model_of("sandbox-429").invoke("hello")
except Exception as error:
    print("busy:", type(error).__name__, str(error).splitlines()[0])
print(f"usage: {answer.usage_metadata['input_tokens']} tokens in, {answer.usage_metadata['output_tokens']} tokens out")
