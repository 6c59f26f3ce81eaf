//! What the webhook answers, and when.

use std::io::{Read, Write};
use std::net::TcpStream;

use github_sim::GithubSim;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, RequestBuilder, StatusCode};
use sha2::Sha256;
use sqlx::{Connection, Row};

use crate::support::Town;

pub(crate) fn sign(sim: &GithubSim, body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(sim.webhook_secret().as_bytes()).unwrap();
    format!("sha256={}", hex::encode(mac.chain_update(body).finalize().into_bytes()))
}

fn post(town: &Town, guid: &str, event: &str, body: &[u8]) -> RequestBuilder {
    Client::new()
        .post(format!("{}/webhooks/github", town.server.url()))
        .header("x-github-delivery", guid)
        .header("x-github-event", event)
        .body(body.to_vec())
}

async fn answer(request: RequestBuilder) -> StatusCode {
    request.send().await.unwrap().status()
}

/// Reads a delivery from the server's store.
async fn stored(town: &Town, guid: &str) -> Option<(String, Option<String>, Vec<u8>)> {
    let mut store = town.store().await;
    let row = sqlx::query("SELECT state, reason, body FROM deliveries WHERE guid = ?")
        .bind(guid)
        .fetch_optional(&mut store)
        .await
        .unwrap();
    row.map(|row| (row.get(0), row.get(1), row.get(2)))
}

/// Waits until a delivery was looked at, and returns its state and the reason.
async fn settled(town: &Town, guid: &str) -> (String, String) {
    // A delivery stands as ignored in the store once the next one has been looked at.
    town.logged(&format!("delivery ignored guid=\"{guid}\"")).await;
    town.everything_else_is_done().await;
    let (state, reason, _) = stored(town, guid).await.unwrap();
    (state, reason.unwrap_or_default())
}

#[tokio::test]
async fn a_wrong_missing_or_sha1_signature_is_refused_and_nothing_is_stored() {
    let town = Town::new().await;
    let body = br#"{"zen":"x"}"#;
    let signature = sign(&town.sim, body);
    let wrong = signature.replace('a', "b").replace('0', "1");
    assert_eq!(answer(post(&town, "none", "ping", body)).await, 401);
    let request = post(&town, "sha1", "ping", body).header("x-hub-signature", "sha1=0000");
    assert_eq!(answer(request).await, 401);
    let request = post(&town, "wrong", "ping", body).header("x-hub-signature-256", wrong);
    assert_eq!(answer(request).await, 401);
    let request = post(&town, "other", "ping", br#"{"zen":"y"}"#).header("x-hub-signature-256", signature);
    assert_eq!(answer(request).await, 401);
    for guid in ["none", "sha1", "wrong", "other"] {
        assert_eq!(stored(&town, guid).await, None);
    }
}

#[tokio::test]
async fn what_is_signed_is_stored_as_it_came_whatever_it_is() {
    let town = Town::new().await;
    let cases: [(&str, &str, &[u8], &str); 4] = [
        ("guid-ping", "ping", br#"{"zen":"x"}"#, "`ping`"),
        ("guid-unknown", "star", b"{}", "`star`"),
        ("guid-no-json", "issues", b"payload=%7B%7D", "cannot be read"),
        ("guid-odd", "issues", br#"{"action":"pinned"}"#, "`pinned`"),
    ];
    for (guid, event, body, reason) in cases {
        let request = post(&town, guid, event, body).header("x-hub-signature-256", sign(&town.sim, body));
        assert_eq!(answer(request).await, 202, "{guid}");
        let (state, told) = settled(&town, guid).await;
        assert_eq!(state, "ignored");
        assert!(told.contains(reason), "{guid}: {told}");
        assert_eq!(stored(&town, guid).await.unwrap().2, body);
        let request = post(&town, guid, event, body).header("x-hub-signature-256", sign(&town.sim, body));
        assert_eq!(answer(request).await, 202, "the second arrival of {guid}");
    }
}

#[tokio::test]
async fn a_body_over_25_mb_is_too_large_and_one_below_is_not() {
    let town = Town::new().await;
    let large = vec![b' '; (25 << 20) + 1];
    let request = post(&town, "large", "ping", &large).header("x-hub-signature-256", sign(&town.sim, &large));
    // The server may close before all of it is sent.
    if let Ok(answer) = request.send().await {
        assert_eq!(answer.status(), 413);
    }
    assert_eq!(stored(&town, "large").await, None);
    let mut most = vec![b' '; 25_000_000];
    most[0] = b'{';
    most[1] = b'}';
    let request = post(&town, "most", "ping", &most).header("x-hub-signature-256", sign(&town.sim, &most));
    assert_eq!(answer(request).await, 202);
}

#[tokio::test]
async fn an_unannounced_flood_is_too_large_and_a_slow_body_is_too_slow() {
    let town = Town::new().await;
    let address = town.server.url().replace("http://", "");
    let exchange = move |head: &'static str, chunks: usize| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(crate::support::SOON)).unwrap();
        let start = "POST /webhooks/github HTTP/1.1\r\nhost: x\r\nx-hub-signature-256: sha256=00\r\n\
                     x-github-event: ping\r\nx-github-delivery: raw\r\n";
        stream.write_all(format!("{start}{head}").as_bytes()).unwrap();
        let chunk = [b"100000\r\n".as_slice(), &vec![b'x'; 0x10_0000], b"\r\n"].concat();
        for _ in 0..chunks {
            if stream.write_all(&chunk).is_err() {
                break;
            }
        }
        let mut line = [0; 12];
        stream.read_exact(&mut line).unwrap();
        String::from_utf8(line.to_vec()).unwrap()
    };
    let (flood, slow) = (exchange.clone(), exchange);
    let flood = tokio::task::spawn_blocking(move || flood("transfer-encoding: chunked\r\n\r\n", 26));
    assert_eq!(flood.await.unwrap(), "HTTP/1.1 413");
    let slow = tokio::task::spawn_blocking(move || slow("content-length: 100\r\n\r\nabc", 0));
    assert_eq!(slow.await.unwrap(), "HTTP/1.1 408");
}

#[tokio::test]
async fn strangers_who_send_slowly_keep_no_delivery_out() {
    let town = Town::new().await;
    let address = town.server.url().replace("http://", "");
    let head = "POST /webhooks/github HTTP/1.1\r\nhost: x\r\nx-hub-signature-256: sha256=00\r\n\
                content-length: 20000000\r\n\r\nabc";
    let connect = |_| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let slow: Vec<TcpStream> = (0..100).map(connect).collect();
    let body = br#"{"zen":"x"}"#;
    let request =
        post(&town, "among-slow", "ping", body).header("x-hub-signature-256", sign(&town.sim, body));
    assert_eq!(answer(request).await, 202);
    drop(slow);
}

#[tokio::test]
async fn connections_that_ask_for_nothing_are_bounded_and_closed() {
    let town = Town::new().await;
    let address = town.server.url().replace("http://", "");
    let connect = |_| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(b"POST /webhooks/github HTTP/1.1\r\n").unwrap();
        stream
    };
    let mut silent: Vec<TcpStream> = (0..600).map(connect).collect();
    let open = std::fs::read_dir(format!("/proc/{}/fd", town.server.pid())).unwrap().count();
    assert!(open < 600, "the server has {open} files open");
    // Those that wait for a place get one when the first are closed.
    assert_eq!(answer(Client::new().get(format!("{}/healthz", town.server.url()))).await, 200);
    let first = tokio::task::spawn_blocking(move || {
        silent[0].set_read_timeout(Some(crate::support::SOON)).unwrap();
        silent[0].read_to_end(&mut Vec::new()).unwrap_or_default()
    });
    assert_eq!(first.await.unwrap(), 0);
}

#[tokio::test]
async fn a_store_that_does_not_take_it_is_never_answered_with_success() {
    let town = Town::new().await;
    let mut other = town.store().await;
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    let body = br#"{"zen":"x"}"#;
    let signed = || post(&town, "locked", "ping", body).header("x-hub-signature-256", sign(&town.sim, body));
    assert_eq!(answer(signed()).await, 503);
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    assert_eq!(stored(&town, "locked").await, None);
    assert_eq!(answer(signed()).await, 202);
}

#[tokio::test]
async fn health_is_told_to_programs_and_people() {
    let town = Town::new().await;
    assert_eq!(answer(Client::new().get(format!("{}/healthz", town.server.url()))).await, 200);
    town.logged("the lane takes work").await;
    assert_eq!(answer(Client::new().get(format!("{}/readyz", town.server.url()))).await, 200);
    let page = reqwest::get(town.server.url()).await.unwrap().text().await.unwrap();
    assert!(page.contains("Ready for briefs") && page.contains("devbox-codex"), "{page}");
}
