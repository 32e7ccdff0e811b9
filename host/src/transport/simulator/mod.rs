//! A car behind an ELM327, for when there is neither: [`vehicle`] drives, [`ecu`] answers, the adapter talks.
//!
//! It is reached as a cable would be: [`Simulator::plug_in`] gives a byte stream, [`Simulator::listen`] a TCP port,
//! [`Simulator::attach`] serves any stream, a pseudo-terminal for example. Timing is real unless told otherwise:
//! the serial port's speed counts per byte, each control unit thinks before it answers, adaptive timing and the
//! response-count digit save what they save on a real adapter, and the first request searches for the protocol.

mod adapter;
mod cable;
mod dialect;
pub mod ecu;
mod frames;
mod lorry;
mod traffic;
pub mod vehicle;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloverleaf_core::bus::Protocol;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use adapter::Adapter;
pub use cable::Cable;
use cable::Rate;
use ecu::Car;

use crate::http_server;

/// Bytes on their way in each direction of [`Simulator::plug_in`]; the writer waits when they are not read.
const CABLE: usize = 4096;
/// Tokio's timers tick in milliseconds, serial ports do not, and a busy machine wakes nobody in time: up to this much
/// lateness of a reply, which is the simulator's own, is credited to the request that follows, so that the rate of exchanges
/// is right although single ones are late. What the other side takes to answer is not.
const CREDIT: Duration = Duration::from_millis(20);

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Options {
    /// The bus of the car; that of SAE J1939 makes it a lorry, which is only listened to.
    pub protocol: Protocol,
    /// Bits per second of the adapter's serial port.
    pub baud: u32,
    /// The link's own delay in each direction: Bluetooth, Wi-Fi, a USB latency timer.
    pub delay: Duration,
    /// Whether anything takes time.
    pub timing: Timing,
    /// How long the engine has been running when the simulation begins.
    pub warm: Duration,
    /// Seconds that pass for the car in a second.
    pub pace: f64,
    /// What CAN frames are filled up with, if anything.
    pub padding: Option<u8>,
    /// Whether the adapter is an STN, as OBDLink's are, and not an ELM327.
    pub stn: bool,
}

/// Whether the simulation takes the time that the real thing would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// It does.
    Real,
    /// Every reply is there at once: for tests and benchmarks of the other side.
    None,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            protocol: Protocol::Can11Fast,
            baud: 115_200,
            delay: Duration::ZERO,
            timing: Timing::Real,
            warm: Duration::ZERO,
            pace: 1.0,
            padding: None,
            stn: false,
        }
    }
}

impl Options {
    /// The engine's running time at a moment of the simulation.
    fn car_time(&self, at: Duration) -> Duration {
        self.warm + at.mul_f64(self.pace)
    }
}

/// Something that is wrong with car, adapter or cable, until it is mended with [`Fault::None`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// All is well.
    #[default]
    None,
    /// The adapter says nothing.
    Mute,
    /// What arrives is not what was sent, as at a wrong baud rate.
    Garbage,
    /// The cable is pulled out half-way through the next reply.
    Unplug,
    /// Nobody on the bus answers.
    NoData,
    /// The bus has electrical trouble.
    CanError,
    /// Frames arrive damaged and are marked so.
    DataError,
    /// Lines lose their ends.
    Truncated,
    /// In every line a character is another one.
    Corrupted,
    /// The adapter's buffer runs over in the middle of every answer.
    BufferFull,
    /// Every answer is interrupted by a character that nobody sent.
    Stopped,
    /// Every control unit takes this much longer.
    Slow(Duration),
    /// The cable garbles what is faster than this, in bits per second.
    SlowCable(u32),
    /// The first line of one answer in so many arrives damaged and is marked so.
    Spoiled {
        /// How many answers to one.
        every: u32,
    },
}

/// A running simulation; clones share the car.
#[derive(Clone, Debug)]
pub struct Simulator {
    options: Options,
    car: Arc<Mutex<Car>>,
    begun: Instant,
    trouble: Arc<watch::Sender<Trouble>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Trouble {
    fault: Fault,
    brown_outs: u32,
}

impl Simulator {
    /// Starts the engine.
    pub fn new(options: Options) -> Self {
        let car = Arc::new(Mutex::new(Car::new(options.protocol.is_can())));
        Self { options, car, begun: Instant::now(), trouble: Arc::default() }
    }

    /// A car like this one, with another bus.
    pub(super) fn with_protocol(self, protocol: Protocol) -> Self {
        Self::new(Options { protocol, ..self.options })
    }

    /// A new adapter on the car, and its cable. Must be called within a runtime; the adapter lives until the
    /// cable is dropped.
    pub fn plug_in(&self) -> Cable {
        let (ours, theirs) = tokio::io::duplex(CABLE);
        let rate = Rate::new(self.options.baud);
        let simulator = self.clone();
        let theirs = Cable::new(theirs, rate.clone());
        tokio::spawn(async move {
            let rate = theirs.rate();
            // The only failure of an in-memory cable is that the other end is gone.
            let _ = simulator.serve(theirs, Some(rate)).await;
        });
        Cable::new(ours, rate)
    }

    /// Gives every connection an adapter of its own on the one car, for ever.
    ///
    /// # Errors
    /// When the listener is none.
    pub async fn listen(&self, mut listener: TcpListener) -> io::Result<()> {
        loop {
            let stream = http_server::accept(&mut listener).await?;
            let simulator = self.clone();
            tokio::spawn(async move {
                if let Err(error) = simulator.attach(stream).await {
                    tracing::debug!(%error, "a connection to the simulator failed");
                }
            });
        }
    }

    /// An adapter on the car that talks over `stream`, until the other side hangs up.
    ///
    /// # Errors
    /// When the stream fails.
    pub async fn attach(&self, stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        self.serve(stream, None).await
    }

    /// As [`attach`](Self::attach); where the other side has a serial rate, what is sent at another is garbled.
    async fn serve(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        rate: Option<Rate>,
    ) -> io::Result<()> {
        let garbles = |fault: Fault, ours: u32| match (&rate, fault) {
            (_, Fault::Garbage) => true,
            (Some(_), Fault::SlowCable(most)) if ours > most => true,
            (Some(theirs), _) => theirs.get() != ours,
            (None, _) => false,
        };
        let mut adapter = Adapter::new(self.options.clone(), self.car.clone());
        let mut trouble = self.trouble.subscribe();
        let mut brown_outs = trouble.borrow().brown_outs;
        adapter.fault = trouble.borrow_and_update().fault;
        let mut credit = Duration::ZERO;
        let mut noise = 0x2545_F491_u32;
        let mut buffer = [0; 1024];
        loop {
            let due = adapter.due();
            if due.is_none_or(|due| due > self.begun.elapsed()) {
                tokio::select! {
                    read = stream.read(&mut buffer) => {
                        let count = read?;
                        if count == 0 {
                            return Ok(());
                        }
                        let now = self.begun.elapsed().saturating_sub(credit);
                        let bytes = &mut buffer[..count];
                        if adapter.fault != Fault::Garbage && garbles(adapter.fault, adapter.baud()) {
                            bytes.iter_mut().for_each(|byte| *byte = scramble(&mut noise));
                        }
                        adapter.receive(now, bytes);
                    }
                    () = self.sleep_until(due) => {}
                    changed = trouble.changed() => {
                        if changed.is_err() {
                            return Ok(());
                        }
                        let trouble = *trouble.borrow_and_update();
                        adapter.fault = trouble.fault;
                        if brown_outs != trouble.brown_outs {
                            brown_outs = trouble.brown_outs;
                            adapter.brown_out(self.begun.elapsed());
                        }
                    }
                }
            }
            let now = self.begun.elapsed();
            let (mut bytes, left, baud) = adapter.poll(now);
            if bytes.is_empty() {
                continue;
            }
            credit = now.saturating_sub(left).min(CREDIT);
            match adapter.fault {
                Fault::Mute => continue,
                fault if garbles(fault, baud) => {
                    bytes.iter_mut().for_each(|byte| *byte = scramble(&mut noise));
                }
                Fault::Unplug => {
                    stream.write_all(&bytes[..bytes.len() / 2]).await?;
                    return stream.shutdown().await;
                }
                _ => {}
            }
            stream.write_all(&bytes).await?;
            stream.flush().await?;
        }
    }

    /// Makes something go wrong, or right again, on every adapter of this car.
    pub fn inject(&self, fault: Fault) {
        self.trouble.send_modify(|trouble| trouble.fault = fault);
    }

    /// Lets the supply fail for a moment: every adapter forgets its settings and says `LV RESET`.
    pub fn brown_out(&self) {
        self.trouble.send_modify(|trouble| trouble.brown_outs += 1);
    }

    /// Turns the ignition on or off. Off, no control unit answers.
    pub fn ignition(&self, on: bool) {
        self.car.lock().unwrap_or_else(std::sync::PoisonError::into_inner).ignition = on;
    }

    /// What the car is doing now.
    pub fn state(&self) -> vehicle::State {
        vehicle::state(self.options.car_time(self.begun.elapsed()))
    }

    async fn sleep_until(&self, due: Option<Duration>) {
        match due {
            Some(due) => tokio::time::sleep_until(self.begun + due).await,
            None => std::future::pending().await,
        }
    }
}

/// A byte that has nothing to do with what was sent, and is neither a line end nor a prompt for long.
fn scramble(noise: &mut u32) -> u8 {
    *noise ^= *noise << 13;
    *noise ^= *noise >> 17;
    *noise ^= *noise << 5;
    (*noise >> 11) as u8
}
