//! Checks a request against the rules and reports every violation at once, each with its field and what is allowed.
//!
//! Only certain rules are checked. Upstream decides about everything that it may allow some day.

mod image;
mod violation;

use std::fmt;

pub use self::violation::{Violation, Violations};
use super::catalog::Catalog;
use super::method::Method;
use super::model::ModelName;
use super::steps::Steps;
use super::view::{self, Estimate, GenerationConfigView, PartView, ReadError, RequestView};

/// The settings of the rules.
#[derive(Clone, Copy, Debug)]
pub struct Options<'m> {
    /// Whether an image model that is asked without modalities is asked for TEXT and IMAGE.
    pub image_default_modalities: bool,
    /// The model in the path of a REST call. The request itself may name the same one. Only in REST, a generation config
    /// has shortcuts, which are validated as the settings that they stand for.
    pub path_model: Option<&'m str>,
}

/// A request that breaks no rule.
#[derive(Debug)]
pub struct Valid {
    pub name: ModelName,
    /// Whether TEXT and IMAGE have to be asked for in the caller's place.
    pub default_modalities: bool,
    /// The text and the pictures that it sends.
    pub estimate: Estimate,
    /// The models to try if this one refuses the call, as far as the request is valid for them; `None` if the catalogue
    /// names none.
    pub fallbacks: Option<Vec<ModelName>>,
}

/// Why a request is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidateError {
    #[error(transparent)]
    Violations(#[from] Violations),
    /// The contents are not readable, or reading them was interrupted.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Checks a request for generated content.
pub fn validate(
    request: &RequestView<'_>,
    catalog: &Catalog,
    options: Options<'_>,
    steps: &mut Steps<'_>,
) -> Result<Valid, ValidateError> {
    let mut violations = Violations::default();
    let name = model(request.model, options.path_model, &mut violations);
    let estimate = contents(request, &mut violations, steps)?;
    let config = request.generation_config.as_ref();
    if let Some(config) = config {
        numbers(config, &mut violations);
    }
    let image_model = name.as_ref().and_then(|name| catalog.find(name));
    if let Some(model) = image_model {
        image::check(model, config, options, &mut violations, steps)?;
    }
    match name {
        Some(name) if violations.is_empty() => {
            let asked = config.is_some_and(|config| !config.response_modalities.is_empty());
            // Upstream has image models that the catalogue does not know, and wants the modalities named for these too.
            let makes_pictures = image_model.is_some() || name.names_an_image_model();
            let default_modalities = makes_pictures && !asked && options.image_default_modalities;
            let fallbacks = fallbacks(&name, config, catalog, options, steps)?;
            Ok(Valid { name, default_modalities, estimate, fallbacks })
        }
        _ => Err(violations.into()),
    }
}

/// The models of the catalogue that may answer in the place of this one, without those that do not accept the options
/// of the request.
fn fallbacks(
    name: &ModelName,
    config: Option<&GenerationConfigView<'_>>,
    catalog: &Catalog,
    options: Options<'_>,
    steps: &mut Steps<'_>,
) -> Result<Option<Vec<ModelName>>, ReadError> {
    let Some(models) = catalog.fallbacks(name) else { return Ok(None) };
    let mut valid = Vec::with_capacity(models.len());
    for model in models {
        let mut violations = Violations::default();
        if let Some(rules) = catalog.find(model) {
            image::check(rules, config, options, &mut violations, steps)?;
        }
        if violations.is_empty() {
            valid.push(model.clone());
        }
    }
    Ok(Some(valid))
}

/// Checks only the models that a request names, for a method that does not generate content. `request` is its wire
/// bytes, `path_model` that of [`Options`]. Requests inside of it must name the same model or none: a caller that may
/// not use a model could name it there.
///
/// # Errors
///
/// A name is not one of a model, the names differ, the request cannot be read, or the steps ran out.
pub fn validate_models(
    method: Method,
    request: &[u8],
    path_model: Option<&str>,
    steps: &mut Steps<'_>,
) -> Result<ModelName, ValidateError> {
    let mut violations = Violations::default();
    let Some(name) = model(view::model(request, steps)?, path_model, &mut violations) else {
        return Err(violations.into());
    };
    if let Some((field, mut requests)) = view::inner_requests(method, request) {
        let mut i = 0;
        while let Some(inner) = requests.next(steps)? {
            let inner = view::model(inner, steps)?;
            if !inner.is_empty() && ModelName::parse(inner).as_ref() != Ok(&name) {
                let index = if method == Method::CountTokens { String::new() } else { format!("[{i}]") };
                let allowed = format_args!("name {name}, the model of the whole request, or leave it out");
                violations.add(format_args!("{field}{index}.model"), "MODEL_DIFFERS", allowed);
            }
            i += 1;
        }
    }
    if violations.is_empty() { Ok(name) } else { Err(violations.into()) }
}

fn model(name: &str, path_model: Option<&str>, violations: &mut Violations) -> Option<ModelName> {
    let parsed = ModelName::parse(path_model.unwrap_or(name));
    let parsed = parsed.map_err(|error| violations.add("model", "MODEL_INVALID", error)).ok()?;
    if path_model.is_some() && !name.is_empty() && ModelName::parse(name).as_ref() != Ok(&parsed) {
        violations.add("model", "MODEL_INVALID", "the request names another model than its path; leave it out");
    }
    Some(parsed)
}

/// Checks the contents, and returns how much text and how many pictures the request sends.
fn contents(
    request: &RequestView<'_>,
    violations: &mut Violations,
    steps: &mut Steps<'_>,
) -> Result<Estimate, ReadError> {
    let mut estimate = request.outside_contents();
    let mut contents = request.contents();
    let mut i = 0;
    while let Some(content) = contents.next(steps)? {
        let mut parts = RequestView::parts(content);
        let mut j = 0;
        while let Some(part) = parts.next(steps)? {
            let part = PartView::read(part, steps)?;
            if let Some(blob) = part.inline_data() {
                image::inline_data(blob, format_args!("contents[{i}].parts[{j}].inline_data"), violations);
            }
            if part.is_empty() {
                empty_part(format_args!("contents[{i}].parts[{j}]"), violations);
            }
            estimate += part.estimate();
            j += 1;
        }
        if j == 0 {
            violations.add(format_args!("contents[{i}].parts"), "PARTS_EMPTY", "a content has at least one part");
        }
        i += 1;
    }
    if i == 0 {
        violations.add("contents", "CONTENTS_EMPTY", "at least one content is required: the prompt");
    }
    if let Some(j) = request.empty_system_part {
        empty_part(format_args!("system_instruction.parts[{j}]"), violations);
    }
    Ok(estimate)
}

fn empty_part(field: impl fmt::Display, violations: &mut Violations) {
    let allowed = "a part has one of text, inline_data, function_call and the other members of its data";
    violations.add(field, "PART_EMPTY", allowed);
}

/// The ranges that Gemini documents and that hold for every model.
fn numbers(config: &GenerationConfigView<'_>, violations: &mut Violations) {
    let mut check = |field: &str, ok: bool, allowed: &str| {
        if !ok {
            violations.add(format_args!("generation_config.{field}"), "NUMBER_OUT_OF_RANGE", allowed);
        }
    };
    // `contains` is false for NaN.
    check("temperature", config.temperature.is_none_or(|t| (0.0..=2.0).contains(&t)), "a temperature is from 0 to 2");
    check("top_p", config.top_p.is_none_or(|p| (0.0..=1.0).contains(&p)), "top_p is from 0 to 1");
    check(
        "candidate_count",
        config.candidate_count.is_none_or(|n| n >= 1),
        "at least 1 candidate is asked for; leave it out for 1",
    );
    check(
        "max_output_tokens",
        config.max_output_tokens.is_none_or(|n| n >= 1),
        "at least 1 token is asked for; leave it out for the model's own limit",
    );
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
