//! The limits of connections: how many, how long, and how much.

use std::time::Duration;

/// The limits of connections.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// Calls at once on one connection.
    pub streams: u32,
    /// Connections at once, of all workers; 0 means as many as memory and files allow.
    pub connections: usize,
    /// When a connection is asked to go, give or take a tenth; none means never.
    pub age: Option<Duration>,
    /// When a connection without an admitted call is asked to go; none means never.
    pub idle: Option<Duration>,
    /// How long its calls may run on after that: as long as any call may take.
    pub grace: Duration,
    /// How long calls may be underway when a connection is asked to go; those that come later are refused.
    pub goaway_flight: Duration,
    /// How long a connection that was asked to go may stay without an admitted call.
    pub idle_grace: Duration,
    /// Within this time a connection has to have sent its ClientHello, or the first bytes of HTTP/2 in plaintext.
    pub hello: Duration,
    /// Within this time a connection has to have sent the first bytes of HTTP/2, after TLS if that is spoken.
    pub first_bytes: Duration,
    /// How often a connection is asked whether it is there. One that has sent a part of a header block and no more
    /// cannot answer, since nothing may come between the parts (RFC 9113, 6.10), so this ends it as well.
    pub ping: Duration,
    /// How long the answer may take.
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
