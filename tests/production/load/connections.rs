//! Connections, which calls use in turn, and the caller's token.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// The connections of a client to all of its endpoints.
pub(super) struct Connections<C> {
    /// Makes a new one to an endpoint. It connects on its first call.
    make: Box<dyn Fn(usize) -> C + Send + Sync>,
    endpoints: usize,
    token_file: Option<PathBuf>,
    open: Mutex<Vec<C>>,
    /// The number of calls so far, which selects the connection of the next one.
    turn: AtomicUsize,
    /// The number of connections that were replaced so far.
    renewed: AtomicUsize,
}

impl<C: Clone> Connections<C> {
    /// `each` is the number of connections to each endpoint. `make` gets the number of the endpoint.
    pub(super) fn new(
        endpoints: usize,
        each: usize,
        token_file: Option<PathBuf>,
        make: impl Fn(usize) -> C + Send + Sync + 'static,
    ) -> Self {
        let open = Mutex::new((0..endpoints * each).map(|number| make(number % endpoints)).collect());
        let (turn, renewed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { make: Box::new(make), endpoints, token_file, open, turn, renewed }
    }

    /// The next connection, and the `authorization` for a call with the token as the file contains it now.
    pub(super) fn next(&self) -> (C, Option<String>) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = open[self.turn.fetch_add(1, Ordering::Relaxed) % open.len()].clone();
        drop(open);
        let token = self.token_file.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
        (connection, token.map(|token| format!("Bearer {}", token.trim())))
    }

    /// Replaces the oldest connection by a new one. The old one is closed once its calls have ended.
    pub(super) fn renew_next(&self) {
        let number = self.renewed.fetch_add(1, Ordering::Relaxed);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let place = number % open.len();
        open[place] = (self.make)(place % self.endpoints);
    }
}

impl<C> fmt::Debug for Connections<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}
