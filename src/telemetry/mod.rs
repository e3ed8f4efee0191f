//! Telemetry of calls: spans, metrics and the access log. It knows no handler and no error type of the gateway; it is
//! given codes, names and numbers.
//!
//! A call has three guards, one inside the other. Each records what it knows when it is dropped: [`CallSpan`] is the
//! call as its caller sees it, [`Operation`] what was asked of the model, [`Attempt`] one request to upstream. They use
//! the API of OpenTelemetry and not `tracing`, which builds the attributes of a span before it is known whether it is
//! sampled.

mod access;
mod attempt;
mod batches;
mod call;
mod content;
mod context;
mod export;
mod facts;
mod instrument;
mod keys;
mod metrics;
pub mod names;
mod operation;
mod otlp;
mod peer;
mod pipeline;
mod propagation;
mod recorder;
mod series;
mod settings;
mod usage;

pub use self::attempt::Attempt;
pub use self::call::{CallHead, CallSpan};
pub use self::content::Capture;
pub use self::context::UpstreamContext;
pub use self::facts::{CallEnd, CallMethod, CallPhase, CallProtocol, EstimatedTokens, HttpRequest, Outcome};
pub use self::keys::{KeyOutcome, KeyRest};
pub use self::operation::{ModelRequest, Operation};
pub use self::otlp::{Otlp, OtlpTls, Protocol, SpanBatches};
pub use self::peer::PeerAddress;
pub use self::pipeline::{Config, Error, Exporters, Pipelines};
pub use self::propagation::Propagation;
pub use self::recorder::Telemetry;
pub use self::series::Series;
pub use self::settings::Settings;
