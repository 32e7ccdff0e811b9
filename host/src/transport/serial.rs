//! Serial ports: USB adapters, Bluetooth ones bound to `/dev/rfcomm*`, and pseudo-terminals.

use std::io;
use std::path::{Path, PathBuf};

use tokio_serial::{DataBits, ErrorKind, FlowControl, Parity, SerialPortBuilderExt, SerialStream, StopBits};

/// What adapters are called under `/dev`, most likely first.
const NAMES: [&str; 3] = ["ttyUSB", "ttyACM", "rfcomm"];

/// Why a serial port could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SerialError {
    /// There is no such file.
    #[error("{0}: no such serial port; `cloverleaf obd ports` lists those that exist")]
    Missing(PathBuf),
    /// Another program has it.
    #[error("{0}: the port is in use by another program")]
    Busy(PathBuf),
    /// The user may not.
    #[error("{0}: permission denied; on Debian, members of the group `dialout` may use serial ports")]
    Forbidden(PathBuf),
    /// It is a file, but no serial port.
    #[error("{0}: not a serial port")]
    NotSerial(PathBuf),
    /// Anything else.
    #[error("{path}: {error}")]
    Other {
        /// The port.
        path: PathBuf,
        /// As the system says.
        error: tokio_serial::Error,
    },
}

/// Opens a port for this process alone: eight data bits, no parity, one stop bit, no flow control.
///
/// # Errors
/// [`SerialError`] tells a missing port from a busy and a forbidden one.
pub fn open(path: &Path, baud: u32) -> Result<SerialStream, SerialError> {
    if !path.exists() {
        return Err(SerialError::Missing(path.into()));
    }
    tokio_serial::new(path.to_string_lossy(), baud)
        .data_bits(DataBits::Eight)
        .parity(Parity::None)
        .stop_bits(StopBits::One)
        .flow_control(FlowControl::None)
        .open_native_async()
        .map_err(|error| explain(path, error))
        .inspect(|_| reduce_latency(path))
}

/// Makes an FTDI chip pass on what it has within a millisecond. By default it keeps short answers back for 16, which
/// doubles every exchange.
fn reduce_latency(path: &Path) {
    let Ok(port) = path.canonicalize() else { return };
    let Some(name) = port.file_name() else { return };
    let timer = Path::new("/sys/bus/usb-serial/devices").join(name).join("latency_timer");
    // Other chips have none.
    let Ok(latency) = std::fs::read_to_string(&timer) else { return };
    if latency.trim() != "1"
        && let Err(error) = std::fs::write(&timer, "1")
    {
        let (path, timer, latency) = (path.display(), timer.display(), latency.trim());
        tracing::warn!(
            "{path} answers up to {latency} ms late, which can only be changed by root: echo 1 > {timer} ({error})"
        );
    }
}

/// Opens a port and closes it again, to see whether that works; needs no runtime.
///
/// # Errors
/// As [`open`].
pub fn open_briefly(path: &Path) -> Result<(), SerialError> {
    match tokio_serial::new(path.to_string_lossy(), 38_400).open() {
        Ok(_) => Ok(()),
        Err(error) => Err(explain(path, error)),
    }
}

fn explain(path: &Path, error: tokio_serial::Error) -> SerialError {
    /// Inappropriate ioctl for device: the file is no terminal.
    const ENOTTY: &str = "Not a typewriter";
    let text = error.to_string();
    match error.kind {
        ErrorKind::Io(io::ErrorKind::PermissionDenied) => SerialError::Forbidden(path.into()),
        ErrorKind::Io(io::ErrorKind::ResourceBusy) => SerialError::Busy(path.into()),
        // The lock is the only thing that fails with these words, after the port itself was opened.
        _ if text.contains("exclusive lock") || text.contains("busy") => SerialError::Busy(path.into()),
        _ if text.contains(ENOTTY) || text.contains("Inappropriate ioctl") => {
            SerialError::NotSerial(path.into())
        }
        _ => SerialError::Other { path: path.into(), error },
    }
}

/// Whether a path is a pseudo-terminal, which has no rate to find out.
pub fn is_pty(path: &Path) -> bool {
    path.canonicalize().is_ok_and(|path| path.starts_with("/dev/pts"))
}

/// The ports that may have an adapter, likeliest first.
pub fn ports() -> Vec<PathBuf> {
    let Ok(devices) = std::fs::read_dir("/dev") else { return Vec::new() };
    let mut ports: Vec<(usize, PathBuf)> = devices
        .flatten()
        .filter_map(|device| {
            let name = device.file_name();
            let name = name.to_string_lossy();
            let rank = NAMES.iter().position(|prefix| name.starts_with(prefix))?;
            Some((rank, device.path()))
        })
        .collect();
    ports.sort();
    ports.into_iter().map(|(_, path)| path).collect()
}
