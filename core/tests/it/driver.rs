//! The driver over links of every mood.

use core::convert::Infallible;
use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::rc::Rc;

use cloverleaf_core::driver::{Clock, Driver, Error};
use cloverleaf_core::elm327::session::{Event, Failure, Refused, Request, Session, Settings};
use cloverleaf_core::machine::{Machine, Output};
use cloverleaf_core::time::Instant;
use embassy_futures::block_on;
use embedded_io_async::{BufRead, ErrorType, Read, Write};

/// Time that passes by a millisecond with every look at it, and at once when someone waits for it.
#[derive(Clone, Default)]
struct Ticking(Rc<Cell<u64>>);

impl Clock for Ticking {
    fn now(&self) -> Instant {
        self.0.set(self.0.get() + 1);
        Instant::from_millis(self.0.get())
    }

    async fn sleep_until(&mut self, deadline: Option<Instant>) {
        match deadline {
            Some(deadline) => self.0.set(self.0.get().max(deadline.as_millis())),
            None => core::future::pending().await,
        }
    }
}

/// A link whose other end says the next of these after each line, and after the last nothing, or the same for ever.
struct Scripted {
    says: Vec<&'static str>,
    now: &'static [u8],
    endless: bool,
    sent: Rc<RefCell<String>>,
}

impl ErrorType for Scripted {
    type Error = Infallible;
}

impl Write for Scripted {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.sent.borrow_mut().push_str(core::str::from_utf8(bytes).unwrap());
        if bytes.ends_with(b"\r") && !self.says.is_empty() {
            self.now = self.says.remove(0).as_bytes();
        }
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl BufRead for Scripted {
    async fn fill_buf(&mut self) -> Result<&[u8], Infallible> {
        match (self.now, self.endless) {
            ([], true) => Ok(b"y\n"),
            ([], false) => core::future::pending().await,
            (bytes, _) => Ok(bytes),
        }
    }

    fn consume(&mut self, amount: usize) {
        self.now = self.now.get(amount..).unwrap_or_default();
    }
}

impl Read for Scripted {
    async fn read(&mut self, _: &mut [u8]) -> Result<usize, Infallible> {
        unreachable!("the driver borrows")
    }
}

type Elm = Session<4, 64>;

fn driver(says: Vec<&'static str>, endless: bool) -> (Driver<Elm, Scripted, Ticking>, Rc<RefCell<String>>) {
    let sent = Rc::new(RefCell::new(String::new()));
    let link = Scripted { says, now: b"", endless, sent: sent.clone() };
    let mut driver = Driver::new(Elm::new(Settings::default()), link, Ticking::default());
    let now = driver.now();
    driver.machine.connect(now);
    (driver, sent)
}

/// The other end of a connection, then these.
fn adapter(more: &[&'static str]) -> Vec<&'static str> {
    let mut says = vec!["ELM327 v1.5\r\r>"];
    says.extend(["OK\r\r>"; 10]);
    says.extend(["?\r\r>", "12.3V\r\r>", "OK\r\r>", "7E8064100BE3FA813\r\r>", "A6\r\r>"]);
    says.extend(more);
    says
}

#[test]
fn deadlines_are_kept_while_there_is_always_something_to_read() {
    let (mut driver, _) = driver(Vec::new(), true);
    let failure = block_on(driver.run(|event| match event {
        Event::Trouble(failure) => ControlFlow::Break(failure),
        _ => ControlFlow::Continue(()),
    }));
    assert_eq!(failure, Ok(Failure::NotAnAdapter));
}

#[test]
fn an_interrupt_is_heard_while_there_is_always_something_to_read() {
    let (mut driver, _) = driver(Vec::new(), true);
    let answer = block_on(driver.run_or(async { "enough" }, |_| ControlFlow::Continue(())));
    assert_eq!(answer, Ok("enough"));
}

#[test]
fn what_is_asked_is_answered_also_when_it_was_pending() {
    // The adapter's time-out is set for it, and taken back afterwards: the next request finds that on its way.
    let (mut driver, sent) = driver(
        adapter(&["7E8037F0178\r\r>", "OK\r\r>", "7E804410C1AF8\r\r>", "OK\r\r>", "7E803410D20\r\r>"]),
        false,
    );
    block_on(driver.run(|event| match event {
        Event::Link(link) if link.as_str() == "Car Connected" => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    }))
    .unwrap();
    for (request, wanted) in
        [([0x01, 0x0C], vec![0x41, 0x0C, 0x1A, 0xF8]), ([0x01, 0x0D], vec![0x41, 0x0D, 0x20])]
    {
        let asked = driver.now();
        let answer = block_on(driver.ask(
            Request::new(&request),
            |_| {},
            |now, result| {
                assert!(now > asked);
                result.unwrap().messages().next().unwrap().data.to_vec()
            },
        ));
        assert_eq!(answer, Ok(Ok(wanted)));
    }
    let sent = sent.borrow();
    assert!(sent.ends_with("010C\rATSTFF\r010C\rATST00\r010D\r"), "{sent:?}");
}

#[test]
fn what_cannot_be_asked_is_refused_at_once() {
    let (mut driver, _) = driver(Vec::new(), false);
    let answer = block_on(driver.ask(Request::new(&[0x01, 0x0C]), |_| {}, |_, _| {}));
    assert_eq!(answer, Ok(Err(Refused::NotConnected)));
}

#[test]
fn a_link_that_closes_is_an_error() {
    struct Closed;
    impl ErrorType for Closed {
        type Error = Infallible;
    }
    impl Write for Closed {
        async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
            Ok(bytes.len())
        }
        async fn flush(&mut self) -> Result<(), Infallible> {
            Ok(())
        }
    }
    impl BufRead for Closed {
        async fn fill_buf(&mut self) -> Result<&[u8], Infallible> {
            Ok(&[])
        }
        fn consume(&mut self, _: usize) {}
    }
    impl Read for Closed {
        async fn read(&mut self, _: &mut [u8]) -> Result<usize, Infallible> {
            Ok(0)
        }
    }
    let mut driver = Driver::new(Elm::new(Settings::default()), Closed, Ticking::default());
    assert_eq!(block_on(driver.run(|_| ControlFlow::<()>::Continue(()))), Err(Error::Closed));
    assert_eq!(block_on(driver.settle(|_| {})), Err(Error::Closed));
}

#[test]
fn what_was_sent_is_on_its_way_when_an_event_ends_a_run() {
    /// Greets, and tells so.
    struct Greeter(u8);
    impl Machine for Greeter {
        type Event<'a> = ();
        fn handle_input(&mut self, _: Instant, bytes: &[u8]) -> usize {
            bytes.len()
        }
        fn handle_timeout(&mut self, _: Instant) {}
        fn poll(&mut self) -> Output<'_, ()> {
            self.0 += 1;
            match self.0 {
                1 => Output::Transmit(b"hello"),
                2 => Output::Event(()),
                _ => Output::Wait(None),
            }
        }
    }
    /// Keeps what is written until it is flushed.
    #[derive(Default)]
    struct Buffered(Vec<u8>, Rc<RefCell<Vec<u8>>>);
    impl ErrorType for Buffered {
        type Error = Infallible;
    }
    impl Write for Buffered {
        async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        async fn flush(&mut self) -> Result<(), Infallible> {
            self.1.borrow_mut().append(&mut self.0);
            Ok(())
        }
    }
    impl BufRead for Buffered {
        async fn fill_buf(&mut self) -> Result<&[u8], Infallible> {
            core::future::pending().await
        }
        fn consume(&mut self, _: usize) {}
    }
    impl Read for Buffered {
        async fn read(&mut self, _: &mut [u8]) -> Result<usize, Infallible> {
            unreachable!("the driver borrows")
        }
    }
    let link = Buffered::default();
    let sent = link.1.clone();
    let mut driver = Driver::new(Greeter(0), link, Ticking::default());
    assert_eq!(block_on(driver.run(ControlFlow::Break)), Ok(()));
    assert_eq!(*sent.borrow(), b"hello");
}
