//! What to use instead of the parts of Google's service that are not served.

/// The paths of Google's service that its SDKs call, each by a part of it, and what to use instead.
const ADVICE: [(&str, &str); 17] = [
    ("/upload/", FILES),
    ("/files", FILES),
    ("/cachedContents", "context caches are not served; send the content with each request"),
    ("/batches", "batches are not served; send their requests one by one"),
    ("/interactions", "interactions are not served; call generateContent instead (client.models in the SDKs)"),
    ("/ws/", "the Live API is not served; call streamGenerateContent instead"),
    ("/operations", "long-running operations are not served; each call returns its result itself"),
    ("/tunedModels", "tuned models are not served; name a base model, such as gemini-2.5-flash"),
    ("/fileSearchStores", "file search is not served; send what is needed in the request"),
    ("/corpora", "corpora are not served; send what is needed in the request"),
    ("/auth_tokens", "tokens for the Live API are not served"),
    ("/projects/", "this is the Gemini API, not Vertex AI; leave out vertexai in the SDK"),
    ("/publishers/", "this is the Gemini API, not Vertex AI; leave out vertexai in the SDK"),
    ("/openai/", "OpenAI's format is not served; use one of Google's SDKs"),
    ("/chat/completions", "OpenAI's format is not served; use one of Google's SDKs"),
    ("/v1alpha/", "only the versions v1 and v1beta are served"),
    ("/models", MODELS),
];

const FILES: &str = "files are not served; send the data in the request, as inlineData";
const MODELS: &str = "a model and a method are expected, as in models/gemini-2.5-flash:generateContent";

/// What to use instead of a path that is not served, as a part of a sentence.
pub(super) fn advice(path: &str) -> &'static str {
    let known = ADVICE.iter().find(|(part, _)| path.contains(part));
    known.map_or(
        "use POST /v1beta/models/{model}:generateContent or :streamGenerateContent, or GET /v1beta/models",
        |(_, advice)| advice,
    )
}

/// What to use instead of a method of a model that is not served, as a part of a sentence.
pub(super) fn advice_for_method(action: &str) -> &'static str {
    match action {
        "batchGenerateContent" | "asyncBatchEmbedContent" => "send the requests of a batch one by one",
        "predict" | "predictLongRunning" => "call generateContent with an image model, such as gemini-2.5-flash-image",
        "generateMessage" | "generateText" | "generateAnswer" => "call generateContent instead",
        _ => "call generateContent or streamGenerateContent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sdks_call_is_answered_with_what_to_use_instead() {
        for (path, word) in [
            ("/upload/v1beta/files", "inlineData"),
            ("/v1/files/abc", "inlineData"),
            ("/gemini/v1/cachedContents", "caches"),
            ("/v1beta/interactions", "client.models"),
            ("/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent", "Live"),
            ("/v1beta/openai/chat/completions", "OpenAI"),
            ("/v1beta1/projects/p/locations/l/publishers/google/models/x:generateContent", "Vertex"),
            ("/v1alpha/models/x:generateContent", "v1beta"),
            ("/nothing", "POST"),
        ] {
            assert!(advice(path).contains(word), "{path}: {}", advice(path));
        }
    }
}
