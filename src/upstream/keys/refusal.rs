//! Which errors of upstream are about a key, and how long a key rests after one.

use super::super::error::Error;
use super::pacific;

const SECOND: u64 = 1000;

/// The first rest of a key that is at a limit, if upstream does not say how long, in milliseconds. Each one in a row is
/// twice as long, up to the longest: a quota per minute is free again then.
const FIRST_LIMITED: u64 = SECOND;
const MAX_LIMITED: u64 = 60 * SECOND;
/// The same for a key that upstream refuses, and that an operator has to look at.
const FIRST_REFUSED: u64 = 60 * SECOND;
const MAX_REFUSED: u64 = 60 * 60 * SECOND;

/// Why a key rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It is at a limit (HTTP 429).
    Limited,
    /// A quota per day is used up, and begins again at midnight in California.
    UsedUp,
    /// Upstream refuses the key, its project or account (HTTP 401, or 400 and 403 with a reason that says so), or its
    /// credit is used up (402).
    Refused,
}

/// How a key rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rest {
    pub(super) why: Why,
    /// Whether only for the model of the request.
    pub(super) of_model: bool,
    /// How long, in milliseconds, if upstream says so.
    delay: Option<u64>,
}

impl Rest {
    /// The rest of a key after an error; `None` if the error is not about the key. What else upstream refuses, such as
    /// a model, a region or a prompt, it would refuse with every key.
    pub(super) fn after(error: &Error) -> Option<Self> {
        let Error::Refused(body) = error else { return None };
        let why = match body.status {
            402 => Why::Refused,
            _ if body.is_about_key() => Why::Refused,
            429 if body.daily_quota => Why::UsedUp,
            429 => Why::Limited,
            _ => return None,
        };
        let delay = body.retry_after.and_then(|delay| u64::try_from(delay.as_millis()).ok());
        let of_model = why != Why::Refused && body.quota_of_model;
        Some(Self { why, of_model, delay: delay.filter(|delay| *delay > 0) })
    }

    /// Until when the key rests, the `count`th time in a row. Both times are in milliseconds since the Unix epoch.
    pub(super) fn until(self, count: u32, now: u64) -> u64 {
        let doubled = |first: u64, max: u64| now + (first << count.saturating_sub(1).min(16)).min(max);
        match self.why {
            Why::Refused => doubled(FIRST_REFUSED, MAX_REFUSED),
            Why::Limited => self.delay.map_or_else(|| doubled(FIRST_LIMITED, MAX_LIMITED), |delay| now + delay),
            Why::UsedUp => {
                let midnight = pacific::next_midnight(i64::try_from(now / SECOND).unwrap_or_default());
                u64::try_from(midnight).unwrap_or_default() * SECOND
            }
        }
    }
}
