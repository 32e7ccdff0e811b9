//! How messages are written.

use super::{Body, EmitError, Message, Opcode, Payload, Token, Version};
use crate::json;

impl<'a> Message<'a> {
    /// Writes the message as a server does: its pieces are given to `emit` in order.
    ///
    /// # Errors
    /// When the message has no such form; some pieces may have been given by then.
    pub fn emit_to_client(
        &self,
        version: Version,
        emit: &mut impl FnMut(&[u8]),
    ) -> Result<Opcode, EmitError> {
        match (version, self.payload) {
            (Version::V2, Payload::Reply { status, response: Body::Binary(response) }) => {
                emit_fields(1, [self.join_ref, self.reference, self.topic, status], response, emit)
            }
            (Version::V2, Payload::Event(Body::Binary(payload))) if self.join_ref.is_null() => {
                emit_fields(2, [self.topic, self.event], payload, emit)
            }
            (Version::V2, Payload::Event(Body::Binary(payload))) => {
                emit_fields(0, [self.join_ref, self.topic, self.event], payload, emit)
            }
            (Version::V2, Payload::Event(Body::Json(payload)))
                if json::kind(payload) != json::Kind::Object =>
            {
                Err(EmitError::NotObject)
            }
            _ => {
                self.emit_head(version, emit)?;
                self.emit_payload(emit)?;
                self.emit_tail(version, emit)?;
                Ok(Opcode::Text)
            }
        }
    }

    /// Writes what a server's text has before the payload, which is then the caller's, as is [the rest](Self::emit_tail).
    ///
    /// # Errors
    /// As [`emit_to_client`](Self::emit_to_client).
    pub fn emit_head(&self, version: Version, emit: &mut impl FnMut(&[u8])) -> Result<(), EmitError> {
        match version {
            Version::V1 => {
                emit(b"{\"event\":");
                self.event.emit(emit)?;
                emit(b",\"payload\":");
            }
            Version::V2 => {
                emit(b"[");
                for token in [self.join_ref, self.reference, self.topic, self.event] {
                    token.emit(emit)?;
                    emit(b",");
                }
            }
        }
        Ok(())
    }

    /// Writes what a server's text has behind the payload.
    ///
    /// # Errors
    /// As [`emit_to_client`](Self::emit_to_client).
    pub fn emit_tail(&self, version: Version, emit: &mut impl FnMut(&[u8])) -> Result<(), EmitError> {
        match version {
            Version::V1 => {
                emit(b",\"ref\":");
                self.reference.emit(emit)?;
                emit(b",\"topic\":");
                self.topic.emit(emit)?;
                emit(b"}");
            }
            Version::V2 => emit(b"]"),
        }
        Ok(())
    }

    /// Writes the message as a client does. V1 carries `join_ref` too unless it is null.
    ///
    /// # Errors
    /// When the message has no such form; some pieces may have been given by then.
    pub fn emit_to_server(
        &self,
        version: Version,
        emit: &mut impl FnMut(&[u8]),
    ) -> Result<Opcode, EmitError> {
        match (version, self.payload) {
            (Version::V1, _) => {
                emit(b"{\"topic\":");
                self.topic.emit(emit)?;
                emit(b",\"event\":");
                self.event.emit(emit)?;
                emit(b",\"payload\":");
                self.emit_payload(emit)?;
                emit(b",\"ref\":");
                self.reference.emit(emit)?;
                if !self.join_ref.is_null() {
                    emit(b",\"join_ref\":");
                    self.join_ref.emit(emit)?;
                }
                emit(b"}");
                Ok(Opcode::Text)
            }
            (Version::V2, Payload::Event(Body::Binary(payload))) => {
                // Binary frames have no null: an absent ref is empty.
                let text = |token: Token<'a>| if token.is_null() { Token::text("") } else { token };
                let fields = [text(self.join_ref), text(self.reference), self.topic, self.event];
                emit_fields(0, fields, payload, emit)
            }
            (Version::V2, _) => {
                self.emit_head(version, emit)?;
                self.emit_payload(emit)?;
                self.emit_tail(version, emit)?;
                Ok(Opcode::Text)
            }
        }
    }

    fn emit_payload(&self, emit: &mut impl FnMut(&[u8])) -> Result<(), EmitError> {
        match self.payload {
            Payload::Event(Body::Json(payload)) => emit(payload),
            Payload::Reply { status, response: Body::Json(response) } => {
                emit(b"{\"response\":");
                emit(response);
                emit(b",\"status\":");
                status.emit(emit)?;
                emit(b"}");
            }
            _ => return Err(EmitError::BinaryInV1),
        }
        Ok(())
    }
}

fn emit_fields<const N: usize>(
    kind: u8,
    fields: [Token<'_>; N],
    payload: &[u8],
    emit: &mut impl FnMut(&[u8]),
) -> Result<Opcode, EmitError> {
    let mut sizes = [0; N];
    for (size, field) in sizes.iter_mut().zip(fields) {
        let length = match field {
            Token::Text(bytes) => bytes.len(),
            Token::Json([b'"', ..]) => field.characters().map(char::len_utf8).sum(),
            Token::Json(_) => return Err(EmitError::NotText),
        };
        *size = u8::try_from(length).map_err(|_| EmitError::TooLong)?;
    }
    emit(&[kind]);
    emit(&sizes);
    for field in fields {
        match field {
            Token::Text(bytes) => emit(bytes),
            Token::Json(_) => field.characters().for_each(|character| {
                emit(character.encode_utf8(&mut [0; 4]).as_bytes());
            }),
        }
    }
    emit(payload);
    Ok(Opcode::Binary)
}
