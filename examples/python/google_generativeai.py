"""Google's SDK before google-genai, over gRPC with TLS: `python google_generativeai.py HOST:PORT KEY [CA_FILE]`.

    pip install google-generativeai==0.8.6
"""

import os
import sys

import google.generativeai as genai
from google.api_core import exceptions

endpoint, key, *ca = sys.argv[1:]
if ca:
    # Without it, gRPC trusts the authorities that it brings.
    os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = ca[0]
genai.configure(api_key=key, transport="grpc", client_options={"api_endpoint": endpoint})


def weather(city: str) -> str:
    """The weather in a city."""
    return f"{city}: sun"


model = genai.GenerativeModel("gemini-2.5-flash", tools=[weather])
chat = model.start_chat(enable_automatic_function_calling=True)
print("tool answer:", chat.send_message("What is the weather in Oslo?").text)
model = genai.GenerativeModel("gemini-2.5-flash")
answer = model.generate_content("Why is the sky blue?", request_options={"timeout": 60})
print("text:", answer.text)
print("stream: ", end="")
for chunk in model.generate_content("Why is the sky blue?", stream=True):
    print(chunk.text, end="", flush=True)
print()
try:
    # The SDK retries for a minute by default.
    genai.GenerativeModel("sandbox-429").generate_content("hello", request_options={"retry": None})
except exceptions.GoogleAPICallError as error:
    print("busy:", error.code, error.reason)
used = answer.usage_metadata
print(f"usage: {used.prompt_token_count} tokens in, {used.candidates_token_count} tokens out")
