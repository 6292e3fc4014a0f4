//! The PostgreSQL behind a proxy.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// Where PostgreSQL is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Upstream {
    Unix(PathBuf),
    Tcp(String, u16),
}

/// A connection of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    /// Closing it ends it by a reset, where there is such a thing.
    fn reset_when_closed(&self);
}

impl Stream for TcpStream {
    fn reset_when_closed(&self) {
        // An error: it has ended already.
        let _ = self.set_zero_linger();
    }
}

impl Stream for UnixStream {
    fn reset_when_closed(&self) {}
}

impl Upstream {
    /// The one host of a URL.
    pub(super) fn of(config: &Config) -> Result<Self, String> {
        let port = config.get_ports().first().copied().unwrap_or(5432);
        match (config.get_hosts(), config.get_hostaddrs()) {
            (_, [address]) => Ok(Self::Tcp(address.to_string(), port)),
            ([Host::Tcp(name)], []) => Ok(Self::Tcp(name.clone(), port)),
            ([Host::Unix(directory)], []) => {
                Ok(Self::Unix(directory.join(format!(".s.PGSQL.{port}"))))
            }
            ([], _) => Err("the URL names no host".into()),
            (hosts, _) => Err(format!("one host, not {}", hosts.len())),
        }
    }

    pub(super) async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Unix(path) => Box::new(UnixStream::connect(path).await?),
            Self::Tcp(name, port) => {
                let stream = TcpStream::connect((name.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
        })
    }
}

/// The URL of the same database at another address. A password is left out: it is the client's affair.
pub(super) fn url(config: &Config, at: SocketAddr) -> String {
    let encoded = |text: &str| {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
        let encode = |byte: u8| match plain(&byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        };
        text.bytes().map(encode).collect::<String>()
    };
    let user = config.get_user().map(|user| encoded(user) + "@").unwrap_or_default();
    let database = config.get_dbname().map(|name| format!("/{}", encoded(name)));
    format!("postgresql://{user}{at}{}", database.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Result<Upstream, String> {
        Upstream::of(&url.parse().unwrap())
    }

    #[test]
    fn a_url_names_one_host() {
        let tcp = |name: &str, port| Ok(Upstream::Tcp(name.into(), port));
        assert_eq!(of("postgresql://me@there/db"), tcp("there", 5432));
        assert_eq!(of("host=there hostaddr=10.0.0.1 port=6000"), tcp("10.0.0.1", 6000));
        let socket = "/run/postgresql/.s.PGSQL.5432".into();
        assert_eq!(of("postgresql:///db?host=/run/postgresql"), Ok(Upstream::Unix(socket)));
        assert!(of("postgresql://a,b/db").unwrap_err().contains("one host"));
        assert!(of("user=me").unwrap_err().contains("no host"));
    }

    #[test]
    fn the_url_through_the_proxy_is_the_same_database_without_the_password() {
        let config = "postgresql://a%40b:secret@there/my%20db?sslmode=disable".parse().unwrap();
        let at = "127.0.0.1:6543".parse().unwrap();
        assert_eq!(url(&config, at), "postgresql://a%40b@127.0.0.1:6543/my%20db");
    }
}
