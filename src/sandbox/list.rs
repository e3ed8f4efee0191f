//! The list of models, page by page.

use serde_json::{Value, json};

use super::error::Error;
use super::models::{self, Model};

/// Google's numbers.
const DEFAULT_PAGE_SIZE: usize = 50;
const MAX_PAGE_SIZE: usize = 1000;
/// Before the number of the first model of a page.
const TOKEN: &str = "sandbox-page-from-";

/// The page that the query asks for.
pub(super) fn page(size: Option<&str>, token: Option<&str>) -> Result<Value, Error> {
    let size = match size.map(str::parse::<i32>) {
        None | Some(Ok(0)) => DEFAULT_PAGE_SIZE,
        Some(Ok(size @ 1..)) => usize::try_from(size).unwrap_or(MAX_PAGE_SIZE).min(MAX_PAGE_SIZE),
        Some(Ok(_)) => return Err(Error::invalid("page_size must not be negative")),
        Some(Err(_)) => {
            let size = size.unwrap_or_default();
            return Err(Error::invalid(format!("Invalid value at 'page_size' (TYPE_INT32), {size:?}")));
        }
    };
    let all: Vec<_> = models::names().collect();
    let first = match token.filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => {
            let number = token.strip_prefix(TOKEN).and_then(|number| number.parse().ok());
            number.filter(|first| *first < all.len()).ok_or_else(|| Error::invalid("Invalid page token"))?
        }
    };
    let end = (first + size).min(all.len());
    let described: Result<Vec<_>, Error> =
        all[first..end].iter().map(|name| Ok(describe(&Model::named(name)?))).collect();
    let mut page = json!({"models": described?});
    if end < all.len() {
        page["nextPageToken"] = json!(format!("{TOKEN}{end}"));
    }
    Ok(page)
}

/// A model, with the members that Google's have.
pub(super) fn describe(model: &Model) -> Value {
    let name = &model.name;
    let (input, output) = match model.image {
        Some(_) => (65_536, 32_768),
        None => (1_048_576, 65_536),
    };
    json!({
        "name": format!("models/{name}"),
        "version": "sandbox",
        "displayName": format!("[sandbox] {name}"),
        "description": "[sandbox] Answers are made up on your own machine: no model is asked.",
        "inputTokenLimit": input,
        "outputTokenLimit": output,
        "supportedGenerationMethods": model.actions(),
        "temperature": 1,
        "topP": 0.95,
        "topK": 64,
        "maxTemperature": 2,
    })
}
