//! Observes the connections that requests over HTTP/1 make. reqwest does not report whether a request made one.

use std::cell::Cell;
use std::pin::pin;

use crate::files::{self, Files};
use crate::telemetry::UpstreamContext;

tokio::task_local! {
    /// The request that is being sent, for the connection that it may have to make.
    static DIALING: Dialing;
}

struct Dialing {
    context: UpstreamContext,
    /// Whether the request has made a connection for itself.
    dialed: Cell<bool>,
}

/// Runs a request, and returns its result and whether it made a connection for itself.
pub(super) async fn while_dialing<T>(context: &UpstreamContext, request: impl Future<Output = T>) -> (T, bool) {
    let dialing = Dialing { context: context.clone(), dialed: Cell::new(false) };
    let mut sending = pin!(DIALING.scope(dialing, request));
    let sent = sending.as_mut().await;
    let dialed = sending.as_mut().take_value().is_some_and(|dialing| dialing.dialed.get());
    if dialed {
        context.dialed();
    }
    (sent, dialed)
}

/// Makes a connection, for reqwest. A request that waits for one has not reached upstream.
///
/// Some files of the process are reserved for other purposes. So no connection is made when only they are left, and one
/// that got such a file is closed again.
pub(super) async fn dial<C, E: From<std::io::Error>>(connecting: impl Future<Output = Result<C, E>>) -> Result<C, E> {
    // Outside of a request there is nothing to mark: the request may have taken another connection meanwhile.
    let _ = DIALING.try_with(|dialing| dialing.context.sending(false));
    let files = Files::of_process();
    if files.are_out() {
        return Err(files::out_of_files().into());
    }
    let _ = DIALING.try_with(|dialing| dialing.dialed.set(true));
    let connected = connecting.await.and_then(|connection| match files.are_out() {
        false => Ok(connection),
        true => Err(files::out_of_files().into()),
    });
    let _ = DIALING.try_with(|dialing| dialing.context.sending(connected.is_ok()));
    connected
}
