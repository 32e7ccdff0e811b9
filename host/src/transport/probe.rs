//! Finding the serial rate of an adapter: at the right one, it answers with a prompt.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::Stream;

/// The rates that adapters are sold with, commonest first; the fast ones are what `AT BRD` and STN chips offer.
pub const BAUDS: [u32; 9] = [38_400, 115_200, 9_600, 500_000, 230_400, 57_600, 1_000_000, 2_000_000, 19_200];

/// How long an adapter may take to refuse a senseless command.
const PATIENCE: Duration = Duration::from_millis(120);

/// Why no rate was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// Nothing ever came.
    #[error("nothing answers at any serial rate: is an adapter connected and powered?")]
    Mute,
    /// Bytes came, but never a prompt.
    #[error("what answers is no ELM327 at any serial rate")]
    Garbage,
    /// The port failed.
    #[error("the port failed: {0}")]
    Io(#[from] io::Error),
}

/// Sets the port to the first rate at which something answers with a prompt.
///
/// What is sent is two characters that no command begins with: a genuine chip answers `?`, and some clones, which
/// do not answer that, answer the second try, a plain `ATI`.
pub(super) async fn find_baud(stream: &mut Stream) -> Result<u32, ProbeError> {
    let mut heard = false;
    for question in [b"\x7F\x7F\r".as_slice(), b"ATI\r"] {
        for baud in BAUDS {
            stream.set_baud(baud)?;
            drain(stream).await?;
            stream.write_all(question).await?;
            stream.flush().await?;
            match prompt(stream).await? {
                Heard::Prompt => return Ok(baud),
                Heard::Noise => heard = true,
                Heard::Nothing => {}
            }
        }
    }
    Err(if heard { ProbeError::Garbage } else { ProbeError::Mute })
}

enum Heard {
    Nothing,
    Noise,
    Prompt,
}

/// Reads until a prompt follows a line end, or patience ends.
async fn prompt(stream: &mut Stream) -> io::Result<Heard> {
    let deadline = Instant::now() + PATIENCE;
    let mut heard = Heard::Nothing;
    let mut before = 0;
    while let Ok(byte) = timeout_at(deadline, stream.read_u8()).await {
        let byte = byte?;
        // At a wrong rate a prompt may come by chance, but hardly after a line end.
        if byte == b'>' && matches!(before, b'\r' | b'\n') {
            return Ok(Heard::Prompt);
        }
        heard = Heard::Noise;
        before = byte;
    }
    Ok(heard)
}

/// Throws away what the rate before has left; of something that never falls silent, only the first part.
async fn drain(stream: &mut Stream) -> io::Result<()> {
    let mut old = [0; 256];
    for _ in 0..16 {
        match timeout_at(Instant::now() + Duration::from_millis(2), stream.read(&mut old)).await {
            Ok(Ok(0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error),
            Err(_) => break,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::simulator::{Fault, Options, Simulator};

    #[tokio::test(start_paused = true)]
    async fn an_adapter_is_told_from_noise_and_from_nothing() {
        for fault in [Fault::Mute, Fault::Garbage] {
            let simulator = Simulator::new(Options::default());
            simulator.inject(fault);
            let mut stream = Stream::Simulated(simulator.plug_in());
            match (find_baud(&mut stream).await, fault) {
                (Err(ProbeError::Mute), Fault::Mute) | (Err(ProbeError::Garbage), Fault::Garbage) => {}
                (other, fault) => panic!("{fault:?}: {other:?}"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_rate_is_found() {
        for baud in BAUDS {
            let simulator = Simulator::new(Options { baud, ..Options::default() });
            let mut stream = Stream::Simulated(simulator.plug_in());
            assert_eq!(find_baud(&mut stream).await.ok(), Some(baud));
        }
    }
}
