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
