//! `giro`

fn main() -> std::process::ExitCode {
    giro_server::run()
}
