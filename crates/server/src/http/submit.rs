//! POST: parse, submit, wait, respond. The handler may be dropped at any await when its client
//! leaves; it holds nothing but a ticket, which gives its place back.

use super::answer::{Answer, reply};
use super::body::{self, BodyBudget, Held, Object};
use super::client_key::ClientKey;
use super::deadline::deadline;
use super::dry_run::DryRuns;
use super::problem::Problem;
use super::query::Parameters;
use super::resource::{Applied, Item, Resource};
use crate::metrics::Outcomes;
use crate::outcome::Outcome;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use giro_batcher::{Answer as Judgement, Batcher, Claim, Client, Size, TicketError};
use giro_ledger::{FieldError, Id, Reason, Verdict};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// May carry the id of a single transfer or account.
const KEY: &str = "Idempotency-Key";

/// One request's items, and their verdicts.
pub(crate) type Items<R> = Vec<Item<R>>;
pub(crate) type Verdicts<R> = Vec<Verdict<Applied<R>>>;
type Judged<R> = Vec<(Item<R>, Verdict<Applied<R>>)>;

/// What bounds one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestLimits {
    pub(crate) body_bytes: usize,
    pub(crate) bulk_body_bytes: usize,
    pub(crate) body_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) timeout_max: Duration,
    pub(crate) items: usize,
}

/// Where the requests for one resource come in.
pub(crate) struct Intake<R: Resource> {
    pub(crate) batcher: Batcher<Items<R>, Verdicts<R>>,
    pub(crate) limits: RequestLimits,
    /// What may be read at the same moment.
    pub(crate) bodies: BodyBudget,
    /// For a resource that has them.
    pub(crate) dry_runs: Option<DryRuns>,
    /// Items answered, by outcome and reason; not those of dry runs.
    pub(crate) outcomes: Outcomes,
}

/// `POST /transfer`, `POST /account`
pub(super) async fn one<R: Resource>(
    State(intake): State<Arc<Intake<R>>>,
    request: Request,
) -> Response {
    let client = ClientKey::in_extensions(request.extensions());
    intake.one(request, client).await
}

/// `POST /transfers`, `POST /accounts`: admitted all or none, answered by position.
pub(super) async fn many<R: Resource>(
    State(intake): State<Arc<Intake<R>>>,
    request: Request,
) -> Response {
    let client = ClientKey::in_extensions(request.extensions());
    intake.many(request, client).await
}

impl<R: Resource> Intake<R> {
    /// Answers a request with one item.
    pub(super) async fn one(&self, request: Request, client: ClientKey) -> Response {
        let response = self.judge_one(request, client).await;
        response.unwrap_or_else(|problem| self.failed(problem, 1))
    }

    /// Answers a request with an array of items.
    pub(super) async fn many(&self, request: Request, client: ClientKey) -> Response {
        let mut items = 1;
        let response = self.judge_many(request, client, &mut items).await;
        response.unwrap_or_else(|problem| self.failed(problem, items))
    }

    async fn judge_one(&self, request: Request, client: ClientKey) -> Result<Response, Problem> {
        let (head, body) = request.into_parts();
        let dry_run = self.dry_run(&head.uri)?;
        let caller = self.caller(&head, client, dry_run.is_some())?;
        let key = idempotency_key(&head.headers)?;
        let body = self.read(&head, body, client, self.limits.body_bytes).await?;
        drop(head);
        let item = one_in::<R>(&body, key)?;
        drop(body);
        let id = R::id(&item);
        let verdicts = self.judge(vec![item], dry_run, &caller).await;
        let judged = verdicts.map_err(|problem| problem.with_id(id))?.into_iter().next();
        let (item, verdict) = judged.ok_or_else(|| {
            Problem::unknown("the batch was answered without this request").with_id(id)
        })?;
        match verdict {
            Verdict::Applied { .. } => {
                self.count(Outcome::Applied, "", usize::from(dry_run.is_none()));
                let answer = Answer::new::<R>((item, verdict), dry_run.is_some());
                Ok(reply(&answer, 1))
            }
            Verdict::Rejected { replayed, reason } => {
                let problem = Problem::rejected(id, reason, replayed);
                Err(if dry_run.is_some() { problem.in_dry_run() } else { problem })
            }
        }
    }

    async fn judge_many(
        &self,
        request: Request,
        client: ClientKey,
        items: &mut usize,
    ) -> Result<Response, Problem> {
        let (head, body) = request.into_parts();
        let dry_run = self.dry_run(&head.uri)?;
        let caller = self.caller(&head, client, dry_run.is_some())?;
        if idempotency_key(&head.headers)?.is_some() {
            return Err(key_for_many());
        }
        let body = self.read(&head, body, client, self.limits.bulk_body_bytes).await?;
        drop(head);
        let batch = many_in::<R>(&body, self.limits.items, items)?;
        drop(body);
        let verdicts = self.judge(batch, dry_run, &caller).await?;
        let answer = |verdict| Answer::new::<R>(verdict, dry_run.is_some());
        let answers: Vec<Answer<R::Record>> = verdicts.into_iter().map(answer).collect();
        if dry_run.is_none() {
            let refused = answers.iter().filter_map(Answer::reason);
            let count = |reason: Reason| self.count(Outcome::Rejected, reason.name(), 1);
            let refused = refused.map(count).count();
            self.count(Outcome::Applied, "", answers.len() - refused);
        }
        Ok(reply(&answers, answers.len()))
    }

    /// Through the queue and a lane, or beside them.
    pub(super) async fn judge(
        &self,
        items: Items<R>,
        dry_run: Option<&DryRuns>,
        caller: &Caller,
    ) -> Result<Judged<R>, Problem> {
        if let Some(dry_runs) = dry_run {
            let judged = dry_runs.judge::<R::Call>(items, caller.deadline).await;
            return judged.map_err(Problem::in_dry_run);
        }
        self.apply(items, caller).await
    }

    /// Through the queue and a lane. Items for which PostgreSQL raises an error are cut out of their
    /// request as they were out of their batch: by halves, in order, without tearing a chain.
    async fn apply(&self, items: Items<R>, caller: &Caller) -> Result<Judged<R>, Problem> {
        let mut verdicts = Vec::with_capacity(items.len());
        let mut parts = vec![items];
        while let Some(part) = parts.pop() {
            let bytes = part.iter().map(R::bytes).sum();
            let size = Size { items: part.len(), bytes };
            let ticket = self.batcher.submit(part, caller.claim(size));
            let answer = match ticket {
                Ok(ticket) => ticket.answer().await.map_err(|error| self.undone(error)),
                Err(refused) => Err(refused.into()),
            };
            match answer {
                Ok(Judgement::Applied(items, judged)) => {
                    verdicts.extend(items.into_iter().zip(judged));
                }
                Ok(Judgement::Poisoned(part)) => match divide::<R>(part) {
                    Ok((first, second)) => parts.extend([second, first]),
                    Err(part) => verdicts.extend(part.into_iter().map(refused_by_database)),
                },
                Err(problem) if verdicts.is_empty() => return Err(problem),
                Err(_) => return Err(Problem::unknown("only a part of the array was applied")),
            }
        }
        Ok(verdicts)
    }

    fn undone(&self, error: TicketError) -> Problem {
        let problem = Problem::from(error);
        match problem.retry_after_secs() {
            Some(_) => problem.with_retry_after(self.batcher.retry_after()),
            None => problem,
        }
    }

    /// Nothing unless the request is only to be judged.
    fn dry_run(&self, uri: &Uri) -> Result<Option<&DryRuns>, Problem> {
        if uri.query().is_none() {
            return Ok(None);
        }
        let mut parameters = Parameters::of(uri)?;
        let wanted = match &self.dry_runs {
            Some(dry_runs) => parameters.flag("dry_run")?.then_some(dry_runs),
            None => None,
        };
        parameters.finish()?;
        Ok(wanted)
    }

    /// Who asks, and until when. A request that would be refused for lack of room is refused now: its
    /// body need not be read for that.
    pub(super) fn caller(
        &self,
        head: &Parts,
        client: ClientKey,
        in_dry_run: bool,
    ) -> Result<Caller, Problem> {
        let RequestLimits { timeout, timeout_max, .. } = self.limits;
        let deadline = deadline(&head.headers, timeout, timeout_max)?;
        let caller = Caller { client: Client(client.0), deadline };
        if !in_dry_run {
            self.batcher.check(&caller.claim(Size { items: 1, bytes: 0 }))?;
        }
        Ok(caller)
    }

    async fn read(
        &self,
        head: &Parts,
        body: Body,
        client: ClientKey,
        max_bytes: usize,
    ) -> Result<Held, Problem> {
        let share = self.bodies.share(client);
        body::read(&head.headers, body, max_bytes, self.limits.body_timeout, share).await
    }

    pub(super) fn failed(&self, problem: Problem, items: usize) -> Response {
        if let Some(outcome) = problem.outcome()
            && !problem.is_in_dry_run()
        {
            self.count(outcome, problem.reason(), items);
        }
        problem.into_response()
    }

    pub(super) fn count(&self, outcome: Outcome, reason: &str, items: usize) {
        self.outcomes.count(outcome, reason, items);
    }
}

/// Who sends a request, and until when it waits.
pub(super) struct Caller {
    client: Client,
    pub(super) deadline: Instant,
}

impl Caller {
    fn claim(&self, size: Size) -> Claim {
        Claim { size, client: self.client, deadline: self.deadline }
    }
}

/// The item in a body. A header may have given it its id.
pub(super) fn one_in<R: Resource>(body: &[u8], key: Option<Id>) -> Result<Item<R>, Problem> {
    let Object(mut input): Object<R::Input> = body::parse(body)?;
    let id = R::input_id(&mut input);
    if let Some(key) = key
        && *id.get_or_insert(key) != key
    {
        return Err(mismatched_key());
    }
    R::parse(input).map_err(|error| faulty(error, None))
}

/// The items in a body, and how many there are, be they sound or not.
pub(super) fn many_in<R: Resource>(
    body: &[u8],
    most: usize,
    found: &mut usize,
) -> Result<Items<R>, Problem> {
    let inputs: Vec<Object<R::Input>> = body::parse(body)?;
    *found = inputs.len();
    if inputs.is_empty() || inputs.len() > most {
        return Err(wrong_length(inputs.len(), most));
    }
    let parse = |(i, Object(input))| R::parse(input).map_err(|error| faulty(error, Some(i)));
    inputs.into_iter().enumerate().map(parse).collect()
}

/// Two halves, cut where no chain is torn; the items as they were when there is no such place.
fn divide<R: Resource>(mut items: Items<R>) -> Result<(Items<R>, Items<R>), Items<R>> {
    let middle = items.len() / 2;
    let is_cut = |at: &usize| !R::is_linked(&items[at - 1]);
    match (1..items.len()).filter(is_cut).min_by_key(|at| at.abs_diff(middle)) {
        Some(at) => {
            let second = items.split_off(at);
            Ok((items, second))
        }
        None => Err(items),
    }
}

fn refused_by_database<I, A>(item: I) -> (I, Verdict<A>) {
    (item, Verdict::Rejected { replayed: false, reason: Reason::RefusedByDatabase })
}

pub(super) fn mismatched_key() -> Problem {
    Problem::bad_field(KEY, "is not the id in the body")
}

pub(super) fn key_for_many() -> Problem {
    Problem::bad_field(KEY, "is for a single one; in an array each carries its own id")
}

pub(super) fn wrong_length(items: usize, max: usize) -> Problem {
    Problem::bad(format!("the array has {items} items instead of 1 to {max}"))
}

pub(super) fn faulty(error: FieldError, index: Option<usize>) -> Problem {
    Problem::bad_field(error.field, error.problem).with_index(index)
}

/// The header `Idempotency-Key`: an id, quoted as the IETF draft has it or bare.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<Id>, Problem> {
    let mut values = headers.get_all(KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::bad_field(KEY, "is given more than once"));
    }
    let text = value.to_str().unwrap_or_default();
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    bare.parse().map(Some).map_err(|problem| Problem::bad_field(KEY, problem))
}
