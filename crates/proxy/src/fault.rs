//! What can happen to a session, and which of its calls it happens to.

/// Each fault: its name on a command line, and what it does.
macro_rules! faults {
    ($($variant:ident $name:literal $meaning:literal;)+) => {
        /// What happens to a session at one call.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Fault {
            $(#[doc = $meaning] $variant,)+
        }

        impl Fault {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name, as a command line has it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// One sentence for a person.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),+ }
            }
        }
    };
}

faults! {
    CutInRequest "cut-in-request" "The session is cut in the middle of the call's parameters: PostgreSQL gets the first half of them.";
    CutBeforeSync "cut-before-sync" "The session is cut before PostgreSQL gets the call's Sync: it cannot commit.";
    CutAfterSync "cut-after-sync" "The session is cut for the client once PostgreSQL has the call's Sync, and PostgreSQL finishes it: it commits, and nobody learns that.";
    Reset "reset" "Both sides get a reset (RST) once PostgreSQL has the call's Sync: it may have committed.";
    HalfClose "half-close" "Instead of the result the client gets the end of the stream, and may go on sending.";
    CutInReply "cut-in-reply" "The client gets the first half of the call's row, and then the end of the session.";
    CutBeforeReady "cut-before-ready" "The client gets the whole result and the CommandComplete, and then the end of the session.";
    GarbleReply "garble-reply" "Bits are flipped in one byte of the call's row, among those that the client can check.";
    GarbleAnywhere "garble-anywhere" "Bits are flipped in one byte of any value of the call's row: the client may not be able to notice.";
    ShiftReply "shift-reply" "The client gets the row of the call before instead of this one's.";
    DeferReply "defer-reply" "The call's row is held back, and comes instead of the next call's.";
}

/// Which sessions a proxy breaks, and at which calls.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Part of the `application_name` in the StartupMessage; empty for every session.
    pub sessions: &'static str,
    /// Part of the text of the prepared statement that is executed; empty when no call is to be known.
    pub calls: &'static str,
    /// What the client compares with what it has sent.
    pub checked: &'static [Checked],
}

/// Part of a row that a client checks.
#[derive(Debug, Clone, Copy)]
pub struct Checked {
    /// Its column, from 0.
    pub column: usize,
    /// Its first byte in the value; it goes on to the end.
    pub from: usize,
}

impl Target {
    /// The calls that apply transfers.
    pub const LANES: Self = Self {
        sessions: "giro lane",
        calls: "giro.apply_transfers",
        // The token, and the ids: an array's elements begin after a header that nobody needs.
        checked: &[Checked { column: 0, from: 0 }, Checked { column: 2, from: 20 }],
    };

    /// Every session, of which only the bytes matter: for a network.
    pub const NETWORK: Self = Self { sessions: "", calls: "", checked: &[] };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_variants_as_a_command_line_writes_them() {
        for fault in Fault::ALL {
            let mut name = String::new();
            for letter in format!("{fault:?}").chars() {
                if letter.is_uppercase() && !name.is_empty() {
                    name.push('-');
                }
                name.extend(letter.to_lowercase());
            }
            assert_eq!(fault.name(), name);
        }
    }
}
