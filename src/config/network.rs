//! The key `network` of a lane: nothing, everything, or a list of hosts and ports.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The ports of an entry that names none: HTTPS and HTTP.
const USUAL_PORTS: [u16; 2] = [443, 80];

/// Bounds the entries of a list; each is looked at for every connection.
const MOST_ENTRIES: usize = 1000;

/// What the steps of a lane can reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Network {
    /// Nothing but a loopback of their own.
    #[default]
    None,
    /// Whatever the machine reaches.
    Full,
    /// What is listed, through the server's proxy.
    Listed(Vec<Destination>),
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    host: HostPattern,
    /// Holds the port; the usual ones if `None`.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    Name(String),
    /// Holds what the names below it end with, the dot included.
    Below(String),
    Address(IpAddr),
}

impl Network {
    /// Tells whether a host's name and a port are on the list; a literal address never is, by this.
    pub fn names(&self, host: &str, port: u16) -> bool {
        self.entries().any(|entry| entry.has_port(port) && entry.host.is_name(host))
    }

    /// Tells whether a literal address and a port are on the list.
    pub fn has_address(&self, address: IpAddr, port: u16) -> bool {
        self.entries().any(|entry| entry.has_port(port) && entry.host == HostPattern::Address(address))
    }

    /// Tells whether any entry is this host, whatever its port; `host` is a name or an address.
    pub fn mentions(&self, host: &str) -> bool {
        let address = host.parse().map(HostPattern::Address).ok();
        self.entries().any(|entry| entry.host.is_name(host) || Some(&entry.host) == address.as_ref())
    }

    /// Narrows this to what `wanted` lets through as well; returns also the parts of `wanted` that go further
    /// than this, in words, which do not count.
    pub fn narrow(&self, wanted: &Self) -> (Self, Vec<String>) {
        match (self, wanted) {
            (_, Self::None) => (Self::None, Vec::new()),
            (Self::Full, wanted) => (wanted.clone(), Vec::new()),
            (Self::None, wanted) => (Self::None, vec![wanted.to_string()]),
            (own, Self::Full) => (own.clone(), vec![wanted.to_string()]),
            (Self::Listed(own), Self::Listed(wanted)) => {
                let covered = |entry: &Destination| own.iter().any(|own| own.covers(entry));
                // Of an entry without a port, one of the usual ones may be on the list.
                let parts = |entry: &Destination| match entry.port {
                    None if !covered(entry) => USUAL_PORTS
                        .map(|port| Destination { host: entry.host.clone(), port: Some(port) })
                        .to_vec(),
                    _ => vec![entry.clone()],
                };
                let (kept, wider): (Vec<_>, Vec<_>) = wanted.iter().flat_map(parts).partition(covered);
                let narrowed = if kept.is_empty() { Self::None } else { Self::Listed(kept) };
                (narrowed, wider.iter().map(ToString::to_string).collect())
            }
        }
    }

    fn entries(&self) -> impl Iterator<Item = &Destination> {
        match self {
            Self::Listed(entries) => entries.iter(),
            Self::None | Self::Full => [].iter(),
        }
    }
}

impl Destination {
    fn has_port(&self, port: u16) -> bool {
        self.port.map_or_else(|| USUAL_PORTS.contains(&port), |own| own == port)
    }

    /// Tells whether all that another entry lets through passes by this one, too.
    fn covers(&self, other: &Self) -> bool {
        let ports = match other.port {
            Some(port) => self.has_port(port),
            None => USUAL_PORTS.iter().all(|port| self.has_port(*port)),
        };
        ports
            && match (&self.host, &other.host) {
                (own, HostPattern::Name(name)) => own.is_name(name),
                (HostPattern::Below(own), HostPattern::Below(end)) => end.ends_with(own.as_str()),
                (own, other) => own == other,
            }
    }
}

impl HostPattern {
    /// Compares without regard to case, as DNS does.
    fn is_name(&self, host: &str) -> bool {
        match self {
            Self::Name(name) => name.eq_ignore_ascii_case(host),
            Self::Below(end) => {
                let host = host.to_ascii_lowercase();
                host.strip_suffix(end.as_str()).is_some_and(|start| !start.is_empty() && is_name(start))
            }
            Self::Address(_) => false,
        }
    }
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("`network` lists `{}`: {why}", text.escape_default()));
        if text.contains("://") || text.contains('/') {
            return wrong("write host and port alone, such as `crates.io:443`");
        }
        if text.contains('@') {
            return wrong("a host has no user before it");
        }
        // An IPv6 address without brackets has several colons and no port.
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if text.parse::<IpAddr>().is_err() && !port.ends_with(']') => {
                (host, Some(port))
            }
            _ => (text, None),
        };
        let port = match port.map(|digits| (digits, digits.parse())) {
            None => None,
            Some((digits, Ok(port))) if port > 0 && !digits.starts_with('+') => Some(port),
            Some(_) => return wrong("behind the colon stands a port from 1 to 65535"),
        };
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse::<IpAddr>() {
            if address.to_canonical() != address {
                return wrong("write an IPv4 address as such");
            }
            return Ok(Self { host: HostPattern::Address(address), port });
        }
        let (below, name) = match host.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, host),
        };
        if name.contains('*') {
            return wrong("a `*` stands only at the start, and for whole names, as in `*.example.com`");
        }
        if !is_name(name) {
            return wrong("that is neither the name of a host nor an IP address");
        }
        if name.rsplit('.').next().is_some_and(is_number) {
            return wrong("a name does not end in a number, and an IP address is written in full");
        }
        if below && !name.contains('.') {
            return wrong("that would be a whole top-level domain; name at least two parts behind the `*.`");
        }
        let name = name.to_ascii_lowercase();
        let host = if below { HostPattern::Below(format!(".{name}")) } else { HostPattern::Name(name) };
        Ok(Self { host, port })
    }
}

/// Tells whether a text has the form of a host's name (RFC 1123; `_` is in use, too).
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// Tells whether resolvers may take a name that ends with this for an IPv4 address: `127.1`, `0x7f.1`.
fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    label.bytes().all(|byte| byte.is_ascii_digit())
        || hex.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Full => f.write_str("full"),
            Self::Listed(entries) => {
                let shown: Vec<String> = entries.iter().map(ToString::to_string).collect();
                f.write_str(&shown.join(", "))
            }
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            HostPattern::Name(name) => f.write_str(name)?,
            HostPattern::Below(end) => write!(f, "*{end}")?,
            HostPattern::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
            HostPattern::Address(address) => write!(f, "{address}")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_str("none"),
            Self::Full => serializer.serialize_str("full"),
            Self::Listed(entries) => serializer.collect_seq(entries.iter().map(ToString::to_string)),
        }
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NetworkVisitor)
    }
}

struct NetworkVisitor;

impl<'de> Visitor<'de> for NetworkVisitor {
    type Value = Network;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"none\", \"full\", or a list such as [\"crates.io:443\", \"*.example.com\"]")
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Network, E> {
        match word {
            "none" => Ok(Network::None),
            "full" => Ok(Network::Full),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(word), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Network, A::Error> {
        let mut entries = Vec::new();
        while let Some(text) = seq.next_element::<String>()? {
            entries.push(text.parse().map_err(A::Error::custom)?);
        }
        match entries.len() {
            0 => Err(A::Error::custom("`network` lists nothing; write \"none\"")),
            n if n > MOST_ENTRIES => {
                Err(A::Error::custom(format!("`network` lists {n} hosts, and {MOST_ENTRIES} are the most")))
            }
            _ => Ok(Network::Listed(entries)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(entries: &[&str]) -> Network {
        Network::Listed(entries.iter().map(|entry| entry.parse().unwrap()).collect())
    }

    #[test]
    fn a_network_is_only_ever_narrowed() {
        let own = listed(&["*.example.com", "crates.io:443", "192.0.2.7:8080"]);
        let wanted = listed(&[
            "a.example.com:443",
            "*.b.example.com",
            "*.com.example.com:80",
            "a.example.com:22",
            "crates.io",
            "192.0.2.7:8080",
            "example.com",
            "*.notexample.com",
        ]);
        let (narrowed, wider) = own.narrow(&wanted);
        let kept = [
            "a.example.com:443",
            "*.b.example.com",
            "*.com.example.com:80",
            "crates.io:443",
            "192.0.2.7:8080",
        ];
        assert_eq!(narrowed, listed(&kept));
        let beyond = ["example.com:443", "example.com:80", "*.notexample.com:443", "*.notexample.com:80"];
        assert_eq!(wider, [["a.example.com:22", "crates.io:80"].as_slice(), &beyond].concat());
        assert_eq!(Network::Full.narrow(&own), (own.clone(), vec![]));
        assert_eq!(own.narrow(&Network::None), (Network::None, vec![]));
        assert_eq!(own.narrow(&listed(&["crates.io:80"])).0, Network::None);
        assert_eq!(own.narrow(&Network::Full).0, own);
        assert_eq!(Network::None.narrow(&own).0, Network::None);
    }

    fn network(toml: &str) -> Result<Network, String> {
        #[derive(Debug, Deserialize)]
        struct Lane {
            network: Network,
        }
        toml::from_str::<Lane>(&format!("network = {toml}"))
            .map(|lane| lane.network)
            .map_err(|e| e.to_string())
    }

    #[test]
    fn a_network_is_none_or_full_or_a_list() {
        assert_eq!(network("\"none\"").unwrap(), Network::None);
        assert_eq!(network("\"full\"").unwrap(), Network::Full);
        let list = "[\"Crates.io:443\", \"*.example.com\", \"127.0.0.1:8080\", \"[::1]:80\", \"::1\"]";
        let shown = "crates.io:443, *.example.com, 127.0.0.1:8080, [::1]:80, [::1]";
        assert_eq!(network(list).unwrap().to_string(), shown);
        for wrong in ["\"some\"", "true", "[]", "[443]", "[\"none\\n\"]"] {
            assert!(network(wrong).unwrap_err().contains("network"), "{wrong}");
        }
    }

    #[test]
    fn what_could_mean_more_than_it_says_is_refused() {
        for (entry, word) in [
            ("*", "start"),
            ("*.*.com", "start"),
            ("a.*.com", "start"),
            ("*example.com", "start"),
            ("*.com", "top-level"),
            ("https://crates.io", "alone"),
            ("crates.io/path", "alone"),
            ("me@crates.io", "user"),
            ("crates.io:0", "port"),
            ("crates.io:65536", "port"),
            ("crates.io:+1", "port"),
            ("crates.io:", "port"),
            ("crates.io.", "neither"),
            ("-a.io", "neither"),
            ("a b", "neither"),
            ("bücher.example", "neither"),
            ("", "neither"),
            ("10.0.0.0/8", "alone"),
            ("127.1", "number"),
            ("2130706433", "number"),
            ("0x7f000001", "number"),
            ("0x7f.0x1", "number"),
            ("[::ffff:127.0.0.1]:80", "IPv4"),
        ] {
            let error = entry.parse::<Destination>().unwrap_err();
            assert!(error.contains(word), "{entry}: {error}");
        }
    }

    #[test]
    fn a_name_is_the_whole_name_and_a_star_is_what_is_below() {
        let list = listed(&["crates.io:443", "*.example.com", "127.0.0.1:8080"]);
        assert!(list.names("crates.io", 443) && list.names("CRATES.IO", 443));
        assert!(list.names("a.example.com", 443) && list.names("a.b.example.com", 80));
        for (host, port) in [
            ("crates.io", 80),
            ("xcrates.io", 443),
            ("crates.io.evil.test", 443),
            ("static.crates.io", 443),
            ("example.com", 443),
            (".example.com", 443),
            ("-.example.com", 443),
            ("a.example.com", 8443),
            ("aexample.com", 443),
            ("127.0.0.1", 8080),
            ("crates.io.", 443),
        ] {
            assert!(!list.names(host, port), "{host}:{port}");
        }
        assert!(list.has_address("127.0.0.1".parse().unwrap(), 8080));
        assert!(!list.has_address("127.0.0.1".parse().unwrap(), 80));
        assert!(!list.has_address("::ffff:127.0.0.1".parse().unwrap(), 8080));
        assert!(list.mentions("127.0.0.1") && !list.mentions("localhost"));
        assert!(!Network::Full.names("crates.io", 443) && !Network::None.names("crates.io", 443));
    }
}
