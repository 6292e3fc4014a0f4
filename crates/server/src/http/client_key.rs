//! Who asks: for fair shares, not for rights.

use axum::http::{Extensions, HeaderMap, HeaderName};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::OnceLock;

/// A client, as far as shares go: a hash of its address, or of the header that a proxy names it by. Two
/// clients with the same key share one share. Differs from process to process, so nobody can aim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClientKey(pub(crate) u64);

#[derive(Hash)]
enum Name<'a> {
    Address(IpAddr),
    Header(&'a [u8]),
    Nobody,
}

impl ClientKey {
    /// Of a request that came from `peer`: by the header of this name if there is a name and the request
    /// has the header, else by its address. Of a header given more than once the last counts: a proxy appends.
    pub(crate) fn of(peer: IpAddr, headers: &HeaderMap, name: Option<&HeaderName>) -> Self {
        let header = name.and_then(|name| headers.get_all(name).iter().next_back());
        Self::hash(match header {
            Some(value) => Name::Header(value.as_bytes()),
            None => Name::Address(network(peer)),
        })
    }

    /// Of a request on its way through the routes; its connection has put the key there.
    pub(crate) fn in_extensions(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or_else(|| Self::hash(Name::Nobody))
    }

    fn hash(name: Name<'_>) -> Self {
        static SEED: OnceLock<RandomState> = OnceLock::new();
        Self(SEED.get_or_init(RandomState::new).hash_one(name))
    }
}

/// What one party is usually given: an address in IPv4, 64 bits in IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::ClientKey;
    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    const HEADER: HeaderName = HeaderName::from_static("x-client");

    fn key(peer: &str, values: &[&'static str], name: Option<&HeaderName>) -> ClientKey {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_static(value));
        }
        ClientKey::of(peer.parse().unwrap(), &headers, name)
    }

    #[test]
    fn a_client_is_an_address_or_a_network_of_64_bits() {
        let v4 = key("192.0.2.1", &[], None);
        assert_ne!(v4, key("192.0.2.2", &[], None));
        assert_eq!(v4, key("::ffff:192.0.2.1", &[], None));
        let v6 = key("2001:db8::1", &[], None);
        assert_eq!(v6, key("2001:db8::ffff:1", &[], None));
        assert_ne!(v6, key("2001:db8:0:1::1", &[], None));
    }

    #[test]
    fn a_header_counts_only_where_it_was_named() {
        let plain = key("192.0.2.1", &[], None);
        assert_eq!(plain, key("192.0.2.1", &["a"], None));
        assert_eq!(plain, key("192.0.2.1", &[], Some(&HEADER)));
        let a = key("192.0.2.1", &["a"], Some(&HEADER));
        assert_ne!(a, plain);
        assert_eq!(a, key("192.0.2.9", &["b", "a"], Some(&HEADER)));
        assert_ne!(a, key("192.0.2.1", &["b"], Some(&HEADER)));
    }
}
