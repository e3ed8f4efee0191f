//! Makes one call after the other.

use std::sync::atomic::Ordering::Relaxed;

use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;

use super::answer::Answer;
use super::connection::{self, Http1, Http2};
use super::{Counters, Job, Protocol, TargetArgs};
use crate::clock;

/// A client that makes one call at a time, on a connection that gRPC's callers share.
pub struct Caller {
    connection: Connection,
    target: TargetArgs,
    /// The number of the connection, from 0.
    pub number: usize,
    /// Whether an answer had the expected content. Only the first is searched, since that takes long.
    is_checked: bool,
}

enum Connection {
    Http1(Option<Http1>),
    Http2(Http2),
}

#[derive(Default)]
pub struct Outcome {
    /// From the start of the call to the first byte of its answer, in nanoseconds.
    pub first_ns: u64,
    /// From the sending of a chunk to its arrival, in nanoseconds, for each chunk that says when it was sent.
    pub chunks_ns: Vec<u64>,
}

/// One caller for each connection.
pub async fn connect(target: &TargetArgs, connections: usize) -> Result<Vec<Caller>, String> {
    let mut callers = Vec::with_capacity(connections);
    for number in 0..connections {
        callers.push(Caller::connect(target, number).await?);
    }
    Ok(callers)
}

/// Adds callers until there are this many, which share the connections of those that there are.
pub fn share(mut callers: Vec<Caller>, wanted: usize) -> Vec<Caller> {
    let connections = callers.len();
    for number in connections..wanted {
        callers.extend(callers[number % connections].sharing());
    }
    callers
}

impl Caller {
    pub async fn connect(target: &TargetArgs, number: usize) -> Result<Self, String> {
        let connection = match target.protocol {
            Protocol::Grpc => Connection::Http2(connection::http2(target).await?),
            _ => Connection::Http1(Some(connection::http1(target).await?)),
        };
        Ok(Self { connection, target: target.clone(), number, is_checked: false })
    }

    /// A caller on the same connection, if the protocol can share one.
    fn sharing(&self) -> Option<Self> {
        let Connection::Http2(sender) = &self.connection else { return None };
        let connection = Connection::Http2(sender.clone());
        Some(Self { connection, target: self.target.clone(), number: self.number, is_checked: false })
    }

    pub async fn call(&mut self, job: &Job, counters: &Counters, on_first: impl FnOnce()) -> Result<Outcome, String> {
        let start = clock::now_ns();
        let response = self.send(job).await?;
        let (head, mut body) = response.into_parts();
        let mut answer = Answer::new(job, &head, !self.is_checked);
        let mut on_first = Some(on_first);
        let mut outcome = Outcome::default();
        while let Some(frame) = body.frame().await {
            match frame.map_err(|error| format!("the answer broke off: {error}"))?.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => {
                    if let Some(on_first) = on_first.take() {
                        outcome.first_ns = clock::now_ns() - start;
                        on_first();
                    }
                    counters.bytes.fetch_add(data.len() as u64, Relaxed);
                    counters.messages.fetch_add(answer.data(&data, &mut outcome.chunks_ns), Relaxed);
                }
                Err(frame) => frame.trailers_ref().into_iter().for_each(|trailers| answer.trailers(trailers)),
            }
        }
        answer.end()?;
        self.is_checked = true;
        counters.calls.fetch_add(1, Relaxed);
        Ok(outcome)
    }

    async fn send(&mut self, job: &Job) -> Result<Response<Incoming>, String> {
        match &mut self.connection {
            Connection::Http2(sender) => {
                if sender.is_closed() {
                    *sender = connection::http2(&self.target).await?;
                }
                sender.ready().await.map_err(|error| error.to_string())?;
                sender.send_request(job.request()).await.map_err(|error| error.to_string())
            }
            Connection::Http1(slot) => {
                // A server may have closed a connection that it had kept open.
                let is_open = match slot.as_mut() {
                    Some(sender) => sender.ready().await.is_ok(),
                    None => false,
                };
                let mut sender = match slot.take() {
                    Some(sender) if is_open => sender,
                    _ => connection::http1(&self.target).await?,
                };
                let response = sender.send_request(job.request()).await.map_err(|error| error.to_string());
                *slot = Some(sender);
                response
            }
        }
    }
}
