use crate::{Client, TestDatabase};
use rustix::process::{Pid, Signal, kill_process};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{ExitStatus, Stdio};
use tokio::process::{Child, Command};

/// A server as a process of its own.
pub struct ServerProcess {
    child: Child,
    /// Speaks to the API.
    pub client: Client,
    /// Speaks to the operators' listener.
    pub admin: Client,
}

impl ServerProcess {
    /// Starts `program`, built from this package, and waits until it is ready.
    pub async fn start(program: &str, database: &TestDatabase) -> Self {
        let (api, admin) = (free_address(), free_address());
        let child = Command::new(program)
            .arg("serve")
            .env("DATABASE_URL", &database.server_url)
            .env("GIRO__SERVER__LISTEN", api.to_string())
            .env("GIRO__ADMIN__LISTEN", admin.to_string())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let server = Self { child, client: Client::new(api), admin: Client::new(admin) };
        crate::eventually("the server is ready", async || {
            let answer = server.admin.send(hyper::Method::GET, "/readyz", &[], "").await;
            answer.is_ok_and(|reply| reply.status == 200)
        })
        .await;
        server
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("the process runs")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid() as i32).expect("a process id");
        kill_process(pid, signal).expect("the signal is sent");
    }

    /// Waits until it has ended.
    pub async fn ended(mut self) -> ExitStatus {
        self.child.wait().await.expect("an exit status")
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address")
}
