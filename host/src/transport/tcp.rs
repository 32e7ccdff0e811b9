//! Adapters on the network: Wi-Fi ELM327s, emulators, a serial port served by another machine.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(5);

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
    #[error("tcp://{0}: no answer within {PATIENCE:?}")]
    Timeout(String),
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens there (connection refused)".into(),
        _ => error.to_string(),
    }
}

/// Connects, and sends small packets at once: an exchange of a few bytes must not wait for acknowledgements.
///
/// # Errors
/// When the name is unknown, or nobody listens or answers.
pub async fn connect(address: &str) -> Result<TcpStream, TcpError> {
    let failed = |error| TcpError::Connect { address: address.into(), error };
    match timeout(PATIENCE, TcpStream::connect(address)).await {
        Ok(stream) => {
            let stream = stream.map_err(failed)?;
            stream.set_nodelay(true).map_err(failed)?;
            Ok(stream)
        }
        Err(_) => Err(TcpError::Timeout(address.into())),
    }
}
