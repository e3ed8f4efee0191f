//! The keys that one call uses, one after the other.

use std::sync::Arc;
use std::time::Duration;

use super::super::error::Error;
use super::super::key::ApiKey;
use super::lease::KeyLease;
use super::pool::{KeyPool, NoKey, Used};
use super::refusal::{Rest, Why};
use super::{Keys, now};
use crate::gemini::model::ModelName;
use crate::telemetry::{KeyOutcome, KeyRest, UpstreamContext};

/// Picks the key for each request of a call.
pub(in crate::upstream) struct KeyPick<'a> {
    keys: &'a Keys,
    model: Option<&'a ModelName>,
    context: &'a UpstreamContext,
    /// The keys that upstream has refused in this call.
    used: Used,
    /// Why the one before was refused.
    refused: Option<Error>,
}

/// The key of one request.
pub(in crate::upstream) enum Picked<'a> {
    One(&'a ApiKey),
    Pooled(usize, KeyLease),
}

impl<'a> KeyPick<'a> {
    pub(in crate::upstream) fn new(keys: &'a Keys, model: Option<&'a ModelName>, context: &'a UpstreamContext) -> Self {
        Self { keys, model, context, used: Used::default(), refused: None }
    }

    /// The key for the next request. If the call has none left, the error for its caller.
    pub(in crate::upstream) fn next(&mut self) -> Result<Picked<'a>, Error> {
        let pool = match self.keys {
            Keys::One(key) => return Ok(Picked::One(key)),
            Keys::Pool(pool) => pool,
        };
        let (now, model) = (now(), self.model.map_or("", ModelName::as_str));
        match pool.choose(model, self.used, now, |below| fastrand::u32(..below)) {
            Ok((place, lease)) => {
                if let Some(error) = self.refused.take() {
                    self.context.retried(error.kind());
                }
                Ok(Picked::Pooled(place, lease))
            }
            Err(none) => Err(none.error(self.refused.take(), now)),
        }
    }

    /// Upstream has taken the request.
    pub(in crate::upstream) fn answered(&self, picked: Picked<'_>) -> Option<KeyLease> {
        let Picked::Pooled(_, mut lease) = picked else { return None };
        if lease.pooled().state.answered(self.model.map_or("", ModelName::as_str), now()) {
            self.context.key_is_back(lease.name());
        }
        lease.tried();
        self.context.key_used(lease.name(), KeyOutcome::Ok);
        Some(lease)
    }

    /// The request has failed. If that is for its key, the key rests and the call may go on with another one: then
    /// `None`, otherwise the error. Nothing was generated, because upstream refused the request as a whole.
    pub(in crate::upstream) fn failed(&mut self, picked: Picked<'_>, error: Error) -> Option<Error> {
        let Picked::Pooled(place, mut lease) = picked else { return Some(error) };
        let rest = Rest::after(&error);
        self.context.key_used(lease.name(), rest.map_or(KeyOutcome::Failed, |rest| rest.why.outcome()));
        let (Keys::Pool(pool), Some(rest)) = (self.keys, rest) else { return Some(error) };
        if !pool.has_choice() {
            return Some(error);
        }
        self.rest(pool, &lease, rest);
        lease.tried();
        self.used = self.used.with(place);
        self.refused = Some(error);
        None
    }

    fn rest(&self, pool: &KeyPool, lease: &KeyLease, rest: Rest) {
        let (now, model) = (now(), self.model.map(ModelName::shared));
        let (until, count) = pool.rest(lease.pooled(), rest, model, now);
        if let Some(count) = count {
            self.context.key_rests(&KeyRest {
                key: lease.name(),
                model: model.filter(|_| rest.of_model),
                outcome: rest.why.outcome(),
                count,
                rest: Duration::from_millis(until.saturating_sub(now)),
            });
        }
    }
}

impl Picked<'_> {
    /// The key itself.
    pub(in crate::upstream) fn key(&self) -> &ApiKey {
        match self {
            Self::One(key) => key,
            Self::Pooled(_, lease) => lease.key(),
        }
    }

    /// The name of a key of the pool.
    pub(in crate::upstream) fn name(&self) -> Option<&Arc<str>> {
        match self {
            Self::One(_) => None,
            Self::Pooled(_, lease) => Some(lease.name()),
        }
    }
}

impl Why {
    fn outcome(self) -> KeyOutcome {
        match self {
            Self::Limited => KeyOutcome::Limited,
            Self::UsedUp => KeyOutcome::UsedUp,
            Self::Refused => KeyOutcome::Refused,
        }
    }
}

impl NoKey {
    /// The error for a caller. `last` is what upstream said in the same call, with the last key.
    fn error(self, last: Option<Error>, now: u64) -> Error {
        let after = Duration::from_millis(self.until.saturating_sub(now));
        match last {
            Some(Error::Refused(mut body)) if !(body.is_about_key() || body.status == 402) => {
                // Another key may be free sooner than this one.
                (body.retry_after, body.daily_quota) = (Some(after), false);
                Error::Refused(body)
            }
            Some(error) if self.all_refused => error,
            None if self.all_refused => Error::KeysRefused,
            _ => Error::KeysResting { after },
        }
    }
}
