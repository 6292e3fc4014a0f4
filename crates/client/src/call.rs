//! One call: its attempts, one after the other, under one deadline.

use crate::client::Shared;
use crate::connections::Reply;
use crate::reply::{Doubt, Failure};
use crate::retry::{Attempts, Stopped};
use crate::{Error, Id, NotApplied, ReadError, Unknown};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use tokio::time::{Instant, sleep};

/// What every attempt of a call sends.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) body: Bytes,
}

/// A call that ended without a verdict.
#[derive(Debug)]
pub(crate) struct Undecided {
    last: Box<Failure>,
    /// Why the result of an attempt was not learnt, if that happened.
    unknown: Option<String>,
    attempts: u32,
    stopped: Stopped,
}

impl Shared {
    /// Attempts it until there is a verdict that settles it, or the rules say to stop. Dropping the future ends the
    /// attempt that runs, and leaves its result unknown.
    pub(crate) async fn call<T>(
        &self,
        call: &Call,
        deadline: Instant,
        verdict: impl Fn(&Reply, Doubt) -> Result<T, Box<Failure>>,
    ) -> Result<T, Undecided> {
        let mut attempts =
            Attempts::new(&self.retries, &self.budget, self.attempt_timeout, deadline);
        let mut random = fastrand::Rng::new();
        let mut cause = String::new();
        loop {
            let until = attempts.begin(Instant::now());
            let answer =
                self.connections.exchange(until, |announced| self.request(call, announced)).await;
            let doubt = Doubt(attempts.unknown());
            let last = match answer.map_err(Into::into).and_then(|reply| verdict(&reply, doubt)) {
                Ok(verdict) => return Ok(verdict),
                Err(failure) => failure,
            };
            let now = Instant::now();
            let pause = attempts.pause(last.fate, last.retry_after, now, &mut random);
            if last.is_unknown() {
                cause.clone_from(&last.detail);
            }
            match pause {
                Ok(pause) => sleep(pause).await,
                Err(stopped) => {
                    let unknown = attempts.unknown().then_some(cause);
                    return Err(Undecided { last, unknown, attempts: attempts.made(), stopped });
                }
            }
        }
    }

    fn request(&self, call: &Call, announced: u64) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = call.uri.clone();
        let headers = request.headers_mut();
        headers.insert(HOST, self.connections.host_header());
        headers.insert(HeaderName::from_static("request-timeout-ms"), announced.into());
        if !call.body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some((name, value)) = &self.client_header {
            headers.insert(name.clone(), value.clone());
        }
        request
    }
}

impl Undecided {
    /// Of a call that was to change something, for all of its items.
    pub(crate) fn into_error(self, ids: Vec<Id>) -> Error {
        let Self { last, unknown, attempts, stopped } = self;
        match unknown {
            Some(detail) => Error::Unknown(Box::new(Unknown { ids, detail, attempts, stopped })),
            None => Error::NotApplied(Box::new(NotApplied {
                status: last.status,
                reason: last.reason,
                field: last.field,
                index: last.index,
                detail: last.detail,
                attempts,
                stopped,
            })),
        }
    }
}

impl From<Undecided> for ReadError {
    fn from(undecided: Undecided) -> Self {
        let Undecided { last, attempts, stopped, .. } = undecided;
        Self { status: last.status, detail: last.detail, attempts, stopped }
    }
}
