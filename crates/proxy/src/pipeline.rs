//! Which requests are under way in one session. A request ends with its Sync, or is a simple query; each
//! is answered by one ReadyForQuery, in the same order.

use super::message::{Message, OPAQUE};
use bytes::Bytes;
use std::collections::{HashSet, VecDeque};

/// What a message of the client is to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Its parameters.
    Bind,
    /// Its end.
    Sync,
    /// Something else, or no part of a call.
    Other,
}

/// Follows one session in both directions.
pub(super) struct Pipeline {
    /// Text by which a statement is known as a call.
    calls: &'static str,
    /// Names of the prepared statements that are calls.
    statements: HashSet<Bytes>,
    /// Whether one of them was bound since the last Sync.
    bound: bool,
    /// Whether each unanswered request is a call.
    unanswered: VecDeque<bool>,
}

impl Pipeline {
    /// Of a session that begins: PostgreSQL owes it a first ReadyForQuery.
    pub(super) fn new(calls: &'static str) -> Self {
        let unanswered = VecDeque::from([false]);
        Self { calls, statements: HashSet::new(), bound: false, unanswered }
    }

    /// Takes note of what the client sends.
    pub(super) fn request(&mut self, message: &Message) -> Part {
        if message.tag == OPAQUE {
            return Part::Other;
        }
        let mut texts = message.texts();
        match message.tag {
            b'P' => {
                let (name, sql) = (texts.next().unwrap_or_default(), texts.next());
                let name = message.bytes.slice_ref(name);
                if contains(sql.unwrap_or_default(), self.calls.as_bytes()) {
                    self.statements.insert(name);
                } else {
                    self.statements.remove(&name);
                }
            }
            b'B' if self.statements.contains(texts.nth(1).unwrap_or_default()) => {
                self.bound = true;
                return Part::Bind;
            }
            b'Q' => self.unanswered.push_back(false),
            b'S' => {
                let call = std::mem::take(&mut self.bound);
                self.unanswered.push_back(call);
                return if call { Part::Sync } else { Part::Other };
            }
            _ => {}
        }
        Part::Other
    }

    /// Whether what PostgreSQL sends now belongs to a call.
    pub(super) fn is_answering_a_call(&self) -> bool {
        self.unanswered.front() == Some(&true)
    }

    /// Takes note of what PostgreSQL sends.
    pub(super) fn reply(&mut self, message: &Message) {
        if message.tag == b'Z' {
            self.unanswered.pop_front();
        }
    }

    /// Whether every request was answered.
    pub(super) fn is_idle(&self) -> bool {
        self.unanswered.is_empty()
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u8, body: &[u8]) -> Message {
        let length = (4 + body.len()) as u32;
        Message { tag, bytes: [&[tag][..], &length.to_be_bytes(), body].concat().into() }
    }

    #[test]
    fn only_a_bound_call_has_parts() {
        let mut pipeline = Pipeline::new("giro.apply");
        let mut request = |tag, body: &[u8]| pipeline.request(&message(tag, body));
        assert_eq!(request(b'P', b"s1\0SELECT giro.apply($1)\0\0\0"), Part::Other);
        assert_eq!(request(b'S', b""), Part::Other, "prepared, not executed");
        assert_eq!(request(b'B', b"\0s0\0\0\0\0\0\0\0"), Part::Other);
        assert_eq!(request(b'E', b"\0\0\0\0\0"), Part::Other);
        assert_eq!(request(b'S', b""), Part::Other, "another statement");
        assert_eq!(request(b'B', b"\0s1\0\0\0\0\0\0\0"), Part::Bind);
        assert_eq!(request(b'E', b"\0\0\0\0\0"), Part::Other);
        assert_eq!(request(b'S', b""), Part::Sync);
        let simple = request(b'Q', b"SELECT giro.apply()\0");
        assert_eq!(simple, Part::Other, "not the array function's statement");
    }

    #[test]
    fn without_a_name_nothing_is_a_call() {
        let mut pipeline = Pipeline::new("");
        let mut request = |tag, body: &[u8]| pipeline.request(&message(tag, body));
        request(b'P', b"s1\0SELECT giro.apply($1)\0\0\0");
        assert_eq!(request(b'B', b"\0s1\0\0\0\0\0\0\0"), Part::Other);
        assert_eq!(request(b'S', b""), Part::Other);
    }

    #[test]
    fn replies_belong_to_requests_in_order() {
        let mut pipeline = Pipeline::new("giro.apply");
        let ready = message(b'Z', b"I");
        pipeline.reply(&ready);
        assert!(pipeline.is_idle(), "the session has begun");
        for (tag, body) in [
            (b'P', &b"s1\0giro.apply\0\0\0"[..]),
            (b'S', b""),
            (b'B', b"\0s1\0\0\0\0\0\0\0"),
            (b'S', b""),
        ] {
            pipeline.request(&message(tag, body));
        }
        assert!(!pipeline.is_answering_a_call());
        pipeline.reply(&ready);
        assert!(pipeline.is_answering_a_call());
        pipeline.reply(&message(b'C', b"SELECT 1\0"));
        assert!(pipeline.is_answering_a_call(), "not over before it is ready for the next");
        pipeline.reply(&ready);
        assert!(pipeline.is_idle());
    }
}
