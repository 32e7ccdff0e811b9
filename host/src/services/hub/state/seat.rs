//! A client's end of one channel: what it takes to send it something.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use cloverleaf_core::phoenix::wire::{Body, EmitError, Message, Opcode, Payload, Token, Version};

use crate::ws::{Flush, Frame, Outbox};

/// The channel's end at the client; whoever has something to say to it shares it.
#[derive(Debug)]
pub(in crate::services::hub) struct Seat {
    /// The channel's number; older ones have lower ones.
    pub(in crate::services::hub) id: u64,
    pub(in crate::services::hub) topic: Arc<str>,
    pub(in crate::services::hub) version: Version,
    pub(in crate::services::hub) outbox: Arc<Outbox>,
    /// What messages must carry to be for this channel: the `join_ref` of its join, as JSON, maybe `null`.
    pub(in crate::services::hub) join_ref: Box<[u8]>,
    /// What pushes carry: the same, or the `ref` of the join in its stead.
    pub(in crate::services::hub) push_ref: Box<[u8]>,
    ended: AtomicBool,
}

impl Seat {
    /// The seat of a channel that is joined with `message`.
    ///
    /// # Errors
    /// When its refs are not UTF-8.
    pub(in crate::services::hub) fn of(
        message: &Message<'_>,
        topic: &str,
        id: u64,
        version: Version,
        outbox: &Arc<Outbox>,
    ) -> Result<Self, EmitError> {
        let is_absent = matches!(message.join_ref, Token::Json(b"null" | b"false"));
        Ok(Self {
            id,
            topic: topic.into(),
            version,
            outbox: Arc::clone(outbox),
            join_ref: owned(message.join_ref)?,
            push_ref: owned(if is_absent { message.reference } else { message.join_ref })?,
            ended: AtomicBool::new(false),
        })
    }

    /// The channel has ended: nothing more is pushed. Answers whether it had already.
    pub(in crate::services::hub) fn end(&self) -> bool {
        self.ended.swap(true, Ordering::Relaxed)
    }

    pub(in crate::services::hub) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Sends an event to this client alone.
    pub(in crate::services::hub) fn push(
        &self,
        event: &str,
        body: Body<'_>,
        flush: &mut Flush,
    ) -> Result<(), EmitError> {
        if self.has_ended() {
            return Ok(());
        }
        self.send(&self.event(event, body), flush)
    }

    /// The same with a payload of JSON that is shared with other frames.
    pub(in crate::services::hub) fn push_shared(&self, event: &str, payload: Bytes, flush: &mut Flush) {
        let message = self.event(event, Body::EMPTY);
        let (mut head, mut tail) = (Vec::new(), Vec::new());
        // Refs that came as JSON, and strings, can always be written.
        let _ = message.emit_head(self.version, &mut |piece| head.extend_from_slice(piece));
        let _ = message.emit_tail(self.version, &mut |piece| tail.extend_from_slice(piece));
        self.outbox.push(Frame::text_around(&head, payload, &tail), flush);
    }

    /// Answers a message.
    pub(in crate::services::hub) fn reply(
        &self,
        reference: Token<'_>,
        status: &str,
        response: Body<'_>,
        flush: &mut Flush,
    ) -> Result<(), EmitError> {
        if self.has_ended() {
            return Ok(());
        }
        let payload = Payload::Reply { status: Token::text(status), response };
        self.send(&Message { reference, payload, ..self.event("phx_reply", response) }, flush)
    }

    /// Tells what became of the channel, even when it has ended: the `ref` is the `join_ref` too, null if the join had
    /// none.
    pub(in crate::services::hub) fn control(
        &self,
        event: &str,
        body: Body<'_>,
        flush: &mut Flush,
    ) -> Result<(), EmitError> {
        let join_ref = Token::Json(&self.join_ref);
        self.send(&Message { join_ref, reference: join_ref, ..self.event(event, body) }, flush)
    }

    fn event<'a>(&'a self, event: &'a str, body: Body<'a>) -> Message<'a> {
        Message {
            join_ref: Token::Json(&self.push_ref),
            reference: Token::NULL,
            topic: Token::text(&self.topic),
            event: Token::text(event),
            payload: Payload::Event(body),
        }
    }

    fn send(&self, message: &Message<'_>, flush: &mut Flush) -> Result<(), EmitError> {
        self.outbox.push(frame(self.version, message)?, flush);
        Ok(())
    }
}

/// A message as a frame.
pub(in crate::services::hub) fn frame(version: Version, message: &Message<'_>) -> Result<Frame, EmitError> {
    let mut bytes = Vec::with_capacity(256);
    match message.emit_to_client(version, &mut |piece| bytes.extend_from_slice(piece))? {
        Opcode::Text => Ok(Frame::text(&bytes)),
        Opcode::Binary => Ok(Frame::binary(&bytes)),
    }
}

/// A token as JSON.
pub(in crate::services::hub) fn owned(token: Token<'_>) -> Result<Box<[u8]>, EmitError> {
    let mut bytes = Vec::new();
    token.emit(&mut |piece| bytes.extend_from_slice(piece))?;
    Ok(bytes.into())
}
