//! Reads the file of callers. It is read value by value, because serde's errors repeat the value that they cannot use,
//! and here that may be a secret.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::hash::{InvalidHash, TokenHash};
use super::pattern::Pattern;
use super::quotas::{BUDGETS, CallerQuotas, Unit};
use super::san::San;
use crate::gemini::catalog::price::Cost;

/// The largest limit. A larger one is a typing mistake, and rates count in nanoseconds.
const MAX_LIMIT: u64 = 1_000_000_000;

/// The largest number of tokens or images of a day or month.
const MAX_BUDGET: u64 = 1_000_000_000_000;

/// The largest number of dollars of a day or month.
const MAX_DOLLARS: f64 = 1e6;

const UNKNOWN: &str = "there is no such field; there are token_sha256, san, models, calls_in_flight, calls_per_minute, tokens_per_minute, tokens_per_day, tokens_per_month, images_per_day, cost_per_day and cost_per_month";

/// Why a file of callers cannot be used. It repeats no value of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallersError {
    #[error("it names no callers; add one as [callers.NAME]")]
    Empty,
    #[error("line {line}: {problem}")]
    Line { line: usize, problem: String },
    #[error("callers.{caller}: {field} is missing, which every caller needs when GEMINI_GRPC_AUTH is {mode}")]
    Lacks { caller: Arc<str>, field: &'static str, mode: &'static str },
}

impl CallersError {
    pub(super) fn lacks(caller: &Arc<str>, field: &'static str, mode: &'static str) -> Self {
        Self::Lacks { caller: caller.clone(), field, mode }
    }
}

/// One caller of the file.
#[derive(Debug, Hash)]
pub(super) struct Row {
    pub(super) name: Arc<str>,
    pub(super) tokens: Vec<TokenHash>,
    pub(super) sans: Vec<San>,
    pub(super) models: Option<Vec<Pattern>>,
    pub(super) limits: CallerQuotas,
}

/// The rule of [`is_name`] as text.
pub const NAME_RULE: &str = "the name of a caller is 1 to 64 of a-z, 0-9, '.', '_' and '-'";

/// Whether a caller may have this name: it goes into logs, errors and metrics.
pub fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

/// The callers in the order of their names.
pub(super) fn parse(text: &str) -> Result<Vec<Row>, CallersError> {
    let at = |span: Range<usize>, problem: &str| {
        let before = text.get(..span.start).unwrap_or_default();
        CallersError::Line { line: before.matches('\n').count() + 1, problem: problem.to_owned() }
    };
    // The parser's message says what was expected, and repeats no value.
    let file = DeTable::parse(text)
        .map_err(|error| at(error.span().unwrap_or_default(), &error.message().trim().replace('\n', ", ")))?;
    let (mut rows, mut hashes, mut sans) = (Vec::new(), HashMap::new(), HashMap::new());
    for (key, value) in file.get_ref() {
        let callers = value.get_ref().as_table().filter(|_| key.get_ref() == "callers");
        let callers = callers.ok_or_else(|| at(key.span(), "nothing but [callers.NAME] is expected here"))?;
        for (name, value) in callers {
            let name_at = |problem: &str| at(name.span(), problem);
            if !is_name(name.get_ref()) {
                return Err(name_at(NAME_RULE));
            }
            let name: Arc<str> = name.get_ref().as_ref().into();
            let table = value.get_ref().as_table();
            let fields =
                table.ok_or_else(|| name_at(&format!("callers.{name} has to be a table: [callers.{name}]")))?;
            let row = row(&name, fields).map_err(|(span, problem)| at(span, &problem))?;
            for (other, field) in [
                (row.tokens.iter().find_map(|hash| hashes.insert(*hash, name.clone())), "token_sha256"),
                (row.sans.iter().find_map(|san| sans.insert(san.clone(), name.clone())), "san"),
            ] {
                if let Some(other) = other {
                    let problem = format!("callers.{name}.{field}: one of them is already that of callers.{other}");
                    return Err(name_at(&problem));
                }
            }
            rows.push(row);
        }
    }
    if rows.is_empty() { Err(CallersError::Empty) } else { Ok(rows) }
}

fn row(name: &Arc<str>, fields: &DeTable<'_>) -> Result<Row, (Range<usize>, String)> {
    let mut row =
        Row { name: name.clone(), tokens: Vec::new(), sans: Vec::new(), models: None, limits: CallerQuotas::default() };
    for (field, value) in fields {
        let given = value.get_ref();
        let done = match field.get_ref().as_ref() {
            "token_sha256" => texts(given, hash).map(|hashes| row.tokens = hashes),
            "san" => texts(given, san).map(|sans| row.sans = sans),
            "models" => texts(given, model).map(|models| row.models = Some(models)),
            "calls_in_flight" => number(given, MAX_LIMIT).map(|limit| row.limits.calls_in_flight = Some(limit)),
            "calls_per_minute" => number(given, MAX_LIMIT).map(|limit| row.limits.calls_per_minute = Some(limit)),
            "tokens_per_minute" => number(given, MAX_LIMIT).map(|limit| row.limits.tokens_per_minute = Some(limit)),
            other => match BUDGETS.iter().zip(&mut row.limits.budgets).find(|(known, _)| known.quota.name() == other) {
                Some((known, budget)) if known.unit == Unit::Cost => dollars(given).map(|limit| *budget = Some(limit)),
                Some((_, budget)) => number(given, MAX_BUDGET).map(|limit| *budget = Some(limit)),
                // `[callers.team.a]` is a table `a` of the caller `team`.
                None if given.is_table() => {
                    Err("there is no such field; a name with a dot is quoted: [callers.\"a.b\"]".into())
                }
                None => Err(UNKNOWN.into()),
            },
        };
        done.map_err(|problem: String| (field.span(), format!("callers.{name}.{}: {problem}", shown(field))))?;
    }
    Ok(row)
}

/// One text, or a list of some.
fn texts<T>(value: &DeValue<'_>, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    const EXPECTED: &str = "a text or a list of texts is expected, and at least one";
    let one = |value: &DeValue<'_>| parse(value.as_str().ok_or(EXPECTED)?);
    match value.as_array() {
        Some(list) if list.is_empty() => Err(EXPECTED.into()),
        Some(list) => list.iter().map(|value| one(value.get_ref())).collect(),
        None => one(value).map(|one| vec![one]),
    }
}

fn hash(text: &str) -> Result<TokenHash, String> {
    text.parse().map_err(|error: InvalidHash| error.to_string())
}

fn san(text: &str) -> Result<San, String> {
    match text.is_empty() || text.contains(|c: char| c.is_whitespace() || c == '*') {
        true => Err("a name (SAN) as the certificate has it is expected; there are no patterns".into()),
        false => Ok(San::listed(text)),
    }
}

fn model(text: &str) -> Result<Pattern, String> {
    Pattern::parse(text).ok_or_else(|| "the name of a model is expected; a * may stand at its end".into())
}

/// A whole number up to `max`.
fn number(value: &DeValue<'_>, max: u64) -> Result<NonZeroU64, String> {
    let number = value.as_integer().and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok());
    let number = number.filter(|number| *number <= max).and_then(NonZeroU64::new);
    number.ok_or_else(|| format!("a whole number from 1 to {max} is expected; leave it out for no limit"))
}

/// An amount of dollars, in billionths of one.
fn dollars(value: &DeValue<'_>) -> Result<NonZeroU64, String> {
    let digits = match value {
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str()),
        DeValue::Float(number) => Some(number.as_str()),
        _ => None,
    };
    let dollars =
        digits.and_then(|digits| digits.parse().ok()).and_then(|number| Cost::from_dollars(number, MAX_DOLLARS));
    let limit = dollars.and_then(|cost| NonZeroU64::new(cost.nanos()));
    limit.ok_or_else(|| {
        format!("a number of dollars, more than 0 and at most {MAX_DOLLARS}, is expected; leave it out for no limit")
    })
}

/// The name of a field, unless it may be a secret in the wrong place.
fn shown<'f>(field: &'f Spanned<DeString<'_>>) -> &'f str {
    let name = field.get_ref().as_ref();
    let is_word = name.len() <= 24 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if is_word || name == "token_sha256" { name } else { "…" }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
