//! What callers have used, for the operator to look at.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use serde::Serialize;

use super::callers::{CallerUsage, Now};
use super::config::Config;
use crate::store::{Away, Store};

/// What each caller has used, and has left.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UsageReport {
    /// Whose figures these are.
    pub source: UsageSource,
    /// Whether the store should have had the figures of all gateways, and does not answer.
    pub store_is_away: bool,
    /// When the process has started, as RFC 3339 writes it.
    pub since: String,
    /// In the order of their names; none if callers are not known.
    pub callers: Vec<CallerUsage>,
}

/// The gateways whose figures a report has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum UsageSource {
    /// All that count in the same store.
    #[serde(rename = "all pods")]
    AllPods,
    /// This one, since its start.
    #[serde(rename = "this process")]
    ThisProcess,
}

/// Makes reports.
#[derive(Debug)]
pub struct UsageReports {
    config: Arc<ArcSwap<Config>>,
    store: Option<Store>,
    since: String,
}

impl UsageReports {
    /// The reports of a process that starts now.
    pub fn new(config: Arc<ArcSwap<Config>>, store: Option<Store>) -> Self {
        Self { config, store, since: Now::from(Instant::now()).to_rfc3339() }
    }

    /// The figures of this moment. If the store does not answer, they are those of this process.
    pub async fn report(&self) -> UsageReport {
        let mut callers = self.config.load().auth.usage(Instant::now().into());
        let counted = match &self.store {
            Some(store) => count_all_pods(store, &mut callers).await.map(|()| UsageSource::AllPods),
            None => Ok(UsageSource::ThisProcess),
        };
        UsageReport {
            source: counted.unwrap_or(UsageSource::ThisProcess),
            store_is_away: counted.is_err(),
            since: self.since.clone(),
            callers,
        }
    }
}

/// Replaces the figures by those of all gateways, or changes nothing.
async fn count_all_pods(store: &Store, callers: &mut [CallerUsage]) -> Result<(), Away> {
    let mut used = Vec::with_capacity(callers.len());
    for caller in &*callers {
        used.push(store.usage(&caller.caller).await?);
    }
    callers.iter_mut().zip(&used).for_each(|(caller, used)| caller.take_from_store(used));
    Ok(())
}
