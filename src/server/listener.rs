//! Listens and accepts.

use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::open::{OpenConnections, Place};

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;
/// How long to wait when the process has no descriptor left: each accept would fail at once.
const PAUSE: Duration = Duration::from_millis(100);
/// The connection limit is logged at most this often.
const WARN_INTERVAL: Duration = Duration::from_secs(60);
/// Finds callers that vanished before they spoke HTTP/2; after that pings do.
const KEEPALIVE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Listeners on one address, which the kernel spreads connections over. Port 0 finds a free port for all of them.
pub(super) fn bind(address: SocketAddr, count: usize) -> std::io::Result<Vec<std::net::TcpListener>> {
    // Sharing would also let a second server take half of the connections of a first, unnoticed. A socket that does
    // not share cannot be bound beside one that does.
    if address.port() != 0 {
        socket(address)?.bind(&address.into())?;
    }
    let mut listeners = Vec::with_capacity(count);
    let mut address = address;
    for _ in 0..count {
        let socket = socket(address)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = std::net::TcpListener::from(socket);
        address = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok(listeners)
}

fn socket(address: SocketAddr) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart need not wait for connections of the last run to be forgotten.
    socket.set_reuse_address(true)?;
    Ok(socket)
}

/// Serves every connection that comes, forever, each in a place of its own. At the limit an idle connection makes room;
/// while all are in use, new ones wait in the backlog of the kernel.
pub(super) async fn accept(
    listener: TcpListener,
    open: &OpenConnections,
    serve: impl Fn(TcpStream, SocketAddr, Place),
) {
    let mut warned = None;
    loop {
        match listener.accept().await {
            Ok((stream, caller)) => {
                prepare(&stream);
                warn_if_full(open, &mut warned);
                // Only now: a worker that has a place while it waits for connections takes it from the others.
                let Some(place) = open.place().await else { return };
                serve(stream, caller, place);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections; trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn prepare(stream: &TcpStream) {
    // Without it small messages wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_INTERVAL);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

fn warn_if_full(open: &OpenConnections, warned: &mut Option<Instant>) {
    if open.is_full() && warned.is_none_or(|last| last.elapsed() > WARN_INTERVAL) {
        *warned = Some(Instant::now());
        tracing::warn!(
            connections = open.most(),
            "connection limit reached: each new connection closes the one that is idle longest, or waits"
        );
    }
}

/// Whether only the connection at hand failed.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused)
}
