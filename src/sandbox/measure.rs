//! Answers that are no generated content: how many tokens a prompt has, and the vectors of contents.

use serde_json::{Value, json};

use super::answer::tokens;
use super::error::Error;
use super::models::Model;
use super::request::{self, Request, get, items};

/// Google's limit.
const MAX_BATCH: usize = 100;
/// A member that says where a response comes from which has no text to say it in.
const LABEL: &str = "[sandbox] made up on your own machine: no model was asked";

/// The answer to an action that measures contents; `None` if it is another action.
pub(super) fn answer(model: &Model, action: &str, body: &[u8]) -> Option<Result<Value, Error>> {
    let measure = match action {
        "countTokens" => |_: &Model, body: &Value| count_tokens(body),
        "embedContent" => embed,
        "batchEmbedContents" => embed_all,
        _ => return None,
    };
    Some(request::json(body).and_then(|body| measure(model, &body)))
}

/// A word is a token, as in all usage of the sandbox. Those of the system instruction count too.
fn count_tokens(body: &Value) -> Result<Value, Error> {
    let whole = get(body, "generateContentRequest");
    let request = match (whole.is_object(), get(body, "contents").is_array()) {
        (true, true) => {
            return Err(Error::invalid("contents and generate_content_request cannot both be set"));
        }
        (true, false) if !get(whole, "model").as_str().is_some_and(|model| model.starts_with("models/")) => {
            return Err(Error::invalid("* GenerateContentRequest.model: unexpected model name format"));
        }
        (true, false) => whole,
        (false, _) => body,
    };
    let prompt = Request::of(request.clone())?;
    let system = items(get(get(request, "systemInstruction"), "parts"));
    let (total, details) = tokens(prompt.parts().chain(system));
    Ok(json!({"totalTokens": total, "promptTokensDetails": details, "sandbox": LABEL}))
}

fn embed(model: &Model, body: &Value) -> Result<Value, Error> {
    let (vector, used, details) = vector(model, body)?;
    let usage = json!({"promptTokenCount": used, "promptTokenDetails": details});
    Ok(json!({"embedding": {"values": vector}, "usageMetadata": usage, "sandbox": LABEL}))
}

fn embed_all(model: &Model, body: &Value) -> Result<Value, Error> {
    let refused = |problem: String| Error::invalid(format!("* BatchEmbedContentsRequest.requests{problem}"));
    let requests: Vec<_> = items(get(body, "requests")).collect();
    if requests.len() > MAX_BATCH {
        return Err(refused(format!(": at most {MAX_BATCH} requests can be in one batch")));
    }
    let (mut embeddings, mut used) = (Vec::new(), 0);
    for (i, request) in requests.iter().enumerate() {
        let named = get(request, "model").as_str().unwrap_or_default();
        if named.strip_prefix("models/") != Some(&model.name) {
            return Err(refused(format!("[{i}].model: it must be models/{}, as of the batch", model.name)));
        }
        let (vector, tokens, _) = vector(model, request)?;
        embeddings.push(json!({"values": vector}));
        used += tokens;
    }
    if embeddings.is_empty() {
        return Err(refused(": contents is not specified".to_owned()));
    }
    Ok(json!({"embeddings": embeddings, "usageMetadata": {"promptTokenCount": used}, "sandbox": LABEL}))
}

/// The vector of a content, its tokens, and how many of each modality. Contents that share words have vectors that are
/// near to each other.
fn vector(model: &Model, request: &Value) -> Result<(Vec<f32>, usize, Value), Error> {
    let content = get(request, "content");
    if items(get(content, "parts")).next().is_none() {
        return Err(Error::invalid("* EmbedContentRequest.content: contents is not specified"));
    }
    let (used, details) = tokens(items(get(content, "parts")));
    let all = model.dimensions();
    let config = get(request, "embedContentConfig");
    let asked = [request, config].into_iter().map(|of| get(of, "outputDimensionality")).find(|size| !size.is_null());
    let size = match asked.map(Value::as_u64) {
        None => all,
        Some(Some(size @ 1..)) if size <= all as u64 => size as usize,
        Some(_) => return Err(Error::invalid(format!("outputDimensionality must be from 1 to {all}"))),
    };
    let mut sum = vec![0.0; all];
    let texts = items(get(content, "parts")).filter_map(|part| get(part, "text").as_str());
    for word in texts.flat_map(str::split_whitespace) {
        add(&mut sum, &word.to_lowercase());
    }
    let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    sum.truncate(size);
    Ok((sum.into_iter().map(|value| value / length).collect(), used, details))
}

/// Adds the vector of a word: noise of an xorshift generator (Marsaglia 2003) that begins with the word's FNV-1a hash.
fn add(sum: &mut [f32], word: &str) {
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let mut state = word.bytes().fold(0xcbf2_9ce4_8422_2325, hash) | 1;
    for value in sum {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *value += (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn embedded(text: &str, more: &str) -> Result<Value, Error> {
        let body = format!(r#"{{"content":{{"parts":[{{"text":"{text}"}}]}}{more}}}"#);
        let model = Model::named("gemini-embedding-001").unwrap();
        answer(&model, "embedContent", body.as_bytes()).unwrap()
    }

    fn values(answer: &Value) -> Vec<f64> {
        items(&answer["embedding"]["values"]).map(|value| value.as_f64().unwrap()).collect()
    }

    #[test]
    fn contents_that_share_words_have_similar_vectors_of_length_one() {
        let [sky, same, sea] = ["the sky is blue", "The sky is BLUE", "fish swim deep down"]
            .map(|text| values(&embedded(text, "").unwrap()));
        let near = values(&embedded("the sky is grey", "").unwrap());
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        assert_eq!((sky.len(), sky == same), (3072, true));
        assert!((product(&sky, &sky) - 1.0).abs() < 1e-3);
        assert!(product(&sky, &near) > 0.6 && product(&sky, &sea).abs() < 0.2);
    }

    #[test]
    fn a_shorter_vector_is_the_beginning_of_the_whole_one() {
        let whole = values(&embedded("a", "").unwrap());
        for more in [r#","outputDimensionality":2"#, r#","embed_content_config":{"output_dimensionality":2}"#] {
            assert_eq!(values(&embedded("a", more).unwrap()), whole[..2]);
        }
        for more in
            [r#","outputDimensionality":0"#, r#","outputDimensionality":4000"#, r#","outputDimensionality":"x""#]
        {
            assert!(embedded("a", more).is_err(), "{more}");
        }
    }
}
