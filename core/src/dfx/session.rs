//! One connection to a DFX server as a [`Machine`]: bytes of whole messages in, frames and events out.
//!
//! Everything it keeps is storage of the caller's: one slot for each call or subscription, a buffer for the
//! message being read and one for the frame being sent. Hosts with buffers of their own use the
//! [`Ledger`] alone, which copies nothing.

use core::fmt;

use super::action::Action;
use super::ledger::{Full, Ledger, Received, Slot};
use super::wire::{BufferTooSmall, Id, ParseError, Request, Status};
use crate::machine::{Machine, Output};
use crate::time::{Duration, Instant};

/// What happened on the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event<'a> {
    /// A call was answered.
    Reply {
        /// The call.
        id: Id,
        /// What it asked for.
        action: Action,
        /// How it went.
        status: Status,
        /// The answer, or the error when `status` [is one](Status::is_error).
        body: &'a [u8],
    },
    /// A subscription has something; it stays open.
    Result {
        /// The subscription.
        subscription: Id,
        /// How it went; servers end a measurement with an error here.
        status: Status,
        /// The result, or the error.
        body: &'a [u8],
    },
    /// A call was not answered in time; its reply, should it still come, will be [`Event::Unknown`].
    TimedOut {
        /// The call.
        id: Id,
        /// What it asked for.
        action: Action,
    },
    /// A frame that nobody waits for; dropped.
    Unknown {
        /// Its id.
        id: Id,
        /// Its status.
        status: Status,
    },
    /// A message that is no frame; dropped.
    Malformed {
        /// What is wrong with it.
        error: ParseError,
        /// The call that it would have answered, which is over, or the subscription, which is not.
        of: Option<Id>,
    },
    /// A message longer than the receive buffer; dropped.
    TooLong {
        /// Bytes of the message.
        len: usize,
    },
}

/// Why a request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RequestError {
    /// The frame before this one has not been polled out yet.
    Busy,
    /// The server has not answered the login yet, and would refuse anything else.
    LoginPending,
    /// Every slot is taken.
    Full,
    /// The frame does not fit the send buffer.
    TooLong(BufferTooSmall),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("the frame before this one has not been sent yet"),
            Self::LoginPending => f.write_str("the server has not answered the login yet"),
            Self::Full => Full.fmt(f),
            Self::TooLong(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for RequestError {}

/// The state of one connection, client side.
///
/// ```
/// use cloverleaf_core::dfx::{Action, Event, Session, Slot, Status};
/// use cloverleaf_core::machine::{Machine, Output};
/// use cloverleaf_core::time::{Duration, Instant};
///
/// let (mut rx, mut tx) = ([0; 256], [0; 256]);
/// let mut session = Session::new([Slot::default(); 4], &mut rx, &mut tx);
/// let now = Instant::ZERO;
/// session.request(now, Action::STATUS, b"{}", Duration::from_secs(5)).unwrap();
/// assert_eq!(session.poll(), Output::Transmit(b"01000100000000{}"));
/// session.handle_input(now, b"0100000000200{\"StatusID\":\"ACTIVE\"}");
/// let Output::Event(Event::Reply { status, .. }) = session.poll() else { panic!() };
/// assert_eq!(status, Status::OK);
/// ```
#[derive(Debug)]
pub struct Session<'b, S> {
    ledger: Ledger<S>,
    rx: &'b mut [u8],
    /// The message to report next; input is refused while there is one.
    waiting: Option<Waiting>,
    tx: &'b mut [u8],
    sending: usize,
    login: Option<Id>,
    now: Instant,
}

#[derive(Clone, Copy, Debug)]
enum Waiting {
    Message(usize),
    TooLong(usize),
}

impl<'b, S: AsRef<[Slot]> + AsMut<[Slot]>> Session<'b, S> {
    /// A session on a connection that has just opened. `rx` bounds the messages that can be read, `tx` those
    /// that can be sent.
    pub fn new(slots: S, rx: &'b mut [u8], tx: &'b mut [u8]) -> Self {
        Self {
            ledger: Ledger::new(slots),
            rx,
            waiting: None,
            tx,
            sending: 0,
            login: None,
            now: Instant::ZERO,
        }
    }

    /// Sends a request and names the call. While a [login](Action::LOGIN_WITH_TOKEN) is unanswered nothing
    /// else is let through.
    ///
    /// # Errors
    /// [`RequestError`]; nothing is sent and no slot is taken.
    pub fn request(
        &mut self,
        now: Instant,
        action: Action,
        body: &[u8],
        timeout: Duration,
    ) -> Result<Id, RequestError> {
        self.now = self.now.max(now);
        if self.sending != 0 {
            return Err(RequestError::Busy);
        }
        if self.login.is_some() {
            return Err(RequestError::LoginPending);
        }
        let id = self.ledger.call(action, Some(now + timeout), ()).map_err(|Full| RequestError::Full)?;
        match (Request { action, id, body }).emit(self.tx) {
            Ok(len) => self.sending = len,
            Err(e) => {
                self.ledger.release(id);
                return Err(RequestError::TooLong(e));
            }
        }
        if action == Action::LOGIN_WITH_TOKEN {
            self.login = Some(id);
        }
        Ok(id)
    }

    /// Opens a subscription: put its id into the `RequestID` of the [request](Action::SUBSCRIBE_RESULTS) that
    /// you send next.
    ///
    /// # Errors
    /// [`Full`] when every slot is taken.
    pub fn subscribe(&mut self) -> Result<Id, Full> {
        self.ledger.subscribe(())
    }

    /// Ends a call or a subscription early. What still comes for it is [`Event::Unknown`].
    pub fn cancel(&mut self, id: Id) {
        self.ledger.release(id);
        self.login = self.login.filter(|login| *login != id);
    }

    /// What waits, for a look or for ending it all when the connection is gone ([`Ledger::drain`]).
    pub const fn ledger(&mut self) -> &mut Ledger<S> {
        &mut self.ledger
    }
}

impl<S: AsRef<[Slot]> + AsMut<[Slot]>> Machine for Session<'_, S> {
    type Event<'a>
        = Event<'a>
    where
        Self: 'a;

    /// Takes one whole message, or nothing while the one before it has not been polled out.
    fn handle_input(&mut self, now: Instant, bytes: &[u8]) -> usize {
        self.now = self.now.max(now);
        if self.waiting.is_some() {
            return 0;
        }
        self.waiting = Some(match self.rx.get_mut(..bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                Waiting::Message(bytes.len())
            }
            None => Waiting::TooLong(bytes.len()),
        });
        bytes.len()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn poll(&mut self) -> Output<'_, Event<'_>> {
        if self.sending != 0 {
            let len = core::mem::take(&mut self.sending);
            return Output::Transmit(self.tx.get(..len).unwrap_or_default());
        }
        match self.waiting.take() {
            Some(Waiting::TooLong(len)) => return Output::Event(Event::TooLong { len }),
            Some(Waiting::Message(len)) => {
                let received = self.ledger.receive(self.rx.get(..len).unwrap_or_default());
                return Output::Event(match received {
                    Ok(Received::Reply(action, response, ())) => {
                        let super::wire::Response { id, status, body } = response;
                        self.login = self.login.filter(|login| *login != id);
                        Event::Reply { id, action, status, body }
                    }
                    Ok(Received::Result(response, ())) => {
                        let super::wire::Response { id, status, body } = response;
                        Event::Result { subscription: id, status, body }
                    }
                    Ok(Received::Malformed(id, _, error)) => {
                        self.login = self.login.filter(|login| *login != id);
                        Event::Malformed { error, of: Some(id) }
                    }
                    Ok(Received::Unknown(response)) => {
                        Event::Unknown { id: response.id, status: response.status }
                    }
                    Err(error) => Event::Malformed { error, of: None },
                });
            }
            None => {}
        }
        if let Some((id, action)) = self.ledger.expire(self.now) {
            self.login = self.login.filter(|login| *login != id);
            return Output::Event(Event::TimedOut { id, action });
        }
        Output::Wait(self.ledger.deadline())
    }
}
