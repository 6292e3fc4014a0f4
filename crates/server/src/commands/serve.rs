use super::Ended;
use crate::app::{App, Stopped};
use crate::config::Config;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

pub(crate) async fn run(settings: Config) -> Ended {
    let app = App::start(&settings).await?;
    until_stopped(app, &settings).await
}

/// Serves until SIGTERM or SIGINT, then stops in order. A second signal ends the wait.
pub(super) async fn until_stopped(mut app: App, settings: &Config) -> Ended {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut signalled = async || {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    };
    let failed = tokio::select! {
        name = signalled() => {
            tracing::info!("{name}: draining");
            false
        }
        () = app.failed() => true,
    };
    let stopped = tokio::select! {
        stopped = app.stop(settings.server.drain_timeout.0) => stopped,
        name = signalled() => {
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
