//! A call without its protocol: admitted, checked, translated, sent to upstream, and answered.
//!
//! A face gives it the head of the request, then the message in one of the formats of [`Format`], and gets messages
//! back.

mod accounting;
mod admission;
mod call;
pub mod callers;
mod config;
mod connection;
mod error;
mod fallback;
mod format;
mod heavy;
mod limits;
mod load;
mod models;
mod payload;
mod spending;
mod stopping;
mod stream;
mod timer;
mod translate;
mod usage;
mod worker_load;

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use self::accounting::Accounting;
pub use self::admission::Admission;
pub use self::call::{Call, CallRequest, Message, UploadMemory};
use self::callers::Admitted;
pub use self::callers::{Credential, KeyOwner};
pub use self::config::{Config, Shared};
pub use self::connection::{Connection, OpenCall};
pub use self::error::Error;
use self::fallback::Models;
pub use self::format::Format;
use self::format::Stop;
pub use self::heavy::Heavy;
pub use self::limits::{Deadline, Limit, TimeLimits, TimedOut};
pub use self::load::{Load, LoadReport, LoadSums};
pub use self::models::ModelsQuery;
pub use self::stopping::Stopping;
pub use self::stream::ResponseStream;
use self::timer::CallTimer;
use self::translate::{Reading, prepare, translate_at_once, translate_on_another_thread};
pub use self::usage::{UsageReport, UsageReports, UsageSource};
pub use self::worker_load::{Weight, WorkerLoad};
pub use crate::gemini::json::CallerSchema;
use crate::gemini::method::Method;
use crate::memory::Reservation;
use crate::store::Link;
use crate::upstream::{Answer, Outgoing, Upstream};
pub use crate::upstream::{ApiKey, InvalidKey, Keys, MAX_KEYS, NamedKey, SdkLabel};

/// The service without its faces. Each worker has its own, because its connections to upstream belong to one runtime.
#[derive(Debug)]
pub struct Gateway {
    shared: Shared,
    upstream: Upstream,
    stopping: Stopping,
    /// The worker's connection to the store of limits, if there is one.
    link: Option<Link>,
}

impl Gateway {
    pub fn new(shared: Shared, upstream: Upstream, stopping: Stopping, link: Option<Link>) -> Self {
        Self { shared, upstream, stopping, link }
    }

    /// The time limits of calls that begin now.
    pub fn time_limits(&self) -> TimeLimits {
        self.shared.config.load().limits
    }

    /// The load of the process.
    pub fn load(&self) -> &Arc<Load> {
        &self.shared.load
    }

    /// An error if calls of this method are not answered. Each call checks it again; a face that checks it first refuses
    /// the call before its message is read.
    pub fn offers(&self, method: Method) -> Result<(), Error> {
        self.shared.config.load().offers(method)
    }

    /// Admits a call, or returns why not: who calls, whether that caller is at a limit, and whether the gateway is.
    /// Nothing of the message was read yet, so a refused call costs no more than reading its head.
    pub fn admit(&self, request: CallRequest) -> Result<Call, Error> {
        let begun = Instant::now();
        if self.stopping.is_refusing() && !request.connection.has_last_call() {
            return Err(Error::Stopping);
        }
        if let Some(error) = request.connection.refusal() {
            return Err(error);
        }
        let config = self.shared.config.load_full();
        let names = request.names.as_deref().unwrap_or_default();
        let credential = if config.auth.reads_credentials() { request.credential? } else { None };
        let admitted = config.auth.authenticate(credential, names, config.keys.as_ref())?;
        request.span.admitted(admitted.caller.as_ref().map(|caller| &caller.name), request.previous_attempts);
        let deadline = Deadline::new(begun, request.timeout, config.limits.ceiling);
        if deadline.at <= begun {
            return Err(Error::TimedOut(deadline.limit));
        }
        // Where gateways count together, `enter` asks for the permit.
        let permit = if self.link.is_some() { None } else { admitted.enter(begun.into_std())? };
        self.shared.admission.check()?;
        if let Some(caller) = &admitted.caller {
            let most = || config.share_of(self.shared.max_connections);
            request.connection.claim(caller, most).map_err(callers::AuthError::from)?;
        }
        request.span.deadline(deadline.at.into_std());
        Ok(Call {
            timer: CallTimer::new(begun, deadline, config.limits, &self.stopping),
            reserved: self.hold(&admitted, &config),
            accounting: Accounting::new(request.span, permit),
            heartbeat: request.heartbeat.or(config.heartbeat),
            config,
            admitted,
            format: request.format,
            sdk: request.sdk,
            permit: None,
        })
    }

    /// Asks the store of limits whether the caller of an admitted call is at a limit, where gateways count together.
    pub async fn enter(&self, call: &mut Call) -> Result<(), Error> {
        if let (Some(link), Some(caller)) = (&self.link, &call.admitted.caller) {
            // In a box, so that without a store a call needs no memory for it.
            let permit = Box::pin(caller.admit_shared(link, std::time::Instant::now().into())).await;
            call.accounting.caller = Some(permit.map_err(callers::AuthError::from)?);
        }
        Ok(())
    }

    /// An empty reservation of bytes, within the share of a caller that is known.
    fn hold(&self, admitted: &Admitted, config: &Config) -> Reservation {
        let memory = &self.shared.memory;
        match (&admitted.caller, config.share_of(memory.cap())) {
            (Some(caller), share) if share < memory.cap() => memory.reserve_share(caller.bytes(), share),
            _ => memory.reserve(),
        }
    }

    /// Answers a call with one message. `request` is the caller's message.
    pub async fn unary(&self, method: Method, mut call: Call, request: Bytes) -> Result<Message, Error> {
        let answer = self.answer(method, &mut call, request).await;
        call.end(answer.as_ref().err());
        answer
    }

    /// Counts the call as in flight, and checks and translates its request.
    async fn begin(&self, call: &mut Call, request: Bytes, method: Method) -> Result<(Models, Bytes), Error> {
        call.permit = Some(self.shared.admission.admit()?);
        let heartbeat = call.heartbeat.filter(|_| method.is_streaming());
        call.timer.uploaded(heartbeat);
        prepare(call, &self.shared.heavy, request, method).await
    }

    async fn answer(&self, method: Method, call: &mut Call, request: Bytes) -> Result<Message, Error> {
        let (models, json) = self.begin(call, request, method).await?;
        let mut reading = Reading::new(call, method);
        let Call { timer, reserved, accounting, admitted, sdk, config, .. } = call;
        let (deadline, context) = (timer.deadline(), accounting.upstream_context());
        let ((target, has_alternative), keys, sdk) = (models.first(method), &admitted.keys, sdk.as_ref());
        let outgoing = Outgoing { target, keys, json, sdk, deadline, has_alternative, context };
        let theirs = |error| Error::upstream(error, admitted.owner);
        // The request is dropped with its future: it is not needed again, and its response may take long.
        let answer = timer.within_limits(pin!(models.send(&self.upstream, outgoing, reserved))).await?;
        accounting.answered(&config.catalog);
        let answer = answer.map_err(theirs)?;
        reading.sent_with(answer.key());
        let mut body = answer.unary().map_err(theirs)?;
        while timer.within_limits(pin!(body.read_chunk())).await?.map_err(theirs)? {
            timer.upstream_progress();
        }
        let (json, mut reserved) = body.into_json().map_err(theirs)?;
        // The JSON and the message are both in memory until the message is complete.
        reserved.resize(reading.memory(json.len()));
        let piece = match translate_at_once(&json, &reading) {
            Err(Stop::Interrupted) => {
                let translation = translate_on_another_thread(self.shared.heavy.clone(), json, reading);
                timer.within_limits(pin!(translation)).await??
            }
            done => done.map_err(Stop::into_error)?,
        };
        accounting.record_chunk(&piece);
        Ok(Message::only(reserved, piece.into_payload()))
    }

    /// Answers a call with a stream of messages. It returns when the first message is there, or when a heartbeat is
    /// due, so that a call that fails before is not a stream at all.
    pub async fn stream(&self, method: Method, mut call: Call, request: Bytes) -> Result<ResponseStream, Error> {
        let (models, json) = self.begin(&mut call, request, method).await?;
        let (upstream, keys, sdk) = (self.upstream.clone(), call.admitted.keys.clone(), call.sdk.take());
        let (context, deadline) = (call.accounting.upstream_context(), call.deadline());
        let mut reserved = call.reserved.take();
        let sending = async move {
            let (target, has_alternative) = models.first(method);
            let outgoing =
                Outgoing { target, keys: &keys, json, sdk: sdk.as_ref(), deadline, has_alternative, context };
            models.send(&upstream, outgoing, &mut reserved).await.map(Answer::events)
        };
        ResponseStream::begin(method, Box::pin(sending), call, self.shared.heavy.clone()).await
    }
}
