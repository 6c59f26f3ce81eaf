//! What steps of a lane with a network list reach, and every other way out that they try.

use std::io::{Cursor, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::{Arc, Mutex};

use codex_brief::config::Network;
use codex_brief::lane::ProcessLane;
use codex_brief::run::network::{DeniedReason, NetworkReport};
use codex_brief::run::report::StepStatus;
use rustls::server::Acceptor;

use super::{Rig, assert_gone};

/// A host of the machine that keeps the first line that each connection says, and answers it: with a
/// redirect to `/` of the place that a path names behind `/to/`, with `reached` otherwise.
struct Host {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Host {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, heard) = (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<String>>>::default());
        let kept = Arc::clone(&heard);
        std::thread::spawn(move || {
            for mut connection in listener.incoming().flatten() {
                let line = first_line(&mut connection);
                let _gone = match line.split(' ').nth(1).and_then(|path| path.strip_prefix("/to/")) {
                    Some(place) => write!(
                        connection,
                        "HTTP/1.1 302 Found\r\nLocation: http://{place}/\r\n\
                        Content-Length: 0\r\nConnection: close\r\n\r\n"
                    ),
                    None => write!(
                        connection,
                        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\
                        Connection: close\r\n\r\nreached"
                    ),
                };
                kept.lock().unwrap().push(line);
            }
        });
        Self { port, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

/// Reads a message's head and returns its first line; of a TLS message, the host that it wants.
fn first_line(connection: &mut TcpStream) -> String {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match connection.read(&mut buffer) {
            Ok(count @ 1..) => bytes.extend_from_slice(&buffer[..count]),
            _ => return String::from_utf8_lossy(&bytes).into_owned(),
        }
        if bytes[0] == 22 {
            let mut acceptor = Acceptor::default();
            acceptor.read_tls(&mut Cursor::new(&bytes)).unwrap();
            if let Ok(Some(accepted)) = acceptor.accept() {
                return format!("TLS {}", accepted.client_hello().server_name().unwrap_or("nobody"));
            }
        } else if bytes.windows(4).any(|end| end == b"\r\n\r\n") {
            return String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().to_owned();
        }
    }
}

/// A lane whose list has these entries; names may lead to this machine.
fn listed(entries: &[String]) -> Rig {
    Rig::with(|config| {
        config.network = Network::Listed(entries.iter().map(|entry| entry.parse().unwrap()).collect());
        config.network_private_addresses = true;
    })
}

fn denied(report: &NetworkReport) -> Vec<(String, DeniedReason)> {
    report.denied.iter().map(|it| (format!("{}:{}", it.host, it.port), it.reason)).collect()
}

/// Every way out that needs no proxy, as a script that prints what worked; `ports` are the machine's.
fn ways_out(tcp: &[u16], udp: u16, abstract_name: &str) -> String {
    format!(
        "python3 - <<'END'
import socket
def tried(what, family, kind, address, payload=None):
    s = socket.socket(family, kind)
    s.settimeout(2)
    try:
        s.connect(address)
        if payload: s.send(payload); s.recv(1)
        print('got out by', what)
    except OSError: pass
    finally: s.close()
I4, I6, TCP, UDP = socket.AF_INET, socket.AF_INET6, socket.SOCK_STREAM, socket.SOCK_DGRAM
for port in {tcp:?}: tried('a port of the machine', I4, TCP, ('127.0.0.1', port))
for port in {tcp:?}: tried('a port of the machine', I6, TCP, ('::1', port))
tried('udp to the machine', I4, UDP, ('127.0.0.1', {udp}), b'x')
tried('the metadata address', I4, TCP, ('169.254.169.254', 80))
tried('ipv4', I4, TCP, ('1.1.1.1', 443))
tried('ipv6', I6, TCP, ('2606:4700:4700::1111', 443))
tried('dns', I4, UDP, ('1.1.1.1', 53), b'x')
tried('dns by ipv6', I6, UDP, ('2606:4700:4700::1111', 53), b'x')
tried('broadcast', I4, UDP, ('255.255.255.255', 53), b'x')
tried('an abstract socket', socket.AF_UNIX, TCP, '\\0{abstract_name}')
try: print('resolved', socket.getaddrinfo('crates.io', 443))
except OSError: pass
try: socket.socket(I4, socket.SOCK_RAW, 1); print('got a raw socket')
except OSError: pass
try: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3); print('got a packet socket')
except OSError: pass
END
tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '
[ ! -s /etc/resolv.conf ] || echo a resolver"
    )
}

#[tokio::test]
async fn there_is_no_way_around_the_list() {
    let (host, other) = (Host::new(), Host::new());
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let name = format!("codex-brief-test-{}-{}", std::process::id(), host.port);
    let unix = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    unix.set_nonblocking(true).unwrap();
    udp.set_nonblocking(true).unwrap();
    let script = ways_out(&[host.port, other.port], udp.local_addr().unwrap().port(), &name);
    assert_eq!(Rig::new().prints(&script).await, "lo");
    assert_eq!(listed(&[format!("127.0.0.1:{}", host.port)]).prints(&script).await, "lo");
    assert!(unix.accept().is_err() && udp.recv(&mut [0]).is_err());
    assert!(host.heard().is_empty() && other.heard().is_empty());
}

#[tokio::test]
async fn what_is_listed_is_reached_by_name_and_by_address() {
    let host = Host::new();
    let port = host.port;
    let rig = listed(&[format!("localhost:{port}"), format!("127.0.0.1:{port}")]);
    let script = format!(
        "curl -sS http://localhost:{port}/plain; echo; curl -sS http://127.0.0.1:{port}/address; echo; \
         curl -sSp http://localhost:{port}/tunnel; echo; \
         env | grep -i _proxy= | sort -f; ls -m /proc/$$/fd"
    );
    let printed = rig.prints(&script).await;
    let proxy = "http://127.0.0.1:3128";
    let lines = ["reached", "reached", "reached"];
    assert!(printed.starts_with(&lines.join("\n")), "{printed}");
    assert!(
        printed.contains(&format!("https_proxy={proxy}")) && printed.contains("NO_PROXY=::1"),
        "{printed}"
    );
    assert_eq!(host.heard(), ["GET /plain HTTP/1.1", "GET /address HTTP/1.1", "GET /tunnel HTTP/1.1"]);
    let report = rig.network.report();
    let told: Vec<_> = report.allowed.iter().map(|it| (it.host.as_str(), it.port, it.connections)).collect();
    assert_eq!(told, [("127.0.0.1", port, 1), ("localhost", port, 2)]);
    assert!(report.allowed.iter().all(|it| it.bytes_out > 60 && it.bytes_in > 50), "{report:?}");
    assert!(report.denied.is_empty(), "{report:?}");
    let descriptors = printed.lines().last().unwrap();
    assert_eq!(descriptors, "0, 1, 2, 255", "the step has nothing of how its network was made");
}

#[tokio::test]
async fn each_step_has_its_way_out() {
    let host = Host::new();
    let get = format!("curl -sS http://127.0.0.1:{}/", host.port);
    let rig = listed(&[format!("127.0.0.1:{}", host.port)]);
    ProcessLane::new(rig.config.clone()).probe(rig.runs_root()).await.unwrap();
    let reports = rig.try_run(&[&get, &get], |_| {}).await.unwrap();
    assert!(reports.iter().all(|report| report.log.tail == "reached"), "{reports:?}");
    assert_eq!(rig.network.report().allowed[0].connections, 2);
}

#[tokio::test]
async fn what_is_not_listed_is_refused_and_told_and_a_redirect_leads_nowhere_else() {
    let (host, other) = (Host::new(), Host::new());
    let (port, hidden) = (host.port, other.port);
    let rig = listed(&[format!("localhost:{port}"), "example.com".to_owned()]);
    let script = format!(
        "code() {{ curl -s -m 20 -o /dev/null -w '%{{http_code}}/%{{http_connect}} ' \"$@\" || true; }}
         unset NO_PROXY no_proxy
         code http://localhost:{hidden}/
         code http://127.0.0.1:{port}/
         code -p http://localhost:{hidden}/
         code https://evil.test/
         code http://169.254.169.254/latest/meta-data/
         code -p http://169.254.169.254:80/
         code -p 'http://[::ffff:169.254.169.254]:80/'
         code http://secret-in-a-name.evil.test/
         code -L http://localhost:{port}/to/localhost:{hidden}
         code -H 'Host: evil.test' http://localhost:{port}/
         code https://evil.test:{port}/ --connect-to evil.test:{port}:localhost:{port}"
    );
    let printed = rig.prints(&script).await;
    let expected = "403/000 403/000 000/403 000/403 403/000 000/403 000/403 403/000 403/000 400/000 000/200";
    assert_eq!(printed, expected);
    assert_eq!(host.heard(), [format!("GET /to/localhost:{hidden} HTTP/1.1"), String::new()]);
    assert!(other.heard().is_empty());
    let report = rig.network.report();
    let denied = denied(&report);
    for place in [
        format!("localhost:{hidden}"),
        format!("127.0.0.1:{port}"),
        "evil.test:443".to_owned(),
        "169.254.169.254:80".to_owned(),
        "[::ffff:169.254.169.254]:80".to_owned(),
        "secret-in-a-name.evil.test:80".to_owned(),
    ] {
        assert!(denied.contains(&(place.clone(), DeniedReason::NotListed)), "{place}: {denied:?}");
    }
    for place in ["evil.test:80".to_owned(), format!("evil.test:{port}")] {
        assert!(denied.contains(&(place.clone(), DeniedReason::ServerName)), "{place}: {denied:?}");
    }
    assert_eq!(report.denied.iter().find(|it| it.port == hidden).unwrap().times, 3);
}

#[tokio::test]
async fn tls_to_a_listed_name_passes_untouched() {
    let host = Host::new();
    let port = host.port;
    let rig = listed(&[format!("localhost:{port}")]);
    let script = format!("env -u NO_PROXY -u no_proxy curl -s -m 20 https://localhost:{port}/ || echo $?");
    // The host hangs up after the first message.
    assert_eq!(rig.prints(&script).await, "35");
    assert_eq!(host.heard(), ["TLS localhost"]);
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_refused_unless_the_operator_allows_it() {
    let host = Host::new();
    let port = host.port;
    let rig = Rig::with(|config| {
        config.network = Network::Listed(vec![format!("localhost:{port}").parse().unwrap()]);
    });
    let printed = rig.prints(&format!("curl -sS http://localhost:{port}/")).await;
    assert!(printed.contains("not public"), "{printed}");
    assert!(host.heard().is_empty());
    assert_eq!(denied(&rig.network.report()), [(format!("localhost:{port}"), DeniedReason::Address)]);
}

#[tokio::test]
async fn a_step_that_kills_all_it_can_gets_no_more() {
    let (host, other) = (Host::new(), Host::new());
    let rig = listed(&[format!("127.0.0.1:{}", host.port)]);
    let report = rig
        .run(&format!(
            "kill -KILL -1 2>/dev/null || true
             for port in {} {}; do (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null && echo out; done
             curl -sS -o /dev/null -w '%{{http_code}} ' http://127.0.0.1:{}/
             curl -sS http://127.0.0.1:{}/
             python3 -c 'import socket
try: socket.create_server((\"127.0.0.1\", 3128)); print(\"took the port\")
except OSError: pass'",
            host.port, other.port, other.port, host.port
        ))
        .await;
    assert_eq!((report.status, report.log.tail.as_str()), (StepStatus::Succeeded, "403 reached"));
    assert!(other.heard().is_empty());
    assert_gone(&rig.run);
}
