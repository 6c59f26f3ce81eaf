//! A lane with a network list, as people meet it: what the result tells, and what a server refuses.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::support::{LANE, Town};

/// Serves one word to everybody; returns the port.
fn host() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let _ = connection.read(&mut [0; 4096]);
            let _ = connection
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nready");
        }
    });
    port
}

#[tokio::test]
async fn the_result_tells_what_was_reached_and_what_was_refused() {
    let port = host();
    let town = Town::with_lanes(&format!("{LANE}network = [\"127.0.0.1:{port}\"]\n")).await;
    let script = format!(
        "curl -sS http://127.0.0.1:{port}/ > ready.txt\nfor n in 1 2; do curl -s https://evil.example/ || true; done\n\
         curl -s 'http://x.evil.example:8080/@octocat' > /dev/null"
    );
    let (comment, result) = town.run(&[("fetch", &script)], &["ready.txt"]).await;
    assert_eq!(result["status"], "success", "{result:#}");
    let network = &result["network"];
    assert_eq!(network["allowed"][0]["host"], "127.0.0.1", "{network:#}");
    assert_eq!(
        (&network["allowed"][0]["port"], &network["allowed"][0]["connections"]),
        (&port.into(), &1.into())
    );
    assert!(network["allowed"][0]["bytes_in"].as_u64().unwrap() > 60, "{network:#}");
    assert!(network["allowed"][0]["bytes_out"].as_u64().unwrap() > 30, "{network:#}");
    let denied = &network["denied"];
    assert_eq!((&denied[0]["host"], &denied[0]["times"]), (&"evil.example".into(), &2.into()), "{denied:#}");
    assert_eq!(
        (&denied[1]["port"], &denied[1]["reason"]),
        (&8080.into(), &"not_listed".into()),
        "{denied:#}"
    );
    assert_eq!((&network["denied_total"], &network["denied_more"]), (&2.into(), &0.into()));
    for line in [
        "- refused `evil.example:443`, 2 times: not on the lane's list".to_owned(),
        "- refused `x.evil.example:8080`, 1 time: not on the lane's list".to_owned(),
        format!("- reached `127.0.0.1:{port}`, 1 connection: "),
    ] {
        assert!(comment.body.contains(&line), "{line}\n{}", comment.body);
    }
}

#[tokio::test]
async fn a_lane_without_a_list_tells_nothing_of_the_network() {
    let town = Town::new().await;
    let (comment, result) = town.run(&[("write", "echo x > x.txt")], &["x.txt"]).await;
    assert!(result["network"].is_null() && !comment.body.contains("**Network:**"), "{}", comment.body);
}

#[test]
fn a_list_that_cannot_be_is_refused_when_the_configuration_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |lane: &str| {
        let config = folder.path().join("codex-brief.toml");
        let text = format!(
            "[github]\napp_id = 1\nprivate_key = {{ file = \"a.pem\" }}\nwebhook_secret = {{ environment = \"S\" }}\n\
             [[lane]]\nname = \"devbox-codex\"\n{lane}\n"
        );
        std::fs::write(&config, text).unwrap();
        let command = std::process::Command::new(env!("CARGO_BIN_EXE_codex-brief"))
            .args(["serve", "--config"])
            .arg(&config)
            .output()
            .unwrap();
        assert_eq!(command.status.code(), Some(2));
        String::from_utf8(command.stderr).unwrap()
    };
    let told = refused("network = [\"https://crates.io\"]");
    assert!(
        told.contains("[config-invalid]") && told.contains("line 7") && told.contains("crates.io:443"),
        "{told}"
    );
    let told = refused("network = [\"crates.io\"]\nsandbox = \"none\"");
    assert!(told.contains("`devbox-codex`") && told.contains("only a sandbox"), "{told}");
    let told = refused("network = \"some\"");
    assert!(told.contains("\"none\", \"full\", or a list"), "{told}");
}
