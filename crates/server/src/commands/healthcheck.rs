use super::{Ended, Error};
use crate::config::Config;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Asks `/livez`, so that a container without a shell can be checked.
pub(crate) async fn run(settings: Config) -> Ended {
    let address = reachable(settings.admin.listen);
    let status = timeout(Duration::from_secs(2), livez(address))
        .await
        .map_err(|_| format!("{address} does not answer"))??;
    if status.is_success() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(format!("{address} answers {status}").into())
}

async fn livez(address: SocketAddr) -> Result<hyper::StatusCode, Error> {
    let stream =
        TcpStream::connect(address).await.map_err(|error| format!("{address}: {error}"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = hyper::Request::get("/livez")
        .header(hyper::header::HOST, address.to_string())
        .body(Empty::<Bytes>::new())?;
    Ok(sender.send_request(request).await?.status())
}

/// A server that listens on every address is asked on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
