//! A request against the rules: every violation at once, each with its field and what is allowed.
//!
//! Only what is certain is checked. What upstream may come to allow is upstream's to judge.

use std::fmt;

use super::catalog::{Catalog, ImageModel};
use super::image;
use super::model::ModelName;
use super::steps::Steps;
use super::view::{Estimate, GenerationConfigView, PartView, ReadError, RequestView};

/// More violations than this help nobody, and an error has to fit into headers.
const MAX_VIOLATIONS: usize = 16;

/// The settings of the rules.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether an image model that is asked without modalities is asked for TEXT and IMAGE.
    pub image_default_modalities: bool,
}

/// A request that breaks no rule.
#[derive(Debug)]
pub struct Valid<'c> {
    pub name: ModelName,
    /// The model's row, if it makes pictures.
    pub image_model: Option<&'c ImageModel>,
    /// Whether TEXT and IMAGE have to be asked for in the caller's place.
    pub default_modalities: bool,
    /// The text and the pictures that it sends.
    pub estimate: Estimate,
}

/// A rule that the request breaks. It quotes names and settings, never a prompt or a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// In proto names: `contents[0].parts[2].inline_data.data`.
    pub field: String,
    /// What is wrong and what is allowed, as a sentence.
    pub description: String,
    /// A name for programs, in SCREAMING_SNAKE.
    pub reason: &'static str,
}

/// All the rules that a request breaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    list: Vec<Violation>,
    /// How many more there were than are listed.
    more: usize,
}

impl Violations {
    /// Texts are made of `field` and `description` only if the violation is kept: there may be one for each part.
    pub(super) fn add(&mut self, field: impl fmt::Display, reason: &'static str, description: impl fmt::Display) {
        if self.list.len() == MAX_VIOLATIONS {
            self.more += 1;
            return;
        }
        self.list.push(Violation { field: field.to_string(), description: description.to_string(), reason });
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Violation> {
        self.list.iter()
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The whole list is in the details; a client that shows only the message learns how to begin.
        match (&self.list[..], self.more) {
            ([], _) => f.write_str("the request breaks no rule"),
            ([only], 0) => write!(f, "{}: {}", only.field, only.description),
            ([first, ..], more) => {
                let count = self.list.len() + more;
                write!(f, "the request breaks {count} rules; the first is {}: {}", first.field, first.description)
            }
        }
    }
}

impl std::error::Error for Violations {}

/// Why a request is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidateError {
    #[error(transparent)]
    Violations(#[from] Violations),
    /// The contents are not readable, or reading them was interrupted.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Checks a request.
pub fn validate<'c>(
    request: &RequestView<'_>,
    catalog: &'c Catalog,
    options: Options,
    steps: &mut Steps<'_>,
) -> Result<Valid<'c>, ValidateError> {
    let mut violations = Violations::default();
    let name = ModelName::parse(request.model);
    if let Err(error) = &name {
        violations.add("model", "MODEL_INVALID", error);
    }
    let estimate = contents(request, &mut violations, steps)?;
    let config = request.generation_config.as_ref();
    if let Some(config) = config {
        numbers(config, &mut violations);
    }
    let image_model = name.as_ref().ok().and_then(|name| catalog.find(name));
    if let Some(model) = image_model {
        image::check(model, config, options, &mut violations);
    }
    match name {
        Ok(name) if violations.list.is_empty() => {
            let asked = config.is_some_and(|config| !config.response_modalities.is_empty());
            // Upstream has image models that the catalogue does not know, and wants the modalities named for these too.
            let makes_pictures = image_model.is_some() || name.names_an_image_model();
            let default_modalities = makes_pictures && !asked && options.image_default_modalities;
            Ok(Valid { name, image_model, default_modalities, estimate })
        }
        _ => Err(violations.into()),
    }
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
