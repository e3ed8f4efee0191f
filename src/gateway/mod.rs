//! The call: let in, check, forward, watch; whoever asks.
//!
//! A call is the wire bytes of a `GenerateContentRequest`. It is checked through a view that reads
//! only what the rules need, becomes JSON, goes upstream, and comes back as wire bytes.

mod admission;
mod call;
pub mod callers;
mod connection;
mod error;
mod heavy;
mod key;
mod record;
mod spending;
mod stopping;
mod stream;
mod translate;
mod watch;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::time::Instant;

pub use self::admission::Admission;
pub use self::call::{Arrival, Call, Message, Room};
use self::callers::Admitted;
pub use self::connection::{Connection, OpenCall};
pub use self::error::Error;
pub use self::heavy::Heavy;
pub use self::key::{ApiKey, InvalidKey, KeyOwner};
use self::record::Record;
pub use self::stopping::Stopping;
pub use self::stream::ResponseStream;
use self::translate::{Reading, Stop, prepare, translate_at_once, translate_beside};
use self::watch::Watch;
pub use self::watch::{Deadline, Limit, TimeLimits, TimedOut};
use crate::gemini::catalog::Catalog;
pub use crate::gemini::json::CallerSchema;
use crate::gemini::method::Method;
use crate::gemini::model::ModelName;
use crate::memory::{Held, Memory};
use crate::upstream::{Answer, Outgoing, Upstream};

/// The settings of this room that a running gateway can be given anew.
#[derive(Clone, Debug)]
pub struct Config {
    /// The key for callers that bring none.
    pub key: Option<ApiKey>,
    /// Who may call.
    pub auth: callers::Auth,
    /// How much of the connections and of the byte budget one caller may have where there are several, in percent from 1
    /// to 100.
    pub caller_share: u8,
    pub catalog: Catalog,
    /// Whether an image model that is asked without modalities is asked for TEXT and IMAGE.
    pub image_default_modalities: bool,
    /// How many elements the lists and maps of a request may have in all.
    pub max_elements: usize,
    pub limits: TimeLimits,
    /// How often a caller hears something while upstream is silent, unless it asks for another time. `None`: never.
    pub heartbeat: Option<Duration>,
}

impl Config {
    /// What one caller may take of `total`: all of it, unless several callers are known.
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
    /// Read once per call.
    pub config: Arc<ArcSwap<Config>>,
    pub admission: Arc<Admission>,
    pub memory: Arc<Memory>,
    /// Where long translations are done.
    pub heavy: Heavy,
    /// How many connections there may be, of all callers together.
    pub max_connections: usize,
}

/// The service, without its faces. One per worker, since its connections belong to one runtime.
#[derive(Debug)]
pub struct Gateway {
    shared: Shared,
    upstream: Upstream,
    stopping: Stopping,
}

impl Gateway {
    pub fn new(shared: Shared, upstream: Upstream, stopping: Stopping) -> Self {
        Self { shared, upstream, stopping }
    }

    /// The time limits of calls that begin now.
    pub fn time_limits(&self) -> TimeLimits {
        self.shared.config.load().limits
    }

    /// Lets a call in, or says why not: who calls, is the caller at a limit, is there room? Nothing of its message was
    /// read yet, so a caller at a limit costs the reading of a head.
    pub fn admit(&self, arrival: Arrival) -> Result<Call, Error> {
        let begun = Instant::now();
        if self.stopping.is_refusing() {
            return Err(Error::Stopping);
        }
        if let Some(error) = arrival.connection.refusal() {
            return Err(error);
        }
        let config = self.shared.config.load_full();
        let names = arrival.names.as_deref().unwrap_or_default();
        let key = if config.auth.reads_keys() { arrival.key? } else { None };
        let admitted = config.auth.authenticate(key, names, config.key.as_ref())?;
        arrival.rpc.admitted(admitted.caller.as_ref().map(|caller| &caller.name), arrival.previous_attempts);
        let deadline = Deadline::new(begun, arrival.timeout, config.limits.ceiling);
        if deadline.at <= begun {
            return Err(Error::TimedOut(deadline.limit));
        }
        let permit = admitted.enter(begun.into_std())?;
        self.shared.admission.check()?;
        if let Some(caller) = &admitted.caller {
            let most = || config.share_of(self.shared.max_connections);
            arrival.connection.claim(caller, most).map_err(callers::AuthError::from)?;
        }
        arrival.rpc.deadline(deadline.at.into_std());
        Ok(Call {
            watch: Watch::new(begun, deadline, config.limits, &self.stopping),
            held: self.hold(&admitted, &config),
            record: Record::new(arrival.rpc, permit),
            heartbeat: arrival.heartbeat.or(config.heartbeat),
            config,
            admitted,
            schema: arrival.schema,
            permit: None,
        })
    }

    /// An empty reservation of bytes, within the share of a caller that is known.
    fn hold(&self, admitted: &Admitted, config: &Config) -> Held {
        let memory = &self.shared.memory;
        match (&admitted.caller, config.share_of(memory.cap())) {
            (Some(caller), share) if share < memory.cap() => memory.hold_share(caller.bytes(), share),
            _ => memory.hold(),
        }
    }

    /// ResponseStream a call, the wire bytes of a `GenerateContentRequest`, with one message.
    pub async fn generate(&self, method: Method, mut call: Call, request: Bytes) -> Result<Message, Error> {
        let answer = self.answer(method, &mut call, request).await;
        call.record.end(answer.as_ref().err());
        answer
    }

    /// From here on the call is in flight.
    async fn begin(&self, call: &mut Call, request: Bytes, method: Method) -> Result<(ModelName, Bytes), Error> {
        call.permit = Some(self.shared.admission.admit()?);
        let heartbeat = call.heartbeat.filter(|_| method.is_streaming());
        call.watch.uploaded(heartbeat);
        prepare(call, &self.shared.heavy, request, method).await
    }

    async fn answer(&self, method: Method, call: &mut Call, request: Bytes) -> Result<Message, Error> {
        let (model, json) = self.begin(call, request, method).await?;
        let reading = Reading::new(call, method);
        let Call { watch, held, record, admitted, .. } = call;
        let (deadline, parent) = (watch.deadline(), record.parent());
        let outgoing = Outgoing { model: &model, method, key: admitted.key.expose(), json, deadline, parent };
        let theirs = |error| Error::upstream(error, admitted.owner);
        let answer = watch.within_limits(pin!(self.upstream.send(&outgoing, held))).await?;
        // The request is not needed again, and the answer may take long.
        drop(outgoing);
        let mut whole = answer.and_then(Answer::whole).map_err(theirs)?;
        while watch.within_limits(pin!(whole.more())).await?.map_err(theirs)? {
            watch.heard();
        }
        let (json, mut held) = whole.into_json().map_err(theirs)?;
        // Both are there until the message is whole.
        held.set(json.len() * 2);
        let answer = match translate_at_once(&json, &reading) {
            Err(Stop::Interrupted) => {
                let beside = translate_beside(self.shared.heavy.clone(), json, reading);
                watch.within_limits(pin!(beside)).await??
            }
            done => done.map_err(Stop::into_error)?,
        };
        record.saw(&answer);
        Ok(Message::only(held, answer.response.message))
    }

    /// ResponseStream a call with a stream of messages. The first is awaited here, so that a call that fails early fails as
    /// a whole; with heartbeats at most for the time of one.
    pub async fn stream(&self, method: Method, mut call: Call, request: Bytes) -> Result<ResponseStream, Error> {
        let (model, json) = self.begin(&mut call, request, method).await?;
        let (upstream, key) = (self.upstream.clone(), call.admitted.key.clone());
        let (parent, deadline) = (call.record.parent(), call.deadline());
        let mut held = call.held.take();
        let sending = async move {
            let outgoing = Outgoing { model: &model, method, key: key.expose(), json, deadline, parent };
            upstream.send(&outgoing, &mut held).await.map(Answer::events)
        };
        ResponseStream::begin(method, Box::pin(sending), call, self.shared.heavy.clone()).await
    }
}
