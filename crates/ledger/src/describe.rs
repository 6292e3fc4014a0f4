/// An error in one line for the log: SQLSTATE and message, or what broke the session. Leaves out
/// detail and context, which quote rows.
pub(crate) fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(word) = error.as_db_error() {
        return format!("{} {}: {}", word.severity(), word.code().code(), word.message());
    }
    let mut line = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let cause = error.to_string();
        if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
        source = error.source();
    }
    line
}
