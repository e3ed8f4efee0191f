//! The settings of telemetry.

use std::sync::Arc;

use opentelemetry::KeyValue;

use super::content::Capture;
use super::names::attribute;
use super::propagation::Propagation;

/// What telemetry of calls depends on.
#[derive(Clone, Debug)]
pub struct Settings {
    pub propagation: Propagation,
    /// `gen_ai.provider.name`.
    pub provider: Arc<str>,
    /// The host of upstream.
    pub upstream_address: Arc<str>,
    pub upstream_port: u16,
    /// Which prompts and responses are recorded; `None` for none.
    pub capture: Option<Capture>,
}

impl Settings {
    /// `server.address` and `server.port` of requests to upstream.
    pub(super) fn upstream_labels(&self) -> [KeyValue; 2] {
        [
            KeyValue::new(attribute::SERVER_ADDRESS, self.upstream_address.clone()),
            KeyValue::new(attribute::SERVER_PORT, i64::from(self.upstream_port)),
        ]
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            propagation: Propagation::default(),
            provider: "gcp.gemini".into(),
            upstream_address: "".into(),
            upstream_port: 0,
            capture: None,
        }
    }
}
