//! A request as the Compat API takes it: names in either spelling, two settings in either of two places.

use base64_simd::forgiving_decode_to_vec;
use serde_json::Value;

use super::error::Error;

/// A member in camelCase or, failing that, in snake_case.
pub(super) fn get<'v>(value: &'v Value, name: &str) -> &'v Value {
    const NOTHING: &Value = &Value::Null;
    let found = value.get(name).or_else(|| value.get(snake(name)));
    found.unwrap_or(NOTHING)
}

fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// `ASPECT_RATIO_SIXTEEN_BY_NINE` as 16:9 and `IMAGE_SIZE_TWO_K` as 2K, as Google's `responseFormat.image` writes them.
/// The unspecified value becomes `None`; an unknown name stays as it is.
fn from_enum(name: &str) -> Option<String> {
    const NUMBERS: [(&str, &str); 10] = [
        ("ONE", "1"),
        ("TWO", "2"),
        ("THREE", "3"),
        ("FOUR", "4"),
        ("FIVE", "5"),
        ("EIGHT", "8"),
        ("NINE", "9"),
        ("SIXTEEN", "16"),
        ("TWENTY_ONE", "21"),
        ("FIVE_TWELVE", "512"),
    ];
    let number = |word: &str| NUMBERS.iter().find(|(name, _)| *name == word).map(|(_, number)| *number);
    let bare = name.trim_start_matches("ASPECT_RATIO_").trim_start_matches("IMAGE_SIZE_");
    if bare == "UNSPECIFIED" {
        return None;
    }
    let ratio = || {
        let (width, height) = bare.split_once("_BY_")?;
        Some(format!("{}:{}", number(width)?, number(height)?))
    };
    let size = || number(bare).map(str::to_owned).or_else(|| Some(format!("{}K", number(bare.strip_suffix("_K")?)?)));
    Some(ratio().or_else(size).unwrap_or_else(|| name.to_owned()))
}

pub(super) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The JSON of a request.
pub(super) fn json(bytes: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::invalid(format!("Invalid JSON payload received. {error}")))
}

/// What the sandbox reads of a request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    body: Value,
}

impl Request {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::of(json(bytes)?)
    }

    /// A request that was read.
    pub(super) fn of(body: Value) -> Result<Self, Error> {
        let request = Self { body };
        if request.contents().next().is_none() {
            return Err(Error::invalid("* GenerateContentRequest.contents: contents is not specified"));
        }
        // Google's words. The role of a system instruction is not looked at.
        let known = |role: &Value| role.as_str().is_none_or(|role| ["", "user", "model", "function"].contains(&role));
        if !request.contents().all(|content| known(get(content, "role"))) {
            return Err(Error::invalid("Please use a valid role: user, model."));
        }
        Ok(request)
    }

    fn contents(&self) -> impl Iterator<Item = &Value> {
        items(get(&self.body, "contents"))
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = &Value> {
        self.contents().flat_map(|content| items(get(content, "parts")))
    }

    /// The texts of the last content.
    pub(super) fn prompt(&self) -> String {
        let parts = self.contents().last().map(|content| get(content, "parts")).unwrap_or(&Value::Null);
        items(parts).filter_map(|part| get(part, "text").as_str()).collect::<Vec<_>>().join(" ")
    }

    /// The name of the function whose result came last.
    pub(super) fn function_result(&self) -> Option<&str> {
        let last = self.contents().last()?;
        items(get(last, "parts")).find_map(|part| get(get(part, "functionResponse"), "name").as_str())
    }

    /// The pictures, decoded from base64 in either alphabet.
    pub(super) fn pictures(&self) -> Result<Vec<Vec<u8>>, Error> {
        let blobs = self.parts().map(|part| get(part, "inlineData")).filter(|blob| !blob.is_null());
        blobs
            .map(|blob| {
                let data = get(blob, "data").as_str().unwrap_or_default().replace('-', "+").replace('_', "/");
                forgiving_decode_to_vec(data.as_bytes())
                    .map_err(|_| Error::invalid("inlineData.data: Base64 decoding failed"))
            })
            .collect()
    }

    pub(super) fn config(&self, name: &str) -> &Value {
        get(get(&self.body, "generationConfig"), name)
    }

    /// `aspectRatio` or `imageSize`, in `imageConfig`, in `responseFormat.image`, or straight on `generationConfig`.
    pub(super) fn image_setting(&self, name: &str) -> Option<String> {
        let plain = get(self.config("imageConfig"), name).as_str().or_else(|| self.config(name).as_str());
        let format = || get(get(self.config("responseFormat"), "image"), name).as_str().and_then(from_enum);
        plain.map(str::to_owned).or_else(format)
    }

    /// Whether the thoughts of the model are asked for.
    pub(super) fn wants_thoughts(&self) -> bool {
        get(self.config("thinkingConfig"), "includeThoughts") == &Value::Bool(true)
    }

    /// The modalities in upper case.
    pub(super) fn modalities(&self) -> Vec<String> {
        items(self.config("responseModalities")).filter_map(Value::as_str).map(str::to_uppercase).collect()
    }

    /// The schema that the answer has to fit, under any of its names.
    pub(super) fn schema(&self) -> Option<&Value> {
        let config = get(&self.body, "generationConfig");
        let names = ["responseSchema", "responseJsonSchema", "_responseJsonSchema"];
        names.iter().map(|name| get(config, name)).find(|schema| schema.is_object())
    }

    pub(super) fn has_system_instruction(&self) -> bool {
        get(&self.body, "systemInstruction").is_object()
    }

    /// The declared function that an answer calls: the first that is allowed, unless calls are off.
    pub(super) fn function(&self) -> Option<&Value> {
        let calling = get(get(&self.body, "toolConfig"), "functionCallingConfig");
        if get(calling, "mode").as_str().is_some_and(|mode| mode.eq_ignore_ascii_case("NONE")) {
            return None;
        }
        let allowed: Vec<&str> = items(get(calling, "allowedFunctionNames")).filter_map(Value::as_str).collect();
        let declared = items(get(&self.body, "tools")).flat_map(|tool| items(get(tool, "functionDeclarations")));
        declared.into_iter().find(|function| {
            let name = get(function, "name").as_str().unwrap_or_default();
            allowed.is_empty() || allowed.contains(&name)
        })
    }
}
