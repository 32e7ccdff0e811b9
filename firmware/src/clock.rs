//! Time from SysTick: one interrupt a millisecond.

use core::cell::Cell;
use core::future::poll_fn;
use core::task::Poll;

use cloverleaf_core::driver::Clock;
use cloverleaf_core::time::Instant;
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use critical_section::Mutex;
use embassy_sync::waitqueue::AtomicWaker;

use crate::board;

/// Milliseconds since start, and the moment that someone waits for.
static NOW: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));
static ALARM: Mutex<Cell<u64>> = Mutex::new(Cell::new(u64::MAX));
static WAITING: AtomicWaker = AtomicWaker::new();

defmt::timestamp!("{=u64:ms}", now());

/// The clock; there is one, and one at a time waits for it.
#[derive(Debug)]
pub struct SysTick(());

impl SysTick {
    /// Starts the ticks.
    ///
    /// # Panics
    /// When called twice: there is one SysTick.
    pub fn start() -> Self {
        let mut syst: SYST = board::take_systick();
        syst.set_clock_source(SystClkSource::Core);
        syst.set_reload(board::CLOCK_HZ / 1_000 - 1);
        syst.clear_current();
        syst.enable_counter();
        syst.enable_interrupt();
        Self(())
    }
}

impl Clock for SysTick {
    fn now(&self) -> Instant {
        Instant::from_millis(now())
    }

    async fn sleep_until(&mut self, deadline: Option<Instant>) {
        let deadline = deadline.map_or(u64::MAX, Instant::as_millis);
        poll_fn(|context| {
            // First the waker, then the look: a tick between the two is not missed.
            WAITING.register(context.waker());
            critical_section::with(|cs| ALARM.borrow(cs).set(deadline));
            if now() >= deadline { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

fn now() -> u64 {
    critical_section::with(|cs| NOW.borrow(cs).get())
}

#[exception]
fn SysTick() {
    let due = critical_section::with(|cs| {
        let now = NOW.borrow(cs).get() + 1;
        NOW.borrow(cs).set(now);
        let due = now >= ALARM.borrow(cs).get();
        if due {
            ALARM.borrow(cs).set(u64::MAX);
        }
        due
    });
    if due {
        WAITING.wake();
    }
}
