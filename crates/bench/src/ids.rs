//! The ids of the accounts.
//!
//! The id of an account is computed from the seed, the ledger, its role and its index, so nothing
//! has to be stored between runs and no list of a million ids has to be kept in memory.
//! The index is mixed into the whole id: neighbouring indices have unrelated ids, as random ids
//! would have, and the accounts of one batch lie on unrelated pages of the database's index.
//! Ids in ascending order would be kinder to it than real accounts are.

use uuid::Uuid;

/// What an account is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Debited.
    Hot = 1,
    /// Credited.
    Cold = 2,
    /// Says that a number of hot accounts exist; the index is that number.
    HotMarker = 3,
    /// Says that a number of cold accounts exist; the index is that number.
    ColdMarker = 4,
}

/// Computes the ids of accounts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids {
    seed: u64,
    pub(crate) ledger: u32,
}

impl Ids {
    pub(crate) fn new(seed: u64, ledger: u32) -> Self {
        Self { seed, ledger }
    }

    /// The id of the account of this role with this index: a UUID of version 8.
    pub(crate) fn id(self, role: Role, index: u64) -> Uuid {
        let key = mix(mix(self.seed) ^ (u64::from(self.ledger) << 8) ^ role as u64);
        let high = mix(key ^ index);
        let low = mix(high ^ key.rotate_left(32));
        let bits = u128::from(high) << 64 | u128::from(low);
        uuid::Builder::from_custom_bytes(bits.to_be_bytes()).into_uuid()
    }
}

/// The output function of the SplitMix64 generator: a bijection that spreads every input bit.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_the_same_in_every_run() {
        let id = Ids::new(1, 1).id(Role::Hot, 0);
        assert_eq!(id, Ids::new(1, 1).id(Role::Hot, 0));
        assert_eq!(id.to_string(), "8af1797e-902e-8a66-9c91-55eee2d7a2a7");
    }

    #[test]
    fn ids_differ_by_seed_ledger_role_and_index() {
        let mut seen = HashSet::new();
        for ids in [Ids::new(1, 1), Ids::new(2, 1), Ids::new(1, 2)] {
            for role in [Role::Hot, Role::Cold, Role::HotMarker, Role::ColdMarker] {
                for index in 0..10_000 {
                    assert!(seen.insert(ids.id(role, index)), "{role:?} {index}");
                }
            }
        }
    }

    #[test]
    fn ids_of_neighbours_are_in_no_order() {
        let ids = Ids::new(1, 1);
        let ascending = (0..1000)
            .filter(|index| ids.id(Role::Cold, *index) < ids.id(Role::Cold, index + 1))
            .count();
        assert!((400..600).contains(&ascending), "{ascending} of 1000");
    }
}
