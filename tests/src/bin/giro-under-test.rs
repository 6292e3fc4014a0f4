//! `giro`, for tests that need it as a process.

fn main() -> std::process::ExitCode {
    giro_server::run()
}
