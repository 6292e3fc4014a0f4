use super::Ended;
use crate::app::StartError;
use crate::config::Config;
use giro_ledger::schema::{Migrated, migrate};
use std::process::ExitCode;

pub(crate) async fn run(settings: Config) -> Ended {
    let url = settings.database.url.ok_or(StartError::NoDatabase)?;
    let Migrated { steps, version } = migrate(url.reveal()).await?;
    for step in &steps {
        println!("applied {step}");
    }
    println!("schema version {version}, functions replaced");
    Ok(ExitCode::SUCCESS)
}
