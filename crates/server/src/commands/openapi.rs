use super::Ended;
use crate::app::request_limits;
use crate::config::Config;
use crate::http::openapi::document;
use std::process::ExitCode;

pub(crate) fn run(settings: &Config) -> Ended {
    println!("{}", document(&request_limits(settings)).to_pretty_json()?);
    Ok(ExitCode::SUCCESS)
}
