use crate::config::{Log, LogFormat};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;

/// Log lines on stderr, from now on. Later calls in the same process change nothing.
pub(crate) fn start(log: &Log) {
    // The driver logs parameters at debug, which are amounts and accounts.
    let quiet: Option<Directive> = "tokio_postgres=info".parse().ok();
    let filter = EnvFilter::new(&log.filter);
    let filter = quiet.into_iter().fold(filter, EnvFilter::add_directive);
    let terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal);
    let text = match log.format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    // An error means that there is a subscriber already, as in tests.
    let _ = if text {
        builder.with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
}
