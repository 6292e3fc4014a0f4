//! A running PostgreSQL.

use std::fmt;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::binaries::{Binaries, Version};
use crate::data_dir::{DataDir, SocketDir};
use crate::error::{StartError, StopError};
use crate::options::{Options, arguments};
use crate::server::{self, Server};
use crate::standby::{self, Primary};
use crate::{initdb, postmaster};

/// How often to take another free port when some other program was quicker to use it.
const PORT_ATTEMPTS: u32 = 5;

/// A running PostgreSQL, which dropping this stops, as [`Cluster::stop`] does.
pub struct Cluster {
    // In the order in which they are dropped: the lock goes last.
    server: Server,
    socket_dir: SocketDir,
    data_dir: DataDir,
    port: u16,
    password: String,
    settings: Vec<(String, String)>,
    binaries: Binaries,
    log: PathBuf,
}

impl Cluster {
    /// Starts PostgreSQL and waits until it takes connections. Makes the data directory on the
    /// first start, recovers after a crash, and first stops a server that a program which is dead
    /// by now left running there.
    ///
    /// # Errors
    ///
    /// [`StartError`] says what has to be done. Nothing is left running.
    pub fn start(options: Options) -> Result<Cluster, StartError> {
        let settings = options.all_settings()?;
        let data_dir = DataDir::open(&options.data_dir)?;
        postmaster::clear_leftover(&data_dir, options.stop_timeout)?;
        let password = initdb::ensure(&data_dir, &options)?;

        let mut attempts = 1;
        let (server, socket_dir, port) = loop {
            match launch(&options, &data_dir, &settings) {
                Err(StartError::Exited { tail, .. })
                    if options.port.is_none() && attempts < PORT_ATTEMPTS && lost_port(&tail) =>
                {
                    attempts += 1;
                }
                launched => break launched?,
            }
        };
        let (binaries, log) = (options.binaries, data_dir.log());
        Ok(Cluster { server, socket_dir, data_dir, port, password, settings, binaries, log })
    }

    /// The directory of the Unix socket. Connections by it need no password.
    pub fn socket_dir(&self) -> &Path {
        self.socket_dir.path()
    }

    /// The port on 127.0.0.1, which is also part of the socket's name.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The id of the server's first process, the postmaster.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// The file that the server logs to.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// The data directory, as an absolute path without symlinks.
    pub fn data_dir(&self) -> &Path {
        self.data_dir.root()
    }

    /// The version of the server.
    pub fn version(&self) -> Version {
        self.binaries.version()
    }

    /// The password that the superuser `postgres` was made with, which TCP connections need.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The settings passed to the server, in order; of two with one name the later counts. The
    /// port and the socket directory are passed besides.
    pub fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// A URL by the Unix socket, which needs no password.
    pub fn url(&self, user: &str, database: &str) -> String {
        let socket_dir = encode(self.socket_dir().as_os_str().as_bytes());
        let (user, database) = (encode(user.as_bytes()), encode(database.as_bytes()));
        format!("postgresql://{user}@{socket_dir}:{}/{database}", self.port)
    }

    /// A URL by TCP on 127.0.0.1.
    pub fn tcp_url(&self, user: &str, password: &str, database: &str) -> String {
        let [user, password, database] = [user, password, database].map(|it| encode(it.as_bytes()));
        format!("postgresql://{user}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// Stops the server: connections end, open transactions are rolled back. A server that is
    /// not done after the stop timeout is made to end.
    ///
    /// # Errors
    ///
    /// The server did not stop in order; see [`StopError`].
    pub fn stop(mut self) -> Result<(), StopError> {
        self.server.stop()
    }

    /// Makes a standby take writes, on the next timeline, and waits until it does.
    ///
    /// # Errors
    ///
    /// [`StartError::Program`] if it is no standby or recovery does not end in time.
    pub fn promote(&self) -> Result<(), StartError> {
        standby::promote(&self.data_dir, &self.binaries)
    }

    /// Halts all processes of the server by SIGSTOP: connections stay open, and nothing answers.
    ///
    /// # Errors
    ///
    /// [`StopError::Io`] if the system refuses.
    pub fn freeze(&self) -> Result<(), StopError> {
        self.server.freeze().map_err(|source| StopError::Io { pid: self.pid(), source })
    }

    /// Ends [`Cluster::freeze`].
    ///
    /// # Errors
    ///
    /// [`StopError::Io`] if the system refuses.
    pub fn thaw(&self) -> Result<(), StopError> {
        self.server.thaw().map_err(|source| StopError::Io { pid: self.pid(), source })
    }

    /// Whether the server has ended by itself: it could not recover, for one.
    pub fn has_exited(&mut self) -> bool {
        self.server.has_exited()
    }

    pub(crate) fn as_primary_of(&self, standby_name: &str) -> Primary {
        Primary {
            socket_dir: self.socket_dir().to_owned(),
            port: self.port,
            password: self.password.clone(),
            standby_name: standby_name.to_owned(),
        }
    }

    /// Kills all processes of the server at once with SIGKILL, as a crash would, and waits until
    /// none of them can touch the data. To start again, drop this first.
    ///
    /// # Errors
    ///
    /// [`StopError::Io`] if the system refuses.
    pub fn kill(&mut self) -> Result<(), StopError> {
        self.server.kill()
    }
}

// Without the password.
impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("data_dir", &self.data_dir())
            .field("port", &self.port)
            .field("pid", &self.pid())
            .finish_non_exhaustive()
    }
}

fn launch(
    options: &Options,
    data_dir: &DataDir,
    settings: &[(String, String)],
) -> Result<(Server, SocketDir, u16), StartError> {
    let port = match options.port {
        Some(port) => port,
        None => free_port().map_err(StartError::io("find a port on", "127.0.0.1".as_ref()))?,
    };
    let socket_dir = data_dir.socket_dir(port)?;
    let program = options.binaries.dir().join("postgres");
    let (mut command, logged) = server::command(&program, data_dir)?;
    command.args(arguments(&data_dir.pgdata(), socket_dir.path(), port, settings));
    command.envs(options.environment.iter().map(|(name, value)| (name, value)));
    let mut server = Server::spawn(command, data_dir, options.stop_timeout)
        .map_err(StartError::io("run", &program))?;
    server.wait_ready(options.start_timeout, logged)?;
    Ok((server, socket_dir, port))
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn lost_port(tail: &str) -> bool {
    tail.contains("could not create any TCP/IP sockets")
}

/// Percent-encodes all but the bytes that stand for themselves everywhere in a URL.
fn encode(bytes: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    bytes
        .iter()
        .map(
            |&byte| {
                if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_what_would_part_a_url() {
        assert_eq!(encode(b"/a dir/so:ck@et,1"), "%2Fa%20dir%2Fso%3Ack%40et%2C1");
        assert_eq!(encode("ü-_.~9".as_bytes()), "%C3%BC-_.~9");
    }
}
