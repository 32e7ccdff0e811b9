//! A server of one's own for each test.

use std::io::{Read, Write};
use std::net::SocketAddr;

use cloverleaf::app::App;
use cloverleaf::config::Options;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running server; it ends with the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Starts a server on a free port of the loopback interface.
    pub(crate) async fn start(options: &Options) -> Self {
        Self::serve(App::new(options).await.expect("the options are good")).await
    }

    /// The same, of what has been built already.
    pub(crate) async fn serve(app: App) -> Self {
        Self::serve_at(([127, 0, 0, 1], 0).into(), app).await
    }

    /// The same, at an address that is free, perhaps since a server there has ended.
    pub(crate) async fn serve_at(address: SocketAddr, app: App) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(app.serve(listener, async {
            // Also ends when the test panics and drops the sender.
            let _ = stopped.await;
        }));
        Self { address, stop: Some(stop), task }
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Shuts the server down as Ctrl-C would, and waits until it has.
    pub(crate) async fn stop(mut self) {
        let _ = self.stop.take().expect("stopped once").send(());
        (&mut self.task).await.expect("the server does not panic").expect("the listener does not fail");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Sends bytes to a server and reads one HTTP response: its head in lower case, and its body.
pub(crate) async fn exchange(address: SocketAddr, request: &str) -> (TcpStream, String, String) {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    stream.set_nodelay(true).expect("a socket");
    let (head, body) = exchange_over(&mut stream, request).await;
    (stream, head, body)
}

/// The same over a stream that leads there.
pub(crate) async fn exchange_over(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &str,
) -> (String, String) {
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a whole head"));
    }
    let head = String::from_utf8(head).expect("text").to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    // The answer to HEAD has the length of a body that does not come.
    let length = if request.starts_with("HEAD ") { None } else { length };
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().expect("a number"))];
    stream.read_exact(&mut body).await.expect("a whole body");
    (head, String::from_utf8(body).expect("text"))
}

/// A plain ELM327 at the returned address, before a car on CAN that answers requests as `car` says: lines with headers
/// and no blanks. Where it answers `None`, the cable is pulled for good.
pub(crate) fn adapter(mut car: impl FnMut(&str) -> Option<String> + Send + 'static) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a client");
        let mut line = String::new();
        let received = std::io::BufReader::new(socket.try_clone().expect("a second handle"));
        for byte in received.bytes().map_while(Result::ok) {
            if byte != b'\r' {
                line.extend(Some(char::from(byte).to_ascii_uppercase()).filter(char::is_ascii_alphanumeric));
                continue;
            }
            let answer = match line.as_str() {
                "ATZ" | "ATWS" | "ATI" => Some("ELM327 v1.5".to_owned()),
                "ATRV" => Some("12.6V".to_owned()),
                "ATDPN" => Some("A6".to_owned()),
                // No shorter lines and no fewer: what the car says is printed as it is.
                "ATH0" => Some("?".to_owned()),
                command if command.starts_with("AT") => Some("OK".to_owned()),
                request if request.starts_with(|digit: char| digit.is_ascii_digit()) => car(request),
                _ => Some("?".to_owned()),
            };
            let Some(answer) = answer else { return };
            if socket.write_all(format!("{answer}\r\r>").as_bytes()).is_err() {
                return;
            }
            line.clear();
        }
    });
    format!("tcp://{address}")
}
