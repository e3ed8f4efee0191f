//! The settings of the gateway, and what its workers share.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::admission::Admission;
use super::callers::Auth;
use super::error::Error;
use super::heavy::Heavy;
use super::limits::TimeLimits;
use super::load::Load;
use crate::gemini::catalog::Catalog;
use crate::gemini::method::Method;
use crate::memory::MemoryBudget;
use crate::store::Store;
use crate::upstream::Keys;

/// The settings that a reload replaces.
#[derive(Clone, Debug)]
pub struct Config {
    /// The keys for callers that bring none.
    pub keys: Option<Keys>,
    /// Who may call.
    pub auth: Auth,
    /// How much of the connections and of the byte budget one caller may have where there are several, in percent from
    /// 1 to 100.
    pub caller_share: u8,
    pub catalog: Catalog,
    /// The methods that upstream has in addition to those that generate content.
    pub upstream_methods: Vec<Method>,
    /// Whether a request to an image model that names no modalities asks for TEXT and IMAGE.
    pub image_default_modalities: bool,
    /// The most elements that the lists and maps of a request may have in all.
    pub max_elements: usize,
    pub limits: TimeLimits,
    /// How often a caller gets a heartbeat while upstream is silent, unless it asks for another time. `None`: never.
    pub heartbeat: Option<Duration>,
}

impl Config {
    /// An error unless calls of this method are answered: methods that generate content always are, and those that
    /// describe models too, since the catalogue can answer them.
    pub fn offers(&self, method: Method) -> Result<(), Error> {
        match method.generates() || method.describes_models() || self.upstream_methods.contains(&method) {
            true => Ok(()),
            false => Err(Error::NotOffered { method }),
        }
    }

    /// The part of `total` that one caller may have: all of it, unless several callers are known.
    pub fn share_of(&self, total: usize) -> usize {
        match usize::from(self.caller_share) {
            share @ 1..100 if self.auth.callers() > 1 => (total / 100 * share + total % 100 * share / 100).max(1),
            _ => total,
        }
    }
}

/// What the workers of one gateway share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Read once for each call.
    pub config: Arc<ArcSwap<Config>>,
    pub admission: Arc<Admission>,
    pub memory: Arc<MemoryBudget>,
    /// How much of these two is in use.
    pub load: Arc<Load>,
    /// Where long translations run.
    pub heavy: Heavy,
    /// The most connections of all callers together.
    pub max_connections: usize,
    /// Where gateways count limits together, if they do.
    pub store: Option<Store>,
}
