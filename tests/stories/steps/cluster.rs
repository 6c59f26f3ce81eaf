//! A small API server of Kubernetes on this machine, with TLS and a bearer token, which answers what kubectl asks
//! for to list pods. Its answers follow the published API; there is no cluster behind it.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

/// A path and the bearer token with which it was asked for.
type Request = (String, String);

pub(crate) struct Cluster {
    url: String,
    certificate: Vec<u8>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Cluster {
    /// Serves pods with these names on loopback to whoever has the token, until the tests end.
    pub(crate) fn start(token: &str, pods: &[&str]) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST.into(), token, pods)
    }

    /// Serves them at an address of this machine.
    pub(crate) fn start_at(address: IpAddr, token: &str, pods: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [key, certificate] = ["key.pem", "cert.pem"].map(|name| folder.path().join(name));
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ])
            .args(["-subj", "/CN=127.0.0.1", "-addext"])
            .args([&format!("subjectAltName=IP:{address}"), "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_file(&certificate).unwrap()],
                PrivateKeyDer::from_pem_file(&key).unwrap(),
            )
            .unwrap();
        let listener = TcpListener::bind((address, 0)).unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (config, kept) = (Arc::new(config), Arc::clone(&requests));
        let (token, pods) = (token.to_owned(), pods.iter().map(|&pod| pod.to_owned()).collect::<Vec<_>>());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, kept, token, pods) =
                    (Arc::clone(&config), Arc::clone(&kept), token.clone(), pods.clone());
                std::thread::spawn(move || serve(stream, config, &kept, &token, &pods));
            }
        });
        Self { url, certificate: std::fs::read(&certificate).unwrap(), requests }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// Answers one request; a client that goes away ends it.
fn serve(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    kept: &Mutex<Vec<Request>>,
    token: &str,
    pods: &[String],
) -> Option<()> {
    let tls = StreamOwned::new(ServerConnection::new(config).ok()?, stream);
    let mut reader = BufReader::new(tls);
    let (mut path, mut bearer, mut line) = (String::new(), String::new(), String::new());
    while reader.read_line(&mut line).ok()? > 2 {
        if path.is_empty() {
            path = line.split(' ').nth(1)?.to_owned();
        } else if let Some(value) = line.strip_prefix("Authorization: Bearer ") {
            bearer = value.trim_end().to_owned();
        }
        line.clear();
    }
    let (status, body) =
        if bearer == token { answer(&path, pods) } else { (401, failure(401, "Unauthorized")) };
    kept.lock().unwrap().push((path, bearer));
    let body = body.to_string();
    let tls = reader.get_mut();
    write!(
        tls,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    tls.conn.send_close_notify();
    tls.flush().ok()
}

fn answer(path: &str, pods: &[String]) -> (u16, Value) {
    match path.split('?').next().unwrap_or_default() {
        "/api" => (200, json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})),
        "/apis" => (200, json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []})),
        "/api/v1" => {
            let pods = json!({"name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod",
                              "verbs": ["delete", "get", "list"], "shortNames": ["po"]});
            (200, json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [pods]}))
        }
        "/api/v1/namespaces/web/pods" => {
            let item = |name: &String| json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "namespace": "web"}});
            let items: Vec<Value> = pods.iter().map(item).collect();
            (
                200,
                json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}),
            )
        }
        _ => (404, failure(404, "NotFound")),
    }
}

fn failure(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code, "message": reason})
}
