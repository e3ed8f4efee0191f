"""What Google's own gRPC client has beyond generating content: models, tokens and vectors, under v1 and v1beta."""

import asyncio

import grpc
import pytest
from google.ai import generativelanguage_v1 as v1
from google.ai import generativelanguage_v1beta as v1beta
from google.ai.generativelanguage_v1.services.generative_service.transports import (
    GenerativeServiceGrpcTransport as V1Transport,
)
from google.ai.generativelanguage_v1.services.model_service.transports import ModelServiceGrpcTransport as V1Models
from google.ai.generativelanguage_v1beta.services.generative_service.transports import GenerativeServiceGrpcTransport
from google.ai.generativelanguage_v1beta.services.model_service.transports import (
    ModelServiceGrpcAsyncIOTransport,
    ModelServiceGrpcTransport,
)
from google.api_core import exceptions

from processes import start_gateway

VERSIONS = {
    "v1beta": (v1beta, GenerativeServiceGrpcTransport, ModelServiceGrpcTransport),
    "v1": (v1, V1Transport, V1Models),
}


@pytest.fixture(scope="module")
def everything(sandbox):
    """The address of a gateway whose upstream has all methods."""
    methods = "countTokens,embedContent,batchEmbedContents,models"
    process, address = start_gateway(
        "--upstream-url", sandbox, "--upstream-methods", methods, env={"MOUNTSEA_API_KEY": "a-key"}
    )
    yield address
    assert process.stop() == 0


class Clients:
    def __init__(self, address, google, generative, models):
        self.google, self.channel = google, grpc.insecure_channel(address)
        self.generative = google.GenerativeServiceClient(transport=generative(channel=self.channel))
        self.models = google.ModelServiceClient(transport=models(channel=self.channel))

    def content(self, text):
        return self.google.Content(role="user", parts=[self.google.Part(text=text)])


@pytest.fixture(params=VERSIONS.values(), ids=VERSIONS)
def clients(request):
    """Makes the clients of a version for an address."""
    made = []

    def connect(address):
        made.append(Clients(address, *request.param))
        return made[-1]

    yield connect
    for client in made:
        client.channel.close()


def test_the_catalogue_is_listed_page_by_page(gateway, clients):
    client = clients(gateway)
    # The pager of Google's client asks for the pages one after another.
    pager = client.models.list_models(request={"page_size": 3})
    names = [model.name for model in pager]
    assert len(names) == len(set(names)) > 3
    assert names[0] == "models/gemini-2.5-flash" and "models/nano-banana-pro" in names
    assert names == [model.name for model in client.models.list_models()]


def test_a_model_of_the_catalogue_says_what_it_takes(gateway, clients):
    client = clients(gateway)
    model = client.models.get_model(name="models/nano-banana-pro")
    assert model.base_model_id == "gemini-3-pro-image-preview"
    assert "generateContent" in model.supported_generation_methods
    assert "16:9" in model.description and "4K" in model.description
    with pytest.raises(exceptions.NotFound) as caught:
        client.models.get_model(name="models/gemini-9")
    assert caught.value.reason == "MODEL_NOT_FOUND"
    with pytest.raises(exceptions.InvalidArgument, match="page_token"):
        client.models.list_models(request={"page_token": "gemini-9"})


def test_the_models_of_upstream_are_passed_on(everything, clients):
    client = clients(everything)
    models = {model.name: model for model in client.models.list_models(request={"page_size": 4})}
    assert all("[sandbox]" in model.display_name for model in models.values()) and len(models) > 8
    embedding = client.models.get_model(name="models/gemini-embedding-001")
    assert embedding == models["models/gemini-embedding-001"]
    assert list(embedding.supported_generation_methods) == ["embedContent", "batchEmbedContents", "countTokens"]
    with pytest.raises(exceptions.NotFound) as caught:
        client.models.get_model(name="models/no-such-model")
    assert caught.value.reason == "UPSTREAM_REFUSED"


def test_tokens_are_counted(everything, clients):
    client = clients(everything)
    google = client.google
    contents = [client.content("three short words")]
    counted = client.generative.count_tokens(model="models/gemini-2.5-flash", contents=contents)
    assert counted.total_tokens == 3
    whole = google.GenerateContentRequest(model="models/gemini-2.5-flash", contents=contents)
    request = google.CountTokensRequest(model="models/gemini-2.5-flash", generate_content_request=whole)
    assert client.generative.count_tokens(request).total_tokens == 3
    whole.model = "models/gemini-2.5-pro"
    request = google.CountTokensRequest(model="models/gemini-2.5-flash", generate_content_request=whole)
    with pytest.raises(exceptions.InvalidArgument, match="generate_content_request.model"):
        client.generative.count_tokens(request)


def test_contents_become_vectors(everything, clients):
    client = clients(everything)
    google, model = client.google, "models/gemini-embedding-001"
    one = client.generative.embed_content(model=model, content=client.content("the sky"))
    assert len(one.embedding.values) == 3072
    task = google.TaskType.RETRIEVAL_QUERY
    texts = ["the sky", "the sea"]
    requests = [
        google.EmbedContentRequest(model=model, content=client.content(text), task_type=task, output_dimensionality=8)
        for text in texts
    ]
    batch = client.generative.batch_embed_contents(model=model, requests=requests)
    assert [len(vector.values) for vector in batch.embeddings] == [8, 8]
    assert list(batch.embeddings[0].values) == list(one.embedding.values[:8])
    with pytest.raises(exceptions.NotFound, match="not supported for embedContent"):
        client.generative.embed_content(model="models/gemini-2.5-flash", content=client.content("the sky"))


def test_the_asyncio_client_lists_models_too(gateway):
    async def names():
        async with grpc.aio.insecure_channel(gateway) as channel:
            client = v1beta.ModelServiceAsyncClient(transport=ModelServiceGrpcAsyncIOTransport(channel=channel))
            return [model.name async for model in await client.list_models(request={"page_size": 5})]

    assert "models/gemini-2.5-flash" in asyncio.run(names())
