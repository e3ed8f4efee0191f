//! The limits of connections: how many, how long, and how much.

use std::time::Duration;

/// The limits of connections.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// Calls at once on one connection.
    pub streams: u32,
    /// Connections at once, of all workers; 0 means as many as memory and files allow.
    pub connections: usize,
    /// The age at which a connection gets GOAWAY, give or take a tenth; `None` means never.
    pub age: Option<Duration>,
    /// How long a connection may be without an admitted call before it gets GOAWAY; `None` means never.
    pub idle: Option<Duration>,
    /// The same for an HTTP/1 connection that has had one. It cannot be asked to go: what its client sends while it is
    /// being closed is lost, and most clients repeat no POST.
    pub http1_idle: Option<Duration>,
    /// How long its calls may run on after GOAWAY: as long as any call may take.
    pub grace: Duration,
    /// How long after GOAWAY new calls are still served, because they were on their way; later ones are refused. When the
    /// server stops, a connection that was accepted more recently than that may still send its first bytes.
    pub goaway_flight: Duration,
    /// How long a connection may stay after GOAWAY without an admitted call.
    pub idle_grace: Duration,
    /// How long the ClientHello may take, or the HTTP/2 preface in plaintext.
    pub hello: Duration,
    /// How long the HTTP/2 preface may take, with the TLS handshake.
    pub first_bytes: Duration,
    /// The interval of HTTP/2 pings. A client that has sent only a part of a header block cannot answer, since nothing may
    /// come between the parts (RFC 9113, 6.10), so pings end such a connection too.
    pub ping: Duration,
    /// How long the answer to a ping may take.
    pub ping_timeout: Duration,
}

impl ConnectionLimits {
    /// The age of one connection: ±10 %, so that connections opened together do not reconnect together (gRFC A9).
    pub(super) fn jittered_age(&self) -> Option<Duration> {
        Some(self.age?.mul_f64(0.9 + 0.2 * fastrand::f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_differ_by_a_tenth_at_most() {
        let limits = ConnectionLimits {
            streams: 1,
            connections: 1,
            age: Some(Duration::from_secs(100)),
            idle: None,
            http1_idle: None,
            grace: Duration::ZERO,
            goaway_flight: Duration::ZERO,
            idle_grace: Duration::ZERO,
            hello: Duration::ZERO,
            first_bytes: Duration::ZERO,
            ping: Duration::ZERO,
            ping_timeout: Duration::ZERO,
        };
        let ages: Vec<_> = (0..100).filter_map(|_| limits.jittered_age()).collect();
        assert!(ages.iter().all(|age| (90.0..=110.0).contains(&age.as_secs_f64())), "{ages:?}");
        assert!(ages.iter().any(|age| age != &ages[0]));
        assert_eq!(ConnectionLimits { age: None, ..limits }.jittered_age(), None);
    }
}
