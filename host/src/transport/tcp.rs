//! Adapters on the network: Wi-Fi ELM327s, emulators, a serial port served by another machine.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a connection may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// While nothing is said (a silent bus is monitored), the other end is asked after so long whether it is still there, then
/// this often, and given up after so many questions without an answer: 14 s in all.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(5))
    .with_interval(Duration::from_secs(3))
    .with_retries(3);

/// Why an address could not be reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TcpError {
    /// The connection failed.
    #[error("tcp://{address}: {}", explain(.error))]
    Connect {
        /// `host:port`
        address: String,
        /// As the system says.
        error: io::Error,
    },
    /// Nobody answered.
    #[error("tcp://{0}: no answer within {TIMEOUT:?}")]
    Timeout(String),
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens there (connection refused)".into(),
        _ => error.to_string(),
    }
}

/// Connects, and sends small packets at once: an exchange of a few bytes must not wait for acknowledgements. An adapter
/// that is gone without a word is noticed within a quarter of a minute.
///
/// # Errors
/// When the name is unknown, or nobody listens or answers.
pub async fn connect(address: &str) -> Result<TcpStream, TcpError> {
    let failed = |error| TcpError::Connect { address: address.into(), error };
    match timeout(TIMEOUT, TcpStream::connect(address)).await {
        Ok(stream) => {
            let stream = stream.map_err(failed)?;
            stream.set_nodelay(true).map_err(failed)?;
            SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE).map_err(failed)?;
            Ok(stream)
        }
        Err(_) => Err(TcpError::Timeout(address.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_adapter_that_is_gone_is_noticed() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let stream = connect(&address).await.expect("a connection");
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().expect("an option"));
        let asked_after = socket.tcp_keepalive_time().expect("an option");
        let then_every = socket.tcp_keepalive_interval().expect("an option");
        let times = socket.tcp_keepalive_retries().expect("an option");
        assert!(asked_after + then_every * times <= Duration::from_secs(15));
    }
}
