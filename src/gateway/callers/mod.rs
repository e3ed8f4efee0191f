//! Who may call, and how much: callers are known by a token or a certificate, and each has limits of its own.
//!
//! Usage is counted in this process alone, so two replicas allow twice as much, unless there is a store where all
//! gateways count together.

mod auth;
mod caller;
mod changes;
mod credential;
mod file;
mod hash;
mod limits;
mod pattern;
mod pods;
mod quotas;
mod rate;
mod report;
mod san;
mod shared;
mod usage;
mod window;

pub use self::auth::{Admitted, Auth, AuthError, KeyOwner};
pub use self::caller::{Caller, Callers};
pub use self::changes::CallerChanges;
pub use self::credential::Credential;
pub use self::file::{CallersError, NAME_RULE, is_name};
pub use self::hash::{InvalidHash, TokenHash};
pub use self::limits::{CallerPermit, ConnectionPermit, Spent};
pub use self::quotas::{Exceeded, Quota};
pub use self::report::{Amount, CallerUsage, LimitUsage};
pub use self::san::San;
pub use self::usage::{Amounts, CallUsage, ModelUsage};
pub use self::window::{Now, Rfc3339};

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
