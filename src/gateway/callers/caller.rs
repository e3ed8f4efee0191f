//! The callers of an operator's file: what each is known by, and its limits.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use subtle::ConditionallySelectable as _;

use super::file::{self, CallersError};
use super::hash::TokenHash;
use super::limits::{CallerPermit, ConnectionPermit, Meter};
use super::pattern::Pattern;
use super::quotas::{CallerQuotas, Exceeded};
use super::san::San;
use super::window::Now;
use crate::gemini::model::ModelName;
use crate::memory::Pool;

/// A caller that the operator's file lists.
#[derive(Clone, Debug)]
pub struct Caller {
    /// 1 to 64 of `a-z 0-9 . _ -`, so it fits into logs, errors and metrics.
    pub name: Arc<str>,
    /// `None` allows every model.
    models: Option<Vec<Pattern>>,
    limits: CallerQuotas,
    /// Differs if the file's definition of this caller differs.
    pub(super) definition: u64,
    meter: Arc<Meter>,
}

/// All callers of the file.
#[derive(Debug, Default)]
pub struct Callers {
    callers: Vec<Arc<Caller>>,
    tokens: Vec<(TokenHash, u64)>,
    sans: HashMap<San, usize>,
}

impl Callers {
    /// Reads an operator's file (docs/callers.md).
    pub fn from_toml(text: &str) -> Result<Self, CallersError> {
        let origin = Instant::now();
        let mut callers = Self::default();
        for (index, row) in file::parse(text)?.into_iter().enumerate() {
            let definition = row.definition();
            callers.tokens.extend(row.tokens.into_iter().map(|hash| (hash, index as u64)));
            callers.sans.extend(row.sans.into_iter().map(|san| (san, index)));
            let meter = Arc::new(Meter::new(origin));
            let file::Row { name, models, limits, .. } = row;
            callers.callers.push(Arc::new(Caller { name, models, limits, definition, meter }));
        }
        Ok(callers)
    }

    /// These callers, with the usage of callers of the same name carried over.
    pub(super) fn carrying_usage_from(&self, previous: &Self) -> Self {
        let carrying = |caller: &Arc<Caller>| match previous.callers.iter().find(|known| known.name == caller.name) {
            Some(known) => Arc::new(Caller { meter: known.meter.clone(), ..Caller::clone(caller) }),
            None => caller.clone(),
        };
        let callers = self.callers.iter().map(carrying).collect();
        Self { callers, tokens: self.tokens.clone(), sans: self.sans.clone() }
    }

    /// The caller that has this token. It takes the same time for every token, known or not.
    pub fn by_token(&self, token: &str) -> Option<&Arc<Caller>> {
        let given = TokenHash::of(token);
        let mut found = u64::MAX;
        for (hash, index) in &self.tokens {
            found.conditional_assign(index, hash.is(&given));
        }
        self.callers.get(usize::try_from(found).ok()?)
    }

    /// The caller that has one of these names of a certificate (SAN), of the same kind and letter for letter. If they
    /// belong to several callers, it is that of the first name.
    pub fn by_san(&self, sans: &[San]) -> Option<&Arc<Caller>> {
        let index = sans.iter().find_map(|san| self.sans.get(san))?;
        self.callers.get(*index)
    }

    /// The callers, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Caller>> {
        self.callers.iter()
    }

    /// How many callers there are.
    pub fn count(&self) -> usize {
        self.callers.len()
    }

    /// The first caller that has no token.
    pub(super) fn without_token(&self) -> Option<&Caller> {
        self.lacking(|index| self.tokens.iter().any(|(_, of)| *of == index as u64))
    }

    /// The first caller that has no name of a certificate.
    pub(super) fn without_san(&self) -> Option<&Caller> {
        self.lacking(|index| self.sans.values().any(|of| *of == index))
    }

    fn lacking(&self, has: impl Fn(usize) -> bool) -> Option<&Caller> {
        self.callers.iter().enumerate().find(|(index, _)| !has(*index)).map(|(_, caller)| &**caller)
    }
}

impl Caller {
    /// Whether it may use certain models only.
    pub fn is_limited_to_models(&self) -> bool {
        self.models.is_some()
    }

    /// Whether it may use this model.
    pub fn allows(&self, model: &ModelName) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|pattern| pattern.fits(model)))
    }

    /// Whether what it may spend is limited.
    pub fn limits_cost(&self) -> bool {
        self.limits.limits_cost()
    }

    /// Whether it has limits of a day or a month.
    pub fn has_budgets(&self) -> bool {
        self.limits.has_budgets()
    }

    /// Its limits, and what it has used.
    pub(super) fn metered(&self) -> (&CallerQuotas, &Arc<Meter>) {
        (&self.limits, &self.meter)
    }

    /// The bytes that its calls have reserved, all together.
    pub(in crate::gateway) fn bytes(&self) -> &Arc<Pool> {
        &self.meter.bytes
    }

    /// Admits a call, or returns the limit that the caller is at. It takes a place in flight, checks that tokens are
    /// left and no budget is used up, and reserves one of the calls per minute.
    pub fn admit(&self, now: impl Into<Now>) -> Result<CallerPermit, Exceeded> {
        self.meter.admit(&self.limits, now.into()).map_err(|limit| limit.of(self.name.clone()))
    }

    /// Counts one more connection for the caller, of which it may have `most`.
    pub fn connect(&self, most: usize) -> Result<ConnectionPermit, Exceeded> {
        self.meter.connect(most).map_err(|limit| limit.of(self.name.clone()))
    }
}
