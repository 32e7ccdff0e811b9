//! Finding the serial rate of an adapter: at the right one, it answers with a prompt.

use std::io;
use std::time::Duration;

use cloverleaf_core::elm327::wire::is_banner;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::Stream;

/// The rates that adapters are sold with, commonest first; the fast ones are what `AT BRD` and STN chips offer.
pub const BAUDS: [u32; 9] = [38_400, 115_200, 9_600, 500_000, 230_400, 57_600, 1_000_000, 2_000_000, 19_200];

/// What is sent at each rate, and how long an answer may take. First two characters that no command begins with: a genuine
/// chip answers `?` at once. Some clones do not answer that, and some take their time.
const QUESTIONS: [(&[u8], Duration); 3] = [
    (b"\x7F\x7F\r", Duration::from_millis(120)),
    (IDENTIFY, Duration::from_millis(120)),
    (IDENTIFY, TIMEOUT),
];

/// What every adapter answers with its name.
const IDENTIFY: &[u8] = b"ATI\r";

/// How long any adapter may take for that.
const TIMEOUT: Duration = Duration::from_millis(400);

/// The most of an answer that is kept, in bytes; of a longer one, the end.
const ANSWER: usize = 256;

/// Why no rate was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// Nothing ever came.
    #[error("nothing answers at any serial rate: is an adapter connected and powered?")]
    Mute,
    /// Bytes came, but no adapter's name.
    #[error("what answers is no ELM327 at any serial rate")]
    Garbage,
    /// The port failed.
    #[error("the port failed: {0}")]
    Io(#[from] io::Error),
}

/// Sets the port to the first rate at which an adapter names itself. A prompt alone tells the rate, but consoles of other
/// devices have one, too.
pub(super) async fn find_baud(stream: &mut Stream) -> Result<u32, ProbeError> {
    let mut heard = false;
    for (question, timeout) in QUESTIONS {
        for baud in BAUDS {
            stream.set_baud(baud)?;
            match ask(stream, question, timeout).await? {
                Heard::Prompt(answer) if is_banner(&answer) => return Ok(baud),
                Heard::Prompt(_) if introduces_itself(stream).await? => return Ok(baud),
                Heard::Prompt(_) | Heard::Noise => heard = true,
                Heard::Nothing => {}
            }
        }
    }
    Err(if heard { ProbeError::Garbage } else { ProbeError::Mute })
}

/// Whether there is an adapter at the rate that is set.
pub(super) async fn introduces_itself(stream: &mut Stream) -> Result<bool, ProbeError> {
    // The first may end what was half a line.
    for _ in 0..2 {
        if let Heard::Prompt(answer) = ask(stream, IDENTIFY, TIMEOUT).await?
            && is_banner(&answer)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

enum Heard {
    Nothing,
    Noise,
    /// What came before a prompt.
    Prompt(Vec<u8>),
}

/// Sends a line and reads until a prompt follows a line end, or the time is over.
async fn ask(stream: &mut Stream, question: &[u8], timeout: Duration) -> io::Result<Heard> {
    drain(stream).await?;
    stream.write_all(question).await?;
    stream.flush().await?;
    let deadline = Instant::now() + timeout;
    let mut answer = Vec::new();
    while let Ok(byte) = timeout_at(deadline, stream.read_u8()).await {
        let byte = byte?;
        // At a wrong rate a prompt may come by chance, but hardly after a line end.
        if byte == b'>' && matches!(answer.last(), Some(b'\r' | b'\n')) {
            return Ok(Heard::Prompt(answer));
        }
        if answer.len() == ANSWER {
            answer.drain(..ANSWER / 2);
        }
        answer.push(byte);
    }
    Ok(if answer.is_empty() { Heard::Nothing } else { Heard::Noise })
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
    use tokio::net::{TcpListener, TcpStream};

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

    #[tokio::test]
    async fn a_console_with_a_prompt_is_no_adapter() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut console, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            while let Ok(byte) = console.read_u8().await {
                let says: &[u8] =
                    if byte == b'\r' { b"\r\nSyntaxError: invalid syntax\r\n>>> " } else { &[byte] };
                console.write_all(says).await.unwrap();
            }
        });
        let found = find_baud(&mut Stream::Tcp(stream)).await;
        assert!(matches!(found, Err(ProbeError::Garbage)), "{found:?}");
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
