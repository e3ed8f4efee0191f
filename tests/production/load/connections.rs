//! The connections, which calls use in turn, and the caller's token.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::Failure;

/// A connection and the token for one call.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) channel: Channel,
    pub(super) token: Option<MetadataValue<Ascii>>,
}

#[derive(Debug)]
pub(super) struct Connections {
    endpoints: Vec<Endpoint>,
    token_file: Option<PathBuf>,
    open: Mutex<Vec<Channel>>,
    /// The number of calls so far, which selects the connection of the next one.
    turn: AtomicUsize,
    /// The number of connections that were replaced so far.
    renewed: AtomicUsize,
}

impl Connections {
    pub(super) fn new(
        urls: &[String],
        each: usize,
        ca: Option<&Path>,
        token_file: Option<PathBuf>,
    ) -> Result<Self, Failure> {
        let ca = ca.map(std::fs::read).transpose()?.map(Certificate::from_pem);
        let mut endpoints = Vec::new();
        for url in urls {
            let mut endpoint = Endpoint::from_shared(url.clone())?;
            if let Some(ca) = &ca {
                endpoint = endpoint.tls_config(ClientTlsConfig::new().ca_certificate(ca.clone()))?;
            }
            endpoints.push(endpoint);
        }
        let count = endpoints.len() * each;
        let (turn, renewed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let connections = Self { endpoints, token_file, open: Mutex::default(), turn, renewed };
        let open = (0..count).map(|number| connections.make(number)).collect();
        Ok(Self { open: Mutex::new(open), ..connections })
    }

    /// A connection to one of the endpoints, which connects on its first call.
    fn make(&self, number: usize) -> Channel {
        self.endpoints[number % self.endpoints.len()].connect_lazy()
    }

    /// The next connection, and the token as the file contains it now.
    pub(super) fn next(&self) -> Connection {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = open[self.turn.fetch_add(1, Ordering::Relaxed) % open.len()].clone();
        drop(open);
        let token = self.token_file.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
        Connection { channel, token: token.and_then(|token| format!("Bearer {}", token.trim()).parse().ok()) }
    }

    /// Replaces the oldest connection by a new one. The old one is closed once its calls have ended.
    pub(super) fn renew_next(&self) {
        let number = self.renewed.fetch_add(1, Ordering::Relaxed);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let place = number % open.len();
        open[place] = self.make(place);
    }
}
