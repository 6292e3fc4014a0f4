use super::Ended;
use crate::app::{App, Stopped};
use crate::config::Config;
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(crate) async fn run(settings: Config) -> Ended {
    let signals = Signals::install()?;
    let app = App::start(&settings).await?;
    until_stopped(app, signals, &settings).await
}

/// What ends a server. From when it is installed, a signal does not end the process by itself.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn install() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Serves until SIGTERM or SIGINT, then stops in order. A second signal ends the wait.
pub(super) async fn until_stopped(mut app: App, mut signals: Signals, settings: &Config) -> Ended {
    let failed = tokio::select! {
        name = signals.next() => {
            tracing::info!("{name}: draining");
            false
        }
        () = app.failed() => true,
    };
    let stopped = tokio::select! {
        stopped = app.stop(settings.server.drain_timeout.0) => stopped,
        name = signals.next() => {
            tracing::warn!("{name} again: stopping at once");
            return Ok(ExitCode::FAILURE);
        }
    };
    match stopped {
        Stopped::Drained => tracing::info!("drained: every request was answered"),
        Stopped::TimedOut { abandoned } => tracing::error!(
            abandoned,
            "not drained within server.drain_timeout: what was queued was not applied, what was in \
             flight is unknown"
        ),
    }
    Ok(if failed || stopped != Stopped::Drained { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DatabaseUrl;
    use std::net::{Ipv4Addr, SocketAddr};
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn a_worker_that_dies_ends_the_server_and_the_exit_code_says_so() {
        let mut settings = Config::default();
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        (settings.server.listen, settings.admin.listen) = (free, free);
        // Nobody listens there; a database that is away is waited for.
        let nowhere = "postgresql://giro@127.0.0.1:1/giro".to_owned();
        settings.database.url = Some(DatabaseUrl::from(nowhere));
        let mut app = App::start(&settings).await.unwrap_or_else(|error| panic!("{error}"));
        app.lose_a_worker();
        let served = until_stopped(app, Signals::install().unwrap(), &settings);
        let code = timeout(Duration::from_secs(60), served).await.expect("it ends").unwrap();
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::FAILURE));
    }
}
