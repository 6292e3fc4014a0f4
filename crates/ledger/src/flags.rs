use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A set of named bits, written in JSON and SQL views as an array of names. The names and their bits
/// are TigerBeetle's.
macro_rules! flags {
    ($(#[$meta:meta])* $set:ident of $flag:ident { $(#[doc = $meaning:literal] $name:ident = $bit:literal $text:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Default)]
        pub struct $set(i32);

        #[doc = concat!("A member of [`", stringify!($set), "`].")]
        #[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
        pub enum $flag {
            $(#[doc = $meaning] #[serde(rename = $text)] $name = 1 << $bit,)+
        }

        impl $set {
            const NAMES: &[($flag, &str)] = &[$(($flag::$name, $text)),+];

            /// Every name, and what it means.
            pub(crate) const MEANINGS: &[(&str, &str)] = &[$(($text, $meaning.trim_ascii())),+];

            /// The bits, as the functions take them.
            pub fn bits(self) -> i32 {
                self.0
            }

            /// Whether a flag is set.
            pub fn contains(self, flag: $flag) -> bool {
                self.0 & flag as i32 != 0
            }

            /// The names of the flags that are set, in the order of their bits.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                Self::NAMES.iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, name)| *name)
            }

            /// The set with these names; `None` when there is an unknown one.
            pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
                names.into_iter().try_fold(Self::default(), |set, name| {
                    let (flag, _) = Self::NAMES.iter().find(|(_, known)| *known == name)?;
                    Some(Self(set.0 | *flag as i32))
                })
            }
        }

        impl FromIterator<$flag> for $set {
            fn from_iter<I: IntoIterator<Item = $flag>>(flags: I) -> Self {
                Self(flags.into_iter().fold(0, |bits, flag| bits | flag as i32))
            }
        }

        impl FromStr for $set {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::from_names(text.split(',')).ok_or("must be names of flags, with commas between")
            }
        }

        impl fmt::Debug for $set {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_set().entries(self.names()).finish()
            }
        }

        impl Serialize for $set {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.names())
            }
        }

        impl<'de> Deserialize<'de> for $set {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(Vec::<$flag>::deserialize(deserializer)?.into_iter().collect())
            }
        }
    };
}

flags! {
    /// The flags of a transfer.
    TransferFlags of TransferFlag {
        /// Succeeds or fails with the next transfer of the request.
        Linked = 0 "linked";
        /// Holds the amount.
        Pending = 1 "pending";
        /// Posts a hold.
        PostPending = 2 "post_pending";
        /// Voids a hold.
        VoidPending = 3 "void_pending";
        /// Takes at most what the debit account has.
        BalancingDebit = 4 "balancing_debit";
        /// Gives at most what the credit account lacks.
        BalancingCredit = 5 "balancing_credit";
        /// Closes the debit account.
        ClosingDebit = 6 "closing_debit";
        /// Closes the credit account.
        ClosingCredit = 7 "closing_credit";
        /// Carries a time of its own, from another system.
        Imported = 8 "imported";
    }
}

flags! {
    /// The flags of an account.
    AccountFlags of AccountFlag {
        /// Created with the next account of the request or not at all.
        Linked = 0 "linked";
        /// Refuses a debit that exceeds the posted credits and the overdraft limit.
        DebitsMustNotExceedCredits = 1 "debits_must_not_exceed_credits";
        /// The mirror: refuses a credit that exceeds the posted debits and the overdraft limit.
        CreditsMustNotExceedDebits = 2 "credits_must_not_exceed_debits";
        /// Keeps the balances after each transfer.
        History = 3 "history";
        /// Carries a time of its own, from another system.
        Imported = 4 "imported";
        /// Takes no transfers.
        Closed = 5 "closed";
    }
}

impl AccountFlags {
    /// As the functions return them.
    pub(crate) fn from_bits(bits: i32) -> Self {
        Self(bits)
    }
}

impl TransferFlags {
    /// Settles an id without a transfer. It has no name, so no caller can set it.
    pub(crate) const CANCEL: Self = Self(512);

    /// Whether the transfer resolves a hold, from which it inherits what it leaves out.
    pub(crate) fn resolves_hold(self) -> bool {
        self.contains(TransferFlag::PostPending) || self.contains(TransferFlag::VoidPending)
    }
}
