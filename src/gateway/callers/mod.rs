//! Who may call, and how much: the callers of an operator's file, known by token or certificate.
//!
//! What they use is counted in this process alone: two replicas allow twice as much.

mod auth;
mod changes;
mod credential;
mod file;
mod hash;
mod limits;
mod pattern;
mod rate;
mod san;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use subtle::ConditionallySelectable as _;

pub use self::auth::{Admitted, Auth, AuthError, KeyOwner};
pub use self::changes::CallerChanges;
pub use self::credential::Credential;
pub use self::file::{CallersError, NAME_RULE, is_name};
pub use self::hash::{InvalidHash, TokenHash};
pub use self::limits::{CallerPermit, ConnectionPermit, Exceeded, Quota};
use self::limits::{Limits, Meter};
use self::pattern::Pattern;
pub use self::san::San;
use crate::gemini::model::ModelName;
use crate::memory::Pool;

/// One that may call.
#[derive(Clone, Debug)]
pub struct Caller {
    /// 1 to 64 of `a-z 0-9 . _ -`, so it fits into logs, errors and metrics.
    pub name: Arc<str>,
    /// All models if there is none.
    models: Option<Vec<Pattern>>,
    limits: Limits,
    /// Differs if the file says something else of this caller.
    definition: u64,
    meter: Arc<Meter>,
}

/// All that may call.
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
    fn carrying_usage_from(&self, previous: &Self) -> Self {
        let carrying = |caller: &Arc<Caller>| match previous.callers.iter().find(|known| known.name == caller.name) {
            Some(known) => Arc::new(Caller { meter: known.meter.clone(), ..Caller::clone(caller) }),
            None => caller.clone(),
        };
        let callers = self.callers.iter().map(carrying).collect();
        Self { callers, tokens: self.tokens.clone(), sans: self.sans.clone() }
    }

    /// The caller that has this token. It takes as long whichever it is, and if there is none.
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
    fn without_token(&self) -> Option<&Caller> {
        self.lacking(|index| self.tokens.iter().any(|(_, of)| *of == index as u64))
    }

    /// The first caller that has no name of a certificate.
    fn without_san(&self) -> Option<&Caller> {
        self.lacking(|index| self.sans.values().any(|of| *of == index))
    }

    fn lacking(&self, has: impl Fn(usize) -> bool) -> Option<&Caller> {
        self.callers.iter().enumerate().find(|(index, _)| !has(*index)).map(|(_, caller)| &**caller)
    }
}

impl Caller {
    /// Whether it may use this model.
    pub fn allows(&self, model: &ModelName) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|pattern| pattern.fits(model)))
    }

    /// The bytes that its calls have reserved, all together.
    pub(in crate::gateway) fn bytes(&self) -> &Arc<Pool> {
        &self.meter.bytes
    }

    /// Lets a call begin, or says which limit the caller is at: takes a place in flight, looks whether there are tokens
    /// left, and reserves one of the calls per minute. It needs nothing but the head of a call.
    pub fn admit(&self, now: Instant) -> Result<CallerPermit, Exceeded> {
        self.meter.admit(&self.limits, now).map_err(|limit| limit.of(self.name.clone()))
    }

    /// Counts one more connection for the caller, of which it may have `most`.
    pub fn connect(&self, most: usize) -> Result<ConnectionPermit, Exceeded> {
        self.meter.connect(most).map_err(|limit| limit.of(self.name.clone()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
