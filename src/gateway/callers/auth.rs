//! How callers are identified, and whose key goes upstream.

use std::sync::Arc;
use std::time::Instant;

use super::caller::{Caller, Callers};
use super::credential::Credential;
use super::file::CallersError;
use super::limits::CallerPermit;
use super::quotas::Exceeded;
use super::report::CallerUsage;
use super::san::San;
use super::window::Now;
use crate::gemini::catalog::Catalog;
use crate::gemini::method::Method;
use crate::gemini::model::ModelName;
use crate::reason::reasons;
use crate::upstream::Keys;

/// How callers are known.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    /// They are not: a caller's own key goes upstream, otherwise the gateway's.
    #[default]
    Forward,
    /// By the token that they send in the place of a key; the gateway's key goes upstream.
    Tokens(Arc<Callers>),
    /// By a name (SAN) of their certificate; the gateway's key goes upstream.
    Certificates(Arc<Callers>),
}

/// Whose key goes upstream. It decides who has to act when upstream refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOwner {
    Caller,
    Gateway,
}

/// Who calls, and with which key the call goes upstream.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// None if callers are not known.
    pub caller: Option<Arc<Caller>>,
    /// The key that goes upstream, or those to choose from.
    pub keys: Keys,
    /// Whose key it is.
    pub owner: KeyOwner,
}

/// Why a caller is refused. It repeats no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error(
        "no API key: send it as x-goog-api-key or as authorization: Bearer, or give the gateway one of its own (MOUNTSEA_API_KEY)"
    )]
    NoKey,
    #[error(
        "no token: send the one that this gateway's operator gave you as x-goog-api-key or as authorization: Bearer"
    )]
    NoToken,
    #[error("the token is not known here, or no longer; ask this gateway's operator for a new one")]
    UnknownToken,
    #[error("no client certificate with a name (SAN): connect with one that this gateway's operator has listed")]
    NoCertificate,
    #[error("no name (SAN) of the client certificate is known here; ask this gateway's operator to list one")]
    UnknownCertificate,
    #[error("the caller {caller} may not use the model {model}; name another, or ask this gateway's operator for it")]
    ModelNotAllowed { caller: Arc<str>, model: ModelName },
    #[error(
        "the model {model} has no price here, and what the caller {caller} may spend is limited; name another, or ask this gateway's operator for it"
    )]
    ModelNotPriced { caller: Arc<str>, model: ModelName },
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
}

impl Auth {
    /// Callers known by token: each needs one.
    pub fn tokens(callers: Callers) -> Result<Self, CallersError> {
        match callers.without_token() {
            Some(caller) => Err(CallersError::lacks(&caller.name, "token_sha256", "tokens")),
            None => Ok(Self::Tokens(Arc::new(callers))),
        }
    }

    /// Callers known by certificate: each needs a name.
    pub fn certificates(callers: Callers) -> Result<Self, CallersError> {
        match callers.without_san() {
            Some(caller) => Err(CallersError::lacks(&caller.name, "san", "mtls")),
            None => Ok(Self::Certificates(Arc::new(callers))),
        }
    }

    /// The same, with the usage of callers of the same name carried over, so that a reload gives no caller a fresh
    /// quota.
    pub fn carrying_usage_from(&self, previous: &Self) -> Self {
        match (self, previous) {
            (Self::Tokens(now), Self::Tokens(previous)) => Self::Tokens(Arc::new(now.carrying_usage_from(previous))),
            (Self::Certificates(now), Self::Certificates(previous)) => {
                Self::Certificates(Arc::new(now.carrying_usage_from(previous)))
            }
            (now, _) => now.clone(),
        }
    }

    /// What each known caller has used.
    pub fn usage(&self, now: Now) -> Vec<CallerUsage> {
        match self {
            Self::Forward => Vec::new(),
            Self::Tokens(callers) | Self::Certificates(callers) => callers.usage(now),
        }
    }

    /// Whether credentials matter. A caller with a valid certificate needs none, so a malformed one is ignored.
    pub fn reads_credentials(&self) -> bool {
        !matches!(self, Self::Certificates(_))
    }

    /// How many callers are known; none in forward mode.
    pub fn callers(&self) -> usize {
        match self {
            Self::Forward => 0,
            Self::Tokens(callers) | Self::Certificates(callers) => callers.count(),
        }
    }

    /// Whether a caller has a limit of a day or a month.
    pub fn has_budgets(&self) -> bool {
        match self {
            Self::Forward => false,
            Self::Tokens(callers) | Self::Certificates(callers) => callers.iter().any(|caller| caller.has_budgets()),
        }
    }

    /// Identifies the caller by its credential and the names of its certificate, and chooses the key for upstream.
    /// `own` are the gateway's keys.
    pub fn authenticate(
        &self,
        credential: Option<Credential>,
        sans: &[San],
        own: Option<&Keys>,
    ) -> Result<Admitted, AuthError> {
        let caller = match self {
            Self::Forward => None,
            Self::Tokens(callers) => {
                let token = credential.as_ref().ok_or(AuthError::NoToken)?;
                Some(callers.by_token(token.token()).ok_or(AuthError::UnknownToken)?.clone())
            }
            Self::Certificates(_) if sans.is_empty() => return Err(AuthError::NoCertificate),
            Self::Certificates(callers) => Some(callers.by_san(sans).ok_or(AuthError::UnknownCertificate)?.clone()),
        };
        let (keys, owner) = match (credential, own) {
            // What a known caller sends is a token, or not needed: it is not a key of upstream.
            (Some(credential), _) if caller.is_none() => (Keys::One(credential.into_api_key()), KeyOwner::Caller),
            (_, Some(own)) => (own.clone(), KeyOwner::Gateway),
            // For known callers the configuration makes sure that there is a key.
            (_, None) => return Err(AuthError::NoKey),
        };
        Ok(Admitted { caller, keys, owner })
    }
}

impl Admitted {
    /// Takes the call's share of its caller's limits, before anything of its message is read. Callers that are not
    /// known have no limits.
    pub fn enter(&self, now: Instant) -> Result<Option<CallerPermit>, AuthError> {
        Ok(self.caller.as_ref().map(|caller| caller.admit(now)).transpose()?)
    }

    /// Whether the caller may use certain models only.
    pub fn is_limited_to_models(&self) -> bool {
        self.caller.as_ref().is_some_and(|caller| caller.is_limited_to_models())
    }

    /// Whether the caller may use the model, which is known once the message was read.
    pub fn allow(&self, model: &ModelName) -> Result<(), AuthError> {
        match &self.caller {
            Some(caller) if !caller.allows(model) => {
                Err(AuthError::ModelNotAllowed { caller: caller.name.clone(), model: model.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Whether the caller may call this method of the model: it may use the model, and the catalogue has its price if
    /// what the caller spends is limited and such calls cost anything.
    pub fn check_model(&self, model: &ModelName, method: Method, catalog: &Catalog) -> Result<(), AuthError> {
        self.allow(model)?;
        match &self.caller {
            Some(caller) if caller.limits_cost() && method.is_billed() && catalog.prices(model.as_str()).is_none() => {
                Err(AuthError::ModelNotPriced { caller: caller.name.clone(), model: model.clone() })
            }
            _ => Ok(()),
        }
    }
}

// One row for each variant, and one in docs/errors.md for each new reason.
reasons! {
    AuthError {
        Self::NoKey => Unauthenticated, "API_KEY_MISSING", Caller, Unsaid, Other;
        Self::NoToken => Unauthenticated, "TOKEN_MISSING", Caller, Unsaid, Other;
        Self::UnknownToken => Unauthenticated, "TOKEN_UNKNOWN", Caller, Unsaid, Other;
        Self::NoCertificate => Unauthenticated, "CERTIFICATE_MISSING", Caller, Unsaid, Other;
        Self::UnknownCertificate => Unauthenticated, "CERTIFICATE_UNKNOWN", Caller, Unsaid, Other;
        Self::ModelNotAllowed { .. } => PermissionDenied, "MODEL_NOT_ALLOWED", Caller, Unsaid, Other;
        Self::ModelNotPriced { .. } => PermissionDenied, "MODEL_NOT_PRICED", Caller, Unsaid, Other;
        // When to retry is in what it carries.
        Self::Exceeded(_) => ResourceExhausted, "CALLER_QUOTA_EXCEEDED", Caller, Soon, Other;
    } else {}
}
