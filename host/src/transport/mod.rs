//! How the bytes of an adapter travel: over a serial port, over TCP, or to a simulated car.
//!
//! [`Adapter`] is what a person writes (`auto`, `sim`, `/dev/ttyUSB0`, `tcp://192.168.0.10:35000`); [`open`] makes a
//! [`Port`] of it. Nothing here knows what the bytes mean, but for the one question that tells a serial rate: does
//! something answer with a prompt?

mod probe;
pub mod serial;
pub mod simulator;
pub mod tcp;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll};

use cloverleaf_core::bus::Protocol;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_serial::{SerialPort, SerialStream};

pub use probe::{BAUDS, ProbeError};
use simulator::{Cable, Simulator};

/// Where the adapter is.
#[derive(Clone, Debug)]
pub enum Adapter {
    /// Whichever serial port has one, at a rate that is found out unless given.
    Auto {
        /// Bits per second.
        baud: Option<u32>,
    },
    /// In the simulator.
    Simulated(Simulator),
    /// On a serial port, at a rate that is found out unless given.
    Serial {
        /// The port: `/dev/ttyUSB0`.
        path: PathBuf,
        /// Bits per second.
        baud: Option<u32>,
    },
    /// On the network.
    Tcp {
        /// `host:port`
        address: String,
    },
}

impl Adapter {
    /// The same adapter at a serial rate that must be found out, because the known one is wrong.
    #[must_use]
    pub fn with_unknown_baud(self) -> Self {
        match self {
            Self::Serial { path, .. } => Self::Serial { path, baud: None },
            Self::Auto { .. } => Self::Auto { baud: None },
            other => other,
        }
    }

    /// The same adapter at this serial rate; no change where there is no serial port.
    #[must_use]
    pub fn with_baud(self, rate: Option<u32>) -> Self {
        match self {
            Self::Serial { path, baud } => Self::Serial { path, baud: rate.or(baud) },
            Self::Auto { baud } => Self::Auto { baud: rate.or(baud) },
            other => other,
        }
    }

    /// The same adapter on this bus: the simulated car has what is asked for, a real one has what it has.
    #[must_use]
    pub fn with_protocol(self, bus: Option<Protocol>) -> Self {
        match (self, bus) {
            (Self::Simulated(simulator), Some(bus)) => Self::Simulated(simulator.with_protocol(bus)),
            (other, _) => other,
        }
    }
}

impl Default for Adapter {
    fn default() -> Self {
        Self::Simulated(Simulator::new(simulator::Options::default()))
    }
}

impl FromStr for Adapter {
    type Err = AdapterError;

    fn from_str(text: &str) -> Result<Self, AdapterError> {
        match text {
            "auto" => Ok(Self::Auto { baud: None }),
            "sim" => Ok(Self::default()),
            "" => Err(AdapterError::Empty),
            // python-OBD's users write socket://.
            _ => match text.strip_prefix("tcp://").or_else(|| text.strip_prefix("socket://")) {
                Some(address) => {
                    let port = address.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>()));
                    match port {
                        Some((host, Ok(_))) if !host.is_empty() => Ok(Self::Tcp { address: address.into() }),
                        _ => Err(AdapterError::Address(address.into())),
                    }
                }
                None if text.contains("://") => Err(AdapterError::Scheme(text.into())),
                None => Ok(Self::Serial { path: text.into(), baud: None }),
            },
        }
    }
}

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto { .. } => f.write_str("auto"),
            Self::Simulated(_) => f.write_str("sim"),
            Self::Serial { path, .. } => write!(f, "{}", path.display()),
            Self::Tcp { address } => write!(f, "tcp://{address}"),
        }
    }
}

/// Why a text names no adapter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// There is no text.
    #[error("an adapter is `auto`, `sim`, the path of a serial port, or tcp://HOST:PORT")]
    Empty,
    /// Not `host:port`.
    #[error("`{0}` is no HOST:PORT")]
    Address(String),
    /// A URL of another kind.
    #[error("`{0}` is no kind of adapter that is known here: use a path or tcp://HOST:PORT")]
    Scheme(String),
}

/// Why there is no connection to an adapter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The serial port could not be opened.
    #[error(transparent)]
    Serial(#[from] serial::SerialError),
    /// The network address could not be reached.
    #[error(transparent)]
    Tcp(#[from] tcp::TcpError),
    /// The port opens, but what is on it does not behave as an adapter.
    #[error("{path}: {error}")]
    Probe {
        /// The port.
        path: PathBuf,
        /// What it did instead.
        error: ProbeError,
    },
    /// No port has an adapter.
    #[error("no adapter found; {}", Looked(.0))]
    NotFound(Vec<(PathBuf, String)>),
}

/// For the error: what was looked at, and what was wrong with it.
struct Looked<'a>(&'a [(PathBuf, String)]);

impl fmt::Display for Looked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("there is no serial port that could have one (ttyUSB, ttyACM, rfcomm)");
        }
        f.write_str("looked at ")?;
        for (number, (path, error)) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { "; " };
            write!(f, "{comma}{} ({error})", path.display())?;
        }
        Ok(())
    }
}

/// An open connection to an adapter.
#[derive(Debug)]
pub struct Port {
    /// What clients know it by: a path, `tcp://host:port`, `sim`.
    pub name: String,
    /// The bytes.
    pub stream: Stream,
    /// The serial rate, where there is one.
    pub baud: Option<u32>,
}

/// Connects to an adapter. A serial rate that is not given is found out, which takes up to a second.
///
/// # Errors
/// [`OpenError`] says what is missing, busy, forbidden, unreachable or mute.
pub async fn open(adapter: &Adapter) -> Result<Port, OpenError> {
    let name = adapter.to_string();
    match adapter {
        Adapter::Simulated(simulator) => {
            let cable = simulator.plug_in();
            let baud = Some(cable.baud());
            Ok(Port { name, stream: Stream::Simulated(cable), baud })
        }
        Adapter::Tcp { address } => {
            Ok(Port { name, stream: Stream::Tcp(tcp::connect(address).await?), baud: None })
        }
        Adapter::Serial { path, baud: Some(baud) } => {
            Ok(Port { name, stream: Stream::Serial(serial::open(path, *baud)?), baud: Some(*baud) })
        }
        Adapter::Serial { path, baud: None } => {
            let mut stream = Stream::Serial(serial::open(path, BAUDS[0])?);
            if serial::is_pty(path) {
                return Ok(Port { name, stream, baud: None });
            }
            match probe::find_baud(&mut stream).await {
                Ok(baud) => Ok(Port { name, stream, baud: Some(baud) }),
                Err(error) => Err(OpenError::Probe { path: path.clone(), error }),
            }
        }
        Adapter::Auto { baud } => {
            let mut looked = Vec::new();
            for path in serial::ports() {
                let adapter = Adapter::Serial { path: path.clone(), baud: *baud };
                let opened = Box::pin(open(&adapter)).await;
                let error = match opened {
                    Ok(mut port) => match probe::introduces_itself(&mut port.stream).await {
                        Ok(true) => return Ok(port),
                        Ok(false) => ProbeError::Garbage.to_string(),
                        Err(error) => error.to_string(),
                    },
                    Err(OpenError::Probe { error, .. }) => error.to_string(),
                    Err(error) => error.to_string(),
                };
                looked.push((path, error));
            }
            Err(OpenError::NotFound(looked))
        }
    }
}

/// The bytes of any transport.
#[derive(Debug)]
#[non_exhaustive]
pub enum Stream {
    /// A serial port.
    Serial(SerialStream),
    /// A network connection.
    Tcp(TcpStream),
    /// The simulator.
    Simulated(Cable),
}

impl Stream {
    /// Changes the serial rate; where there is none, that is no change.
    ///
    /// # Errors
    /// When the port does not take it.
    pub fn set_baud(&mut self, baud: u32) -> io::Result<()> {
        match self {
            Self::Serial(port) => port.set_baud_rate(baud).map_err(io::Error::from),
            Self::Simulated(cable) => {
                cable.set_baud(baud);
                Ok(())
            }
            Self::Tcp(_) => Ok(()),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Serial(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Simulated(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Serial(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Simulated(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            // Waiting until the last bit has left (tcdrain) would block; the reply tells that it has.
            Self::Serial(_) => Poll::Ready(Ok(())),
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Simulated(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Serial(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Simulated(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adapters_are_written_as_people_do() {
        for (text, shown) in [
            ("auto", Ok("auto")),
            ("sim", Ok("sim")),
            ("/dev/ttyUSB0", Ok("/dev/ttyUSB0")),
            ("tcp://192.168.0.10:35000", Ok("tcp://192.168.0.10:35000")),
            ("socket://elm.local:35000", Ok("tcp://elm.local:35000")),
            ("tcp://[::1]:35000", Ok("tcp://[::1]:35000")),
            ("", Err(AdapterError::Empty)),
            ("tcp://elm.local", Err(AdapterError::Address("elm.local".into()))),
            ("tcp://:35000", Err(AdapterError::Address(":35000".into()))),
            ("tcp://elm:99999", Err(AdapterError::Address("elm:99999".into()))),
            ("ftp://elm:1", Err(AdapterError::Scheme("ftp://elm:1".into()))),
        ] {
            let adapter = text.parse::<Adapter>().map(|adapter| adapter.to_string());
            assert_eq!(adapter.as_deref().map_err(Clone::clone), shown, "{text}");
        }
    }
}
