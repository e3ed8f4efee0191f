//! Opens connections to the gateway, in plaintext or with TLS.

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::TargetArgs;
use crate::tls;

pub type Http1 = http1::SendRequest<Full<Bytes>>;
pub type Http2 = http2::SendRequest<Full<Bytes>>;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

pub async fn http1(target: &TargetArgs) -> Result<Http1, String> {
    let (sender, connection) = http1::handshake(open(target, b"http/1.1").await?).await.map_err(|e| e.to_string())?;
    tokio::spawn(connection);
    Ok(sender)
}

pub async fn http2(target: &TargetArgs) -> Result<Http2, String> {
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(target.window)
        .initial_connection_window_size(target.window.saturating_mul(4).min(i32::MAX as u32))
        .max_frame_size(target.frame)
        .handshake(open(target, b"h2").await?)
        .await
        .map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn open(target: &TargetArgs, protocol: &[u8]) -> Result<TokioIo<Box<dyn Stream>>, String> {
    let address = &target.address;
    let stream = TcpStream::connect(address).await.map_err(|error| format!("connect to {address}: {error}"))?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let Some(authority) = &target.ca else { return Ok(TokioIo::new(Box::new(stream))) };
    let connector = tls::connector(authority, protocol).map_err(|error| error.to_string())?;
    let host = address.rsplit_once(':').map_or(&address[..], |(host, _)| host).to_owned();
    let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
    let stream = connector.connect(name, stream).await.map_err(|error| format!("TLS with {address}: {error}"))?;
    Ok(TokioIo::new(Box::new(stream)))
}
