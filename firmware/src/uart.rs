//! The UART of Arm's Cortex-M System Design Kit (CMSDK), driven by interrupts.
//!
//! Bytes received go to a ring of [`RX`] bytes; when that is full, further ones are dropped and counted
//! ([`Uart::dropped`]), and the next read logs how many. Bytes to send go to a ring of [`TX`] bytes; when that is full, the writer waits.
//!
//! Source: Arm Cortex-M System Design Kit TRM, 4.3 "APB UART"; addresses and interrupts: AN386.

use core::cell::RefCell;
use core::convert::Infallible;
use core::future::poll_fn;
use core::ptr;
use core::task::Poll;

use critical_section::{CriticalSection, Mutex};
use embassy_sync::waitqueue::AtomicWaker;
use embedded_io_async::{BufRead, ErrorType, Read, Write};
use heapless::Deque;

use crate::board;

/// How many received bytes may wait to be read: 44 ms at 115 200 baud.
pub const RX: usize = 512;

/// How many bytes may wait to be sent.
pub const TX: usize = 128;

/// What one read hands out at most.
const CHUNK: usize = 64;

/// Registers, from the port's base.
const DATA: usize = 0x00;
const STATE: usize = 0x04;
const CTRL: usize = 0x08;
const INTCLEAR: usize = 0x0C;
const BAUDDIV: usize = 0x10;

const STATE_RX_FULL: u32 = 1 << 1;
const STATE_TX_FULL: u32 = 1 << 0;
const CTRL_ALL: u32 = 0b1111; // transmitter, receiver, and the interrupts of both
const INT_TX: u32 = 1 << 0;
const INT_RX: u32 = 1 << 1;

/// A UART of the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// UART 0: the adapter.
    Zero,
    /// UART 1.
    One,
}

impl Port {
    const fn base(self) -> usize {
        match self {
            Self::Zero => 0x4000_4000,
            Self::One => 0x4000_5000,
        }
    }

    fn line(self) -> &'static Line {
        match self {
            Self::Zero => &LINES[0],
            Self::One => &LINES[1],
        }
    }

    fn read(self, register: usize) -> u32 {
        // SAFETY: the address is that of a register of this port, which exists on this board and has no side effect
        // on memory; only this module touches it.
        unsafe { ptr::read_volatile((self.base() + register) as *const u32) }
    }

    fn write(self, register: usize, value: u32) {
        // SAFETY: as in `read`.
        unsafe { ptr::write_volatile((self.base() + register) as *mut u32, value) }
    }
}

/// What interrupts and tasks share.
struct Line {
    rings: Mutex<RefCell<Rings>>,
    received: AtomicWaker,
    sent: AtomicWaker,
}

struct Rings {
    rx: Deque<u8, RX>,
    tx: Deque<u8, TX>,
    /// Whether the transmitter is at work and will interrupt.
    sending: bool,
    dropped: u32,
}

impl Line {
    const fn new() -> Self {
        Self {
            rings: Mutex::new(RefCell::new(Rings {
                rx: Deque::new(),
                tx: Deque::new(),
                sending: false,
                dropped: 0,
            })),
            received: AtomicWaker::new(),
            sent: AtomicWaker::new(),
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Rings, CriticalSection<'_>) -> T) -> T {
        critical_section::with(|cs| look(&mut self.rings.borrow_ref_mut(cs), cs))
    }
}

static LINES: [Line; 2] = [Line::new(), Line::new()];

/// A UART that tasks read and write.
#[derive(Debug)]
pub struct Uart {
    port: Port,
    /// Bytes taken from the ring, for `fill_buf` to lend.
    chunk: [u8; CHUNK],
    start: usize,
    end: usize,
    /// How many dropped bytes were logged.
    logged: u32,
}

impl Uart {
    /// Turns a port on. Open each once: two would share what comes in.
    pub fn open(port: Port, baud: u32) -> Self {
        // The divisor is at least 16 (TRM 4.3.4).
        port.write(BAUDDIV, (board::CLOCK_HZ / baud.max(1)).max(16));
        port.write(INTCLEAR, INT_TX | INT_RX);
        port.write(CTRL, CTRL_ALL);
        board::enable_uart(port);
        Self { port, chunk: [0; CHUNK], start: 0, end: 0, logged: 0 }
    }

    /// How many bytes came while there was no room for them.
    pub fn dropped(&self) -> u32 {
        self.port.line().with(|rings, _| rings.dropped)
    }
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl BufRead for Uart {
    async fn fill_buf(&mut self) -> Result<&[u8], Infallible> {
        if self.start >= self.end {
            let line = self.port.line();
            self.end = poll_fn(|context| {
                line.received.register(context.waker());
                let count = line.with(|rings, _| {
                    let mut count = 0;
                    while let Some(room) = self.chunk.get_mut(count)
                        && let Some(byte) = rings.rx.pop_front()
                    {
                        *room = byte;
                        count += 1;
                    }
                    count
                });
                if count > 0 { Poll::Ready(count) } else { Poll::Pending }
            })
            .await;
            self.start = 0;
            let dropped = self.dropped();
            if dropped != self.logged {
                defmt::warn!("{=u32} received bytes were lost", dropped.wrapping_sub(self.logged));
                self.logged = dropped;
            }
        }
        Ok(self.chunk.get(self.start..self.end).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.start = (self.start + amount).min(self.end);
    }
}

impl Read for Uart {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        let bytes = self.fill_buf().await?;
        let count = bytes.len().min(buf.len());
        for (to, from) in buf.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.consume(count);
        Ok(count)
    }
}

impl Write for Uart {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let line = self.port.line();
        let written = poll_fn(|context| {
            line.sent.register(context.waker());
            let written = line.with(|rings, _| {
                let mut written = 0;
                for byte in bytes {
                    if rings.tx.push_back(*byte).is_err() {
                        break;
                    }
                    written += 1;
                }
                if !rings.sending {
                    send_next(self.port, rings);
                }
                written
            });
            if written > 0 { Poll::Ready(written) } else { Poll::Pending }
        });
        Ok(written.await)
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        let line = self.port.line();
        poll_fn(|context| {
            line.sent.register(context.waker());
            if line.with(|rings, _| rings.sending) { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        Ok(())
    }
}

/// Hands the transmitter its next byte, if there is one and room for it.
fn send_next(port: Port, rings: &mut Rings) {
    rings.sending = match rings.tx.pop_front() {
        Some(byte) => {
            port.write(DATA, byte.into());
            true
        }
        None => false,
    };
}

/// The receiver has a byte.
pub(crate) fn on_receive(port: Port) {
    port.write(INTCLEAR, INT_RX);
    let line = port.line();
    line.with(|rings, _| {
        while port.read(STATE) & STATE_RX_FULL != 0 {
            let byte = port.read(DATA) as u8;
            if rings.rx.push_back(byte).is_err() {
                rings.dropped = rings.dropped.saturating_add(1);
            }
        }
    });
    line.received.wake();
}

/// The transmitter has room.
pub(crate) fn on_transmit(port: Port) {
    port.write(INTCLEAR, INT_TX);
    let line = port.line();
    line.with(|rings, _| {
        if port.read(STATE) & STATE_TX_FULL == 0 {
            send_next(port, rings);
        }
    });
    line.sent.wake();
}
