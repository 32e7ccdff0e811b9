//! How much is on its way to a client, so that whoever reads slowly is told less instead of late.
//!
//! socketioxide has a queue of packets for each connection and does not say when one has left it. But two moments show:
//! the writer of a WebSocket flushes when it has emptied the queue, or could write all that it had collected; and a
//! client that polls comes back when it has received what it polled for. Such a moment is a *drain*: everything before
//! counts as sent, and a new window of [`WINDOW`] bytes opens.
//!
//! No more than two windows are ever queued. Between two drains one window is added; and a drain leaves one window at
//! most, what was added since the drain before it. (A writer that is blocked drains without emptying the queue, but
//! takes [`WINDOW`] bytes out of it each time: that is how much it collects before it writes.)

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::MAX_QUEUE;

/// How many bytes may be put into a client's queue until it drains. One packet alone is never too long.
pub(super) const WINDOW: usize = 131_072;
/// What every packet counts beyond its data: its name, its frame, its place in the queue.
pub(super) const PACKET: usize = 128;

const _: () = assert!(
    2 * WINDOW / PACKET < MAX_QUEUE,
    "the queue has places for two windows, and for pings beside them"
);

/// The window of one connection, whatever its namespaces.
#[derive(Debug, Default)]
pub struct SendWindow {
    queued: AtomicUsize,
    /// Somebody waits for the next drain.
    awaited: AtomicBool,
    drained: Arc<Notify>,
}

impl SendWindow {
    /// Whether there is room for a packet with so many bytes of data; it counts as queued then.
    pub fn take(&self, bytes: usize) -> bool {
        let grow =
            |queued| (queued == 0 || queued + bytes + PACKET <= WINDOW).then_some(queued + bytes + PACKET);
        self.queued.fetch_update(Ordering::SeqCst, Ordering::SeqCst, grow).is_ok()
    }

    /// Counts a packet that is queued whether there is room or not.
    pub fn charge(&self, bytes: usize) {
        self.queued.fetch_add(bytes + PACKET, Ordering::SeqCst);
    }

    /// Waits for the next drain from now on.
    pub fn drained(&self) -> impl Future<Output = ()> + Send + use<> {
        // Listens from now on, not from the first poll on.
        let drained = Arc::clone(&self.drained).notified_owned();
        self.awaited.store(true, Ordering::SeqCst);
        drained
    }

    /// The queue has been emptied; what has been put there since counts as sent, too.
    pub(super) fn drain(&self) {
        self.queued.store(0, Ordering::SeqCst);
        self.wake();
    }

    /// Whoever waits for a drain waits no longer.
    pub(super) fn wake(&self) {
        // Nearly always nobody does.
        if self.awaited.swap(false, Ordering::SeqCst) {
            self.drained.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_window_takes_so_much_and_no_more_until_it_drains() {
        let window = SendWindow::default();
        let each = WINDOW / 16 - PACKET;
        assert!((0..16).all(|_| window.take(each)) && !window.take(0));
        window.drain();
        assert!(window.take(each));
        window.charge(WINDOW);
        assert!(!window.take(0), "what others send counts");
        window.drain();
        assert!(window.take(10 * WINDOW) && !window.take(0), "one alone is never too long");
    }

    #[test]
    fn whoever_waits_hears_of_the_drain_that_comes_after() {
        let window = SendWindow::default();
        window.drain();
        let mut drained = Box::pin(window.drained());
        assert_eq!(drained.as_mut().now_or_never(), None, "not of the one before");
        let unpolled = window.drained();
        window.drain();
        assert_eq!((drained.now_or_never(), unpolled.now_or_never()), (Some(()), Some(())));
    }

    /// A writer that takes a window's worth, or all there is, before each drain, against somebody who always fills the
    /// window: before the writer looks, between its look and the drain, and after it.
    #[test]
    fn two_windows_are_the_most_that_is_ever_queued() {
        let (window, mut queue, mut next) = (SendWindow::default(), VecDeque::new(), 0);
        let mut fill = |queue: &mut VecDeque<usize>, packets| {
            let lengths = [0, 1, 130, 3300, 16_383, 60_000];
            for _ in 0..packets {
                let length = lengths[next % lengths.len()];
                if !window.take(length) {
                    break;
                }
                queue.push_back(length + PACKET);
                next += 1;
            }
            assert!(queue.iter().sum::<usize>() <= 2 * WINDOW && queue.len() < MAX_QUEUE);
        };
        for round in 0..10_000 {
            fill(&mut queue, round % 11);
            let mut collected = 0;
            while collected <= WINDOW
                && let Some(bytes) = queue.pop_front()
            {
                collected += bytes;
            }
            fill(&mut queue, usize::MAX);
            window.drain();
            fill(&mut queue, usize::MAX);
        }
    }
}
