//! Binds listeners and accepts connections.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::open::{OpenConnections, Place};
use crate::gateway::Weight;

/// The most connections that wait in the kernel to be accepted: what Linux allows by default (net.core.somaxconn).
const MAX_BACKLOG: i32 = 4096;
/// How long to wait when the process has no descriptor left: each accept would fail at once.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);
/// Warn about the connection limit at most this often.
const WARN_INTERVAL: Duration = Duration::from_secs(60);
/// TCP keepalive finds clients that vanished before their first HTTP/2 bytes; after that, pings do.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// A listener on an address. Port 0 finds a free port.
///
/// It does not share its address (SO_REUSEPORT): a second server would take half of the connections of a first, unnoticed.
pub(super) fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let address = in_a_known_family(address, socket);
    let socket = socket(address)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(MAX_BACKLOG)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // `[::]` serves IPv4 too, even where net.ipv6.bindv6only says otherwise.
        socket.set_only_v6(false)?;
    }
    // A restart need not wait for connections of the last run to be forgotten.
    socket.set_reuse_address(true)?;
    Ok(socket)
}

/// `0.0.0.0` instead of `[::]` where the kernel has no IPv6, which creating a socket shows.
fn in_a_known_family(address: SocketAddr, try_socket: impl Fn(SocketAddr) -> std::io::Result<Socket>) -> SocketAddr {
    let is_unknown = |error: std::io::Error| error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error());
    match address.is_ipv6() && address.ip().is_unspecified() && try_socket(address).is_err_and(is_unknown) {
        true => (Ipv4Addr::UNSPECIFIED, address.port()).into(),
        false => address,
    }
}

/// Passes every connection that comes to `serve`, forever, each with a place of its own and a weight by `weigh`. At the
/// limit an idle connection makes room; while all are in use, new ones wait in the backlog of the kernel, or their calls
/// are refused where files are the limit.
pub(super) async fn accept(
    listener: tokio::net::TcpListener,
    open: &OpenConnections,
    mut weigh: impl FnMut() -> Weight,
    serve: impl Fn(TcpStream, SocketAddr, Place),
) {
    let (mut warned, mut failed) = (None, None);
    loop {
        match listener.accept().await {
            Ok((stream, caller)) => {
                prepare(&stream);
                // Whether its file is one of those that are kept back is known only now.
                let is_too_many = open.are_files_out();
                if (is_too_many || open.is_full()) && is_due(&mut warned) {
                    open.warn(is_too_many);
                }
                let Some(place) = open.place(is_too_many, &mut weigh).await else { return };
                // An IPv4 address mapped to IPv6 is reported as IPv4.
                let caller = SocketAddr::new(caller.ip().to_canonical(), caller.port());
                serve(stream, caller, place);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if is_due(&mut failed) {
                    tracing::warn!(%error, "cannot accept connections; trying again every 100 ms");
                }
                open.make_room(Duration::ZERO);
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

fn prepare(stream: &TcpStream) {
    // Without TCP_NODELAY a small message waits for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_INTERVAL);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

/// Whether it is time for another warning.
fn is_due(last: &mut Option<Instant>) -> bool {
    let is_due = last.is_none_or(|last| last.elapsed() > WARN_INTERVAL);
    if is_due {
        *last = Some(Instant::now());
    }
    is_due
}

/// Whether only the connection at hand failed.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn without_ipv6_all_addresses_are_those_of_ipv4() {
        let fails = |errno: Errno| move |_| Err(std::io::Error::from_raw_os_error(errno.raw_os_error()));
        for (given, errno, bound) in [
            ("[::]:50051", Errno::AFNOSUPPORT, "0.0.0.0:50051"),
            ("[::]:50051", Errno::MFILE, "[::]:50051"),
            ("[::1]:50051", Errno::AFNOSUPPORT, "[::1]:50051"),
            ("10.0.0.1:50051", Errno::AFNOSUPPORT, "10.0.0.1:50051"),
        ] {
            assert_eq!(in_a_known_family(given.parse().unwrap(), fails(errno)), bound.parse().unwrap(), "{given}");
        }
    }
}
