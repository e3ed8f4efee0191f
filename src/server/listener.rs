//! Listens and accepts.

use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;
/// How long to wait when the process has no descriptor left: each accept would fail at once.
const PAUSE: Duration = Duration::from_millis(100);

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

/// Hands over every connection that comes, for ever.
pub(super) async fn accept(listener: TcpListener, serve: impl Fn(TcpStream)) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Without it small messages wait for the acknowledgement of the one before.
                let _ = stream.set_nodelay(true);
                serve(stream);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections; trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Whether only the connection at hand failed.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused)
}
