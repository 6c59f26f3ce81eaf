mod rig;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::gate::Gate;
use super::meter::Activity;
use super::tunnel::{Hello, hello};
use super::*;
use crate::run::network::{DeniedReason, Look, Watch};
use rig::{ANSWER, Rig};

const WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_plain_request_goes_on_as_it_was_understood_and_without_what_is_the_proxys() {
    let rig = Rig::good().await;
    let answer = rig
        .says(
            "GET http://GOOD.test:PORT/a?b=c HTTP/1.1\r\nHost: good.test:PORT\r\nConnection: close, X-Mine\r\n\
             X-Mine: 1\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\nTE: trailers\r\n\
             Upgrade: websocket\r\nX-Kept: yes\r\n\r\n",
            |_| false,
        )
        .await;
    let heard = rig.heard();
    let begins = format!("GET /a?b=c HTTP/1.1\r\nhost: good.test:{}\r\n", rig.port);
    assert!(heard.starts_with(&begins), "{heard}");
    assert!(heard.contains("x-kept: yes"));
    for gone in ["x-mine", "proxy-", "te:", "upgrade", "connection"] {
        assert!(!heard.to_lowercase().contains(gone), "{gone} in {heard}");
    }
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("hello"), "{answer}");
    let answer = answer.to_lowercase();
    assert!(answer.contains("x-kept") && !answer.contains("x-own") && !answer.contains("proxy-"), "{answer}");
    let report = rig.log.report();
    let reached = &report.allowed[0];
    assert_eq!((reached.host.as_str(), reached.connections), ("good.test", 1));
    assert_eq!(reached.bytes_out, heard.len() as u64);
    assert_eq!(reached.bytes_in, ANSWER.len() as u64);
}

#[tokio::test]
async fn each_request_of_a_connection_is_judged_anew() {
    let rig = Rig::good().await;
    let requests = "GET http://good.test:PORT/1 HTTP/1.1\r\nHost: good.test:PORT\r\n\r\n\
        GET http://evil.test:PORT/2 HTTP/1.1\r\nHost: evil.test:PORT\r\n\r\n\
        GET http://good.test:PORT/3 HTTP/1.1\r\nHost: good.test:PORT\r\nConnection: close\r\n\r\n";
    let answers = rig.says(requests, |_| false).await;
    let codes: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(codes, ["200", "403", "200"], "{answers}");
    assert!(answers.contains("evil.test") && answers.contains("not on the network list"), "{answers}");
    assert!(rig.heard().contains("/1") && !rig.heard().contains("/2") && rig.heard().contains("/3"));
    assert_eq!(rig.denied(), [("evil.test".to_owned(), DeniedReason::NotListed, 1)]);
    assert_eq!(
        *rig.table.asked.lock().unwrap(),
        ["good.test", "good.test"],
        "a refused name is not looked up"
    );
}

#[tokio::test]
async fn a_request_that_says_two_things_is_refused() {
    let rig = Rig::good().await;
    for request in [
        "GET http://good.test:PORT/ HTTP/1.1\r\nHost: evil.test\r\n\r\n",
        "GET http://good.test:PORT/ HTTP/1.1\r\nHost: good.test\r\n\r\n",
        "GET http://good.test:PORT/ HTTP/1.1\r\nHost: good.test:PORT\r\nHost: evil.test\r\n\r\n",
        "GET http://good.test:PORT/ HTTP/1.1\r\n\r\n",
        "GET http://evil.test@good.test:PORT/ HTTP/1.1\r\nHost: good.test:PORT\r\n\r\n",
        "GET https://good.test:PORT/ HTTP/1.1\r\nHost: good.test:PORT\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: good.test:PORT\r\n\r\n",
        "GET http://good.test:99999/ HTTP/1.1\r\nHost: good.test:99999\r\n\r\n",
        "CONNECT good.test HTTP/1.1\r\nHost: good.test\r\n\r\n",
        "CONNECT http://good.test:PORT/ HTTP/1.1\r\nHost: good.test\r\n\r\n",
        "CONNECT x@good.test:PORT HTTP/1.1\r\nHost: good.test\r\n\r\n",
    ] {
        let answer = rig.asks(request).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{request}: {answer}");
    }
    assert_eq!(rig.heard(), "");
    let other = ("evil.test".to_owned(), DeniedReason::ServerName, 1);
    assert!(rig.denied().contains(&other), "{:?}", rig.denied());
}

#[tokio::test]
async fn no_request_is_smuggled_inside_another() {
    let inner = "GET http://good.test:PORT/inner HTTP/1.1\r\nHost: good.test:PORT\r\nX-Evil: 1\r\n\r\n";
    for framing in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0\r\n Transfer-Encoding: chunked\r\n",
    ] {
        let rig = Rig::good().await;
        let head = "POST http://good.test:PORT/outer HTTP/1.1\r\nHost: good.test:PORT\r\n";
        // By a length, the inner request would be the body's; by chunks, one of its own.
        let answer = rig.says(&format!("{head}{framing}\r\n0\r\n\r\n{inner}"), |_| true).await;
        let heard = rig.heard().to_lowercase();
        // Whatever the host hears has one framing, and is what the proxy judged.
        for request in heard.split("post ").skip(1) {
            let lengths = request.matches("content-length").count();
            let chunks = request.matches("transfer-encoding").count();
            assert!(lengths + chunks <= 1, "{framing}: {heard}");
        }
        assert!(
            answer.starts_with("HTTP/1.1 400") || answer.starts_with("HTTP/1.1 200"),
            "{framing}: {answer}"
        );
        assert!(
            !heard.contains("/outer") || !heard.contains("xchunked") && !heard.contains("identity"),
            "{heard}"
        );
    }
}

#[tokio::test]
async fn a_tunnel_passes_bytes_both_ways_and_counts_them() {
    let rig = Rig::good().await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let connect = format!("CONNECT good.test:{} HTTP/1.1\r\nHost: good.test\r\n\r\n", rig.port);
    stream.write_all(connect.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(WITHIN, async {
        while !answer.ends_with(b"\r\n\r\n") {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
        }
        stream.write_all(b"anything").await.unwrap();
        let mut back = vec![0; ANSWER.len()];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(back, ANSWER.as_bytes());
    })
    .await
    .unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    assert_eq!(rig.heard(), "anything");
    let reached = &rig.log.report().allowed[0];
    assert_eq!((reached.connections, reached.bytes_out, reached.bytes_in), (1, 8, ANSWER.len() as u64));
}

#[tokio::test]
async fn when_the_proxy_ends_its_connections_do() {
    let mut rig = Rig::good().await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let connect = format!("CONNECT good.test:{} HTTP/1.1\r\nHost: good.test\r\n\r\n", rig.port);
    stream.write_all(connect.as_bytes()).await.unwrap();
    let mut heard = [0; 64];
    assert!(stream.read(&mut heard).await.unwrap() > 0);
    drop(rig.proxy.take());
    let end = async { while stream.read(&mut heard).await.is_ok_and(|count| count > 0) {} };
    tokio::time::timeout(WITHIN, end).await.expect("the tunnel ends");
    let gone = async { while TcpStream::connect(rig.address).await.is_ok() {} };
    tokio::time::timeout(WITHIN, gone).await.expect("nobody listens");
}

#[tokio::test]
async fn addresses_are_reached_only_when_they_are_listed_themselves() {
    let rig = Rig::good().await;
    for host in [
        "169.254.169.254",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "127.0.0.2",
        "127.1",
        "2130706433",
        "0x7f000001",
        "localhost",
        "good.test.",
        "good.test.evil.test",
        "xbelow.test",
    ] {
        let answer = rig.asks(&format!("CONNECT {host}:PORT HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{host}: {answer}");
        let get = format!("GET http://{host}:PORT/ HTTP/1.1\r\nHost: {host}:PORT\r\n\r\n");
        let answer = rig.asks(&get).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{host}: {answer}");
    }
    assert_eq!(rig.heard(), "");
    assert!(rig.table.asked.lock().unwrap().is_empty(), "no name was looked up");
    assert_eq!(rig.denied().len(), 11);
    let literal = rig.asks("GET http://127.0.0.1:PORT/ HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n").await;
    assert!(literal.starts_with("HTTP/1.1 200"), "{literal}");
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_and_only_what_was_checked_is_connected_to() {
    let rig = Rig::good().await;
    let answer = rig.asks("CONNECT inside.test:PORT HTTP/1.1\r\nHost: inside.test\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("not public"), "{answer}");
    assert_eq!(rig.denied(), [("inside.test".to_owned(), DeniedReason::Address, 1)]);

    let resolver = Arc::clone(&rig.table);
    let network = Network::Listed(vec!["mixed.test".parse().unwrap(), "inside.test".parse().unwrap()]);
    let mut gate = Gate { network, private: false, log: NetworkLog::default(), resolver };
    let judged = |found: Result<Vec<SocketAddr>, _>| -> Vec<String> {
        found.unwrap_or_default().iter().map(|it| it.ip().to_string()).collect()
    };
    assert_eq!(judged(gate.judge("mixed.test", 443).await), ["1.1.1.1"]);
    gate.private = true;
    assert_eq!(judged(gate.judge("mixed.test", 443).await), ["10.0.0.1", "1.1.1.1", "::1"]);
    assert_eq!(judged(gate.judge("inside.test", 443).await), ["10.0.0.1", "fd00::1"]);
    let asked = rig.table.asked.lock().unwrap();
    assert_eq!(asked.len(), 4, "each connection looks its name up once: {asked:?}");
}

/// Returns the first message of a TLS connection that wants `host`.
fn client_hello(host: &str) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let mut connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_tls_connection_must_want_the_host_that_was_connected_to() {
    let good = client_hello("good.test");
    assert_eq!(hello(&good, "good.test"), Hello::Sound);
    assert_eq!(hello(&good, "GOOD.test"), Hello::Sound);
    assert_eq!(hello(&good, "other.test"), Hello::Other(Some("good.test".to_owned())));
    assert_eq!(hello(&client_hello("127.0.0.1"), "good.test"), Hello::Sound, "it names no host");
    for end in 0..good.len() {
        assert_eq!(hello(&good[..end], "good.test"), Hello::Unfinished, "{end}");
    }
    assert_eq!(hello(b"SSH-2.0-x", "good.test"), Hello::Sound);
    assert_eq!(hello(b"\x16GET / HTTP", "good.test"), Hello::Other(None));
}

#[derive(Debug, Default)]
struct Seen(Arc<Mutex<String>>);

impl Watch for Seen {
    fn stream(&self) -> Look {
        let (seen, mut own) = (Arc::clone(&self.0), String::new());
        Box::new(move |bytes| {
            let text = String::from_utf8_lossy(bytes);
            own.push_str(&text);
            seen.lock().unwrap().push_str(&text);
            !own.contains("honey")
        })
    }
}

#[tokio::test]
async fn whoever_watches_sees_what_goes_out_and_can_keep_it_in() {
    let seen = Arc::new(Mutex::default());
    let log = NetworkLog::watched(Arc::new(Seen(Arc::clone(&seen))));
    let rig = Rig::new(&["good.test", "127.0.0.1", "*.good.test"], log).await;
    let post = "POST http://good.test:PORT/ HTTP/1.1\r\nHost: good.test:PORT\r\nContent-Length: 4\r\n\r\n";
    rig.asks(&format!("{post}milk")).await;
    let there = format!("good.test:{0}\nhttp://good.test:{0}/\n", rig.port);
    assert_eq!(*seen.lock().unwrap(), format!("{there}good.test{}", rig.heard()));
    let heard = rig.heard().len();
    for (status, kept) in [
        (502, "POST http://good.test:PORT/ HTTP/1.1\r\nHost: good.test:PORT\r\nX: honey\r\n\r\n"),
        (403, "GET http://good.test:PORT/honey HTTP/1.1\r\nHost: good.test:PORT\r\n\r\n"),
        (403, "GET http://honey.good.test:PORT/ HTTP/1.1\r\nHost: honey.good.test:PORT\r\n\r\n"),
    ] {
        let answer = rig.asks(kept).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    assert_eq!(rig.heard().len(), heard, "{}", rig.heard());
    assert_eq!(*rig.table.asked.lock().unwrap(), ["good.test", "good.test"]);
}

#[tokio::test]
async fn a_connection_on_which_nothing_passes_is_over() {
    let (activity, idle) = (Activity::new(), Duration::from_millis(20));
    activity.touch();
    tokio::time::timeout(WITHIN, activity.quiet_for(idle)).await.unwrap();
    assert!(tokio::time::timeout(idle, activity.quiet_for(WITHIN)).await.is_err());
}

#[test]
fn the_variables_lead_to_the_proxy_but_for_the_steps_own_loopback() {
    let list = |entry: &str| Network::Listed(vec![entry.parse().unwrap()]);
    let of = |network: &Network, name: &str| {
        variables(network).into_iter().find(|(other, _)| *other == name).map(|(_, value)| value)
    };
    assert_eq!(of(&list("crates.io"), "https_proxy").unwrap(), "http://127.0.0.1:3128");
    assert_eq!(of(&list("crates.io"), "NO_PROXY").unwrap(), "localhost,127.0.0.1,::1");
    assert_eq!(of(&list("127.0.0.1:80"), "NO_PROXY").unwrap(), "localhost,::1");
    assert!(variables(&Network::None).is_empty() && variables(&Network::Full).is_empty());
    assert!(sets("Http_Proxy") && sets("NO_PROXY") && !sets("TZ"));
}

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "GET ",
        "CONNECT ",
        "http://evil.test/",
        "evil.test:443",
        " HTTP/1.1\r\n",
        "Host: evil.test\r\n",
        "\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "0\r\n\r\n",
        "PRI * HTTP/2.0",
    ]);
    let piece = prop_oneof![
        words.prop_map(|word| word.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..200),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn garbage_reaches_nothing_and_the_proxy_goes_on(pieces in prop::collection::vec(hostile(), 1..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let rig = Rig::good().await;
            for piece in pieces {
                let mut stream = TcpStream::connect(rig.address).await.unwrap();
                let _it_may_close = stream.write_all(&piece).await;
                let _it_may_be_closed = stream.shutdown().await;
                let mut heard = Vec::new();
                let _reset = tokio::time::timeout(WITHIN, stream.read_to_end(&mut heard)).await.expect("an end");
            }
            assert_eq!(rig.heard(), "");
            let get = "GET http://good.test:PORT/ HTTP/1.1\r\nHost: good.test:PORT\r\n\r\n";
            assert!(rig.asks(get).await.starts_with("HTTP/1.1 200"));
        });
    }

    #[test]
    fn no_bytes_break_the_look_into_a_first_message(mut bytes in prop::collection::vec(any::<u8>(), 0..600), at in 0_usize..200) {
        hello(&bytes, "good.test");
        let mut good = client_hello("evil.test");
        let end = bytes.len().min(good.len() - at);
        good[at..at + end].copy_from_slice(&bytes[..end]);
        hello(&good, "good.test");
        bytes.insert(0, 22);
        hello(&bytes, "good.test");
    }
}
