//! Which IP addresses are the public network, and which are somebody's own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whose an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Anybody's: the public network.
    Public,
    /// The machine's own or that of a network around it.
    Private,
    /// Nobody's that a name should lead to: link-local, a cloud's metadata, multicast, reserved.
    Never,
}

/// Tells whose an address is (IANA's registries of special-purpose addresses).
pub(super) fn kind(address: IpAddr) -> Kind {
    match address {
        IpAddr::V4(address) => kind_v4(address),
        IpAddr::V6(address) => kind_v6(address),
    }
}

/// The services by which clouds tell a machine about itself, at addresses that are not link-local: those of
/// Azure (<https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16>) and Alibaba.
const CLOUDS_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(100, 100, 100, 200)];

/// As [`CLOUDS_V4`], that of AWS.
const CLOUD_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

fn kind_v4(address: Ipv4Addr) -> Kind {
    if CLOUDS_V4.contains(&address) {
        return Kind::Never;
    }
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (127 | 10, ..) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) => Kind::Private,
        // "This" network, link-local, protocol assignments, documentation, 6to4 relays, benchmarks,
        // multicast, reserved and broadcast.
        (0, ..)
        | (169, 254, _)
        | (192, 0, 0 | 2)
        | (192, 88, 99)
        | (198, 18..=19, _)
        | (198, 51, 100)
        | (203, 0, 113)
        | (224.., ..) => Kind::Never,
        _ => Kind::Public,
    }
}

fn kind_v6(address: Ipv6Addr) -> Kind {
    let [a, b, c, d, e, f, ..] = address.segments();
    let low = address.to_bits() as u32;
    match a {
        _ if address == Ipv6Addr::LOCALHOST => Kind::Private,
        _ if address == CLOUD_V6 => Kind::Never,
        // What a network's NAT64 translates is as public as the IPv4 address in it (RFC 6052).
        0x64 if (b, c, d, e, f) == (0xff9b, 0, 0, 0, 0) => kind_v4(Ipv4Addr::from(low)),
        0xfc00..=0xfdff => Kind::Private,
        // IPv4 in disguise: Teredo, 6to4; and documentation.
        0x2001 if b < 0x200 || b == 0xdb8 => Kind::Never,
        0x2002 => Kind::Never,
        0x3fff if b < 0x1000 => Kind::Never,
        // What is routed on the public network (RFC 4291); mapped IPv4, link-local and multicast are not.
        0x2000..=0x3fff => Kind::Public,
        _ => Kind::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_address_is_known() {
        let of = |text: &str| kind(text.parse().unwrap());
        for address in ["1.1.1.1", "140.82.121.3", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1"] {
            assert_eq!(of(address), Kind::Public, "{address}");
        }
        for address in ["2606:4700::1111", "2a00:1450::1", "64:ff9b::101:101"] {
            assert_eq!(of(address), Kind::Public, "{address}");
        }
        for address in ["127.0.0.1", "127.255.0.9", "10.1.2.3", "172.16.0.1", "172.31.9.9", "192.168.0.1"] {
            assert_eq!(of(address), Kind::Private, "{address}");
        }
        for address in ["100.64.0.1", "100.127.255.255", "::1", "fc00::1", "fd12::1", "64:ff9b::a00:1"] {
            assert_eq!(of(address), Kind::Private, "{address}");
        }
        for address in ["0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.1", "239.1.1.1", "240.0.0.1"] {
            assert_eq!(of(address), Kind::Never, "{address}");
        }
        for address in ["168.63.129.16", "100.100.100.200", "fd00:ec2::254"] {
            assert_eq!(of(address), Kind::Never, "{address}");
        }
        for address in ["255.255.255.255", "192.0.0.1", "192.0.2.1", "198.18.0.1", "203.0.113.1"] {
            assert_eq!(of(address), Kind::Never, "{address}");
        }
        for address in ["::", "::ffff:127.0.0.1", "::ffff:1.1.1.1", "::127.0.0.1", "fe80::1", "fec0::1"] {
            assert_eq!(of(address), Kind::Never, "{address}");
        }
        for address in ["ff02::1", "2002:7f00:1::", "2001::1", "2001:db8::1", "64:ff9b::a9fe:a9fe", "100::1"]
        {
            assert_eq!(of(address), Kind::Never, "{address}");
        }
        assert_eq!(of("64:ff9b:1::7f00:1"), Kind::Never);
    }
}
