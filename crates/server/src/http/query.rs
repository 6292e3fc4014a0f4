use super::cursor::Cursor;
use super::problem::Problem;
use axum::extract::Query;
use axum::http::Uri;
use giro_ledger::{Metadata, Order, Reference, Span, Timestamp};
use sha2::{Digest, Sha256};
use std::str::FromStr;

/// Items of a page: when nothing is said, and at most.
pub(super) const LIMIT: u16 = 100;
pub(super) const LIMIT_MAX: u16 = 1000;

/// The parameters of a URL. Each is taken once, and what is left over at the end is an error.
pub(super) struct Parameters {
    pairs: Vec<(String, String)>,
    listing: Listing,
}

/// Which listing the pages belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listing(u64);

impl Parameters {
    /// Those of this URL.
    pub(super) fn of(uri: &Uri) -> Result<Self, Problem> {
        let Query(mut pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| Problem::bad(error.body_text()))?;
        pairs.sort_unstable();
        if let Some([(name, _), _]) = pairs.array_windows().find(|[one, next]| one.0 == next.0) {
            return Err(Problem::bad_field(name, "is given more than once"));
        }
        let listing = Listing::of(uri.path(), &pairs);
        Ok(Self { pairs, listing })
    }

    /// Refuses what nobody has taken.
    pub(super) fn finish(self) -> Result<Listing, Problem> {
        match self.pairs.first() {
            Some((name, _)) => Err(Problem::bad_field(name, "is not a parameter of this call")),
            None => Ok(self.listing),
        }
    }

    /// A value, which may be absent.
    pub(super) fn value<T: FromStr<Err = &'static str>>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, Problem> {
        let parse = |text: String| text.parse().map_err(|error| Problem::bad_field(name, error));
        self.take(name).map(parse).transpose()
    }

    /// One of several values with a name, which may be absent.
    pub(super) fn choice<T: Copy>(
        &mut self,
        name: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let chosen = choices.iter().find(|(choice, _)| *choice == text);
        chosen.map(|(_, value)| Some(*value)).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(choice, _)| *choice).collect();
            Problem::bad_field(name, &format!("must be one of {}", names.join(", ")))
        })
    }

    /// `true` or `false`, which it is when absent.
    pub(super) fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        Ok(self.choice(name, &[("true", true), ("false", false)])?.unwrap_or(false))
    }

    /// `ledger`: 1 when absent.
    pub(super) fn ledger(&mut self) -> Result<i32, Problem> {
        Ok(self.number("ledger", 1, i32::MAX)?.unwrap_or(1))
    }

    /// `code`
    pub(super) fn code(&mut self) -> Result<Option<i32>, Problem> {
        self.number("code", 1, 65535)
    }

    /// `reference`
    pub(super) fn reference(&mut self) -> Result<Option<Reference>, Problem> {
        let valid = |text| {
            Reference::try_from(text).map_err(|error| Problem::bad_field("reference", error))
        };
        self.take("reference").map(valid).transpose()
    }

    /// `metadata`: a JSON object.
    pub(super) fn metadata(&mut self) -> Result<Option<Metadata>, Problem> {
        let parse = |text: String| {
            serde_json::from_str(&text).map_err(|_| {
                let problem = "must be a JSON object such as {\"order\":7}, as a transfer takes it";
                Problem::bad_field("metadata", problem)
            })
        };
        self.take("metadata").map(parse).transpose()
    }

    /// `from` and `until`
    pub(super) fn times(&mut self) -> Result<Span<Timestamp>, Problem> {
        Ok(Span { from: self.value("from")?, until: self.value("until")? })
    }

    /// `seq_from` and `seq_until`
    pub(super) fn seqs(&mut self) -> Result<Span<i64>, Problem> {
        Ok(Span {
            from: self.number("seq_from", 0, i64::MAX)?,
            until: self.number("seq_until", 0, i64::MAX)?,
        })
    }

    /// `limit`
    pub(super) fn limit(&mut self) -> Result<u16, Problem> {
        Ok(self.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT))
    }

    /// `order`
    pub(super) fn order(&mut self, default: Order) -> Result<Order, Problem> {
        let orders = [("asc", Order::Ascending), ("desc", Order::Descending)];
        Ok(self.choice("order", &orders)?.unwrap_or(default))
    }

    /// `cursor`, as far as it belongs to these parameters: where the page before has ended.
    pub(super) fn cursor<P: TryFrom<u128>>(&mut self) -> Result<Option<P>, Problem> {
        let Some(cursor) = self.value::<Cursor>("cursor")? else { return Ok(None) };
        if cursor.listing != self.listing.0 {
            let problem = "belongs to another listing: only limit may change between its pages";
            return Err(Problem::bad_field("cursor", problem));
        }
        let position = P::try_from(cursor.position);
        position.map(Some).map_err(|_| Problem::bad_field("cursor", Cursor::MALFORMED))
    }

    fn number<T>(&mut self, name: &str, min: T, max: T) -> Result<Option<T>, Problem>
    where
        T: FromStr + PartialOrd + std::fmt::Display,
    {
        let Some(text) = self.take(name) else { return Ok(None) };
        let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let number = digits.and_then(|text| text.parse().ok());
        let number = number.filter(|number| (&min..=&max).contains(&number));
        number.map(Some).ok_or_else(|| {
            Problem::bad_field(name, &format!("must be a whole number from {min} to {max}"))
        })
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.pairs.iter().position(|(known, _)| known == name)?;
        Some(self.pairs.remove(at).1)
    }
}

impl Listing {
    /// By its path and its parameters, but for what may change from page to page.
    fn of(path: &str, pairs: &[(String, String)]) -> Self {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            hash.update(text.len().to_be_bytes());
            hash.update(text);
        };
        part(path);
        for (name, value) in
            pairs.iter().filter(|(name, _)| !matches!(&name[..], "cursor" | "limit"))
        {
            part(name);
            part(value);
        }
        let mut head = [0; 8];
        head.copy_from_slice(&hash.finalize()[..8]);
        Self(u64::from_be_bytes(head))
    }

    /// The cursor of the page that goes on after a position.
    pub(super) fn after(self, position: u128) -> Cursor {
        Cursor { listing: self.0, position }
    }
}
