use super::session::Reader;
use super::{Read, ReadError};
use crate::call::{ArrayCall, Header, Verdict};

/// What an array function would decide now. Nothing is locked and nothing changes: the session can
/// only read.
#[derive(Debug)]
pub struct DryRun<'a, C: ArrayCall> {
    /// Judged one after another, as a batch would be.
    pub requests: &'a [Vec<C::Item>],
}

impl<C: ArrayCall> Read for DryRun<'_, C> {
    type Output = Vec<Verdict<C::Applied>>;

    async fn run(&self, reader: &Reader) -> Result<Self::Output, ReadError> {
        let header = Header {
            shard: 0,
            token: fastrand::i64(..),
            server: String::new(),
            not_after: None,
            dry_run: true,
        };
        let columns = C::columns(self.requests);
        let rows = reader.rows(C::STATEMENT, &[], &C::parameters(&header, &columns)).await?;
        let row =
            rows.first().ok_or_else(|| ReadError::Database("no row from a function".into()))?;
        C::verdicts(row, &header, &columns).map_err(|error| ReadError::Database(error.to_string()))
    }
}
