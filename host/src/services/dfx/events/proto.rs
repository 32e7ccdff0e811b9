//! Owned bodies from and to the core's borrowed protobuf messages.

use std::borrow::Cow;

use bytes::Bytes;
use cloverleaf_core::dfx::body::proto::{self, Message, Messages as List, NamedErrors};

use super::{
    BadBody, Body, ById, Channel, Create, Created, Data, DataAck, Encoding, Failure, FieldErrors, Login,
    Messages, Outcome, OutcomeError, Params, RegisterLicense, Registered, Retrieved, ServerStatus, Subscribe,
    Summary, Token, Tokens,
};

fn written<'a>(message: &impl Message<'a>) -> Vec<u8> {
    let mut buf = vec![0; message.encoded_len()];
    // The buffer has the encoded length.
    let _ = proto::encode(message, &mut buf);
    buf
}

impl Body for Create {
    fn from_proto(bytes: &[u8]) -> Result<Self, BadBody> {
        let message: proto::Create<'_> = proto::decode(bytes)?;
        Ok(Self {
            study_id: message.study_id.to_owned(),
            resolution: message.resolution,
            user_profile_id: message.user_profile_id.to_owned(),
            device_version: message.device_version.to_owned(),
            notes: message.notes.to_owned(),
            mode: message.mode.to_owned(),
            partner_id: message.partner_id.to_owned(),
        })
    }

    fn to_proto(&self) -> Vec<u8> {
        written(&proto::Create {
            study_id: &self.study_id,
            resolution: self.resolution,
            user_profile_id: &self.user_profile_id,
            device_version: &self.device_version,
            notes: &self.notes,
            mode: &self.mode,
            partner_id: &self.partner_id,
            ..Default::default()
        })
    }
}

/// Bodies of texts only: the fields that protobuf has, by the name they have on both sides.
macro_rules! texts {
    ($($body:ident { $($field:ident),+ })+) => {$(
        impl Body for $body {
            #[allow(clippy::needless_update, reason = "some bodies have no other fields")]
            fn from_proto(bytes: &[u8]) -> Result<Self, BadBody> {
                let message: proto::$body<'_> = proto::decode(bytes)?;
                Ok(Self { $($field: message.$field.to_owned(),)+ ..Self::default() })
            }

            fn to_proto(&self) -> Vec<u8> {
                written(&proto::$body { $($field: &self.$field,)+ ..Default::default() })
            }
        }
    )+};
}

texts! {
    Created { id }
    Token { token }
    Login { email, password }
    Tokens { token, refresh_token }
    RegisterLicense { key, device_type_id, name, identifier, version }
    Registered { device_id, token, refresh_token }
    ServerStatus { status_id, version }
}

fn params(message: Option<proto::Params<'_>>) -> Params {
    Params { id: message.map_or_else(String::new, |params| params.id.to_owned()) }
}

impl Body for Data {
    fn json_len(&self) -> usize {
        256 + self.payload.len() / 3 * 4
    }

    fn from_proto(bytes: &[u8]) -> Result<Self, BadBody> {
        let message: proto::Data<'_> = proto::decode(bytes)?;
        Ok(Self { payload: Bytes::copy_from_slice(message.payload), ..without_payload(&message) })
    }

    fn to_proto(&self) -> Vec<u8> {
        written(&proto::Data {
            params: Some(proto::Params { id: &self.params.id, ..Default::default() }),
            action: &self.action,
            chunk_order: self.chunk_order.unwrap_or(0),
            start_time: self.start_time.unwrap_or(0.0) as u64,
            end_time: self.end_time.unwrap_or(0.0) as u64,
            duration: self.duration.unwrap_or(0.0) as f32,
            payload: &self.payload,
            meta: &self.meta,
            ..Default::default()
        })
    }
}

impl Data {
    /// Reads the body of a chunk, but leaves the payload where it lies if the encoding does.
    ///
    /// # Errors
    /// [`BadBody`].
    pub fn decode_around(encoding: Encoding, bytes: &[u8]) -> Result<(Self, Cow<'_, [u8]>), BadBody> {
        if encoding == Encoding::Json {
            let mut data = Self::decode(encoding, bytes)?;
            let payload = std::mem::take(&mut data.payload);
            return Ok((data, Cow::Owned(payload.into())));
        }
        let message: proto::Data<'_> = proto::decode(bytes)?;
        Ok((without_payload(&message), Cow::Borrowed(message.payload)))
    }
}

fn without_payload(message: &proto::Data<'_>) -> Data {
    Data {
        params: params(message.params.clone()),
        action: message.action.to_owned(),
        // proto3 does not send a zero, so a zero may as well mean that the client does not count.
        chunk_order: (message.chunk_order != 0).then_some(message.chunk_order),
        start_time: (message.start_time != 0).then_some(message.start_time as f64),
        end_time: (message.end_time != 0).then_some(message.end_time as f64),
        duration: (message.duration > 0.0).then(|| f64::from(message.duration)),
        payload: Bytes::new(),
        meta: message.meta.to_vec(),
    }
}

impl Body for DataAck {
    fn from_proto(bytes: &[u8]) -> Result<Self, BadBody> {
        let message: proto::DataAck<'_> = proto::decode(bytes)?;
        Ok(Self { id: message.id.to_owned(), chunk_order: message.chunk_order })
    }

    fn to_proto(&self) -> Vec<u8> {
        written(&proto::DataAck { id: &self.id, chunk_order: self.chunk_order, ..Default::default() })
    }
}

impl Body for Subscribe {
    fn from_proto(bytes: &[u8]) -> Result<Self, BadBody> {
        let message: proto::Subscribe<'_> = proto::decode(bytes)?;
        Ok(Self { params: params(message.params), request_id: message.request_id.to_owned() })
    }

    fn to_proto(&self) -> Vec<u8> {
        written(&proto::Subscribe {
            params: Some(proto::Params { id: &self.params.id, ..Default::default() }),
            request_id: &self.request_id,
            ..Default::default()
        })
    }
}

impl Body for ById {
    fn from_proto(bytes: &[u8]) -> Result<Self, BadBody> {
        Ok(Self { params: params(proto::decode::<proto::ById<'_>>(bytes)?.params) })
    }

    fn to_proto(&self) -> Vec<u8> {
        let params = proto::Params { id: &self.params.id, ..Default::default() };
        written(&proto::ById { params: Some(params), ..Default::default() })
    }
}

impl Body for Retrieved {
    fn from_proto(bytes: &[u8]) -> Result<Self, BadBody> {
        let message: proto::Retrieved<'_> = proto::decode(bytes)?;
        let summary = Summary {
            id: message.id.to_owned(),
            study_id: message.study_id.to_owned(),
            status_id: message.status_id.to_owned(),
            mode: message.mode.to_owned(),
            created: message.created,
            updated: message.updated,
            ..Summary::default()
        };
        Ok(Self { summary, ..Self::default() })
    }

    fn to_proto(&self) -> Vec<u8> {
        let Summary { id, study_id, status_id, mode, created, updated, .. } = &self.summary;
        let (created, updated) = (*created, *updated);
        written(&proto::Retrieved { id, study_id, status_id, mode, created, updated, ..Default::default() })
    }
}

fn field_errors<'a>(entries: &List<'a, NamedErrors<'a>>) -> Result<FieldErrors, BadBody> {
    let mut errors = FieldErrors::new();
    for entry in entries {
        let entry = entry.map_err(proto::DecodeError::from)?;
        let mut msgs = Vec::new();
        for msg in entry.errors.iter().flat_map(|errors| errors.msgs.iter()) {
            msgs.push(msg.map_err(proto::DecodeError::from)?.to_owned());
        }
        errors.insert(entry.name.to_owned(), Messages { msgs });
    }
    Ok(errors)
}

/// Borrows twice: first the texts of each field, then the fields.
fn with_errors<T>(errors: &FieldErrors, write: impl for<'a> FnOnce(List<'a, NamedErrors<'a>>) -> T) -> T {
    let texts: Vec<(&str, Vec<&str>)> = errors
        .iter()
        .map(|(name, messages)| (name.as_str(), messages.msgs.iter().map(String::as_str).collect()))
        .collect();
    let entries: Vec<NamedErrors<'_>> = texts
        .iter()
        .map(|(name, msgs)| NamedErrors {
            name,
            errors: Some(proto::Errors { msgs: proto::Texts::from_slice(msgs), ..Default::default() }),
            ..Default::default()
        })
        .collect();
    write(List::from_slice(&entries))
}

impl Body for Failure {
    fn from_proto(bytes: &[u8]) -> Result<Self, BadBody> {
        let message: proto::Failure<'_> = proto::decode(bytes)?;
        Ok(Self {
            code: message.code.to_owned(),
            message: message.message.to_owned(),
            errors: field_errors(&message.errors)?,
            retry_after_ms: None,
        })
    }

    fn to_proto(&self) -> Vec<u8> {
        with_errors(&self.errors, |errors| {
            written(&proto::Failure {
                code: &self.code,
                message: &self.message,
                errors,
                ..Default::default()
            })
        })
    }
}

impl Body for Outcome {
    fn from_proto(bytes: &[u8]) -> Result<Self, BadBody> {
        let message: proto::Outcome<'_> = proto::decode(bytes)?;
        let mut outcome = Self {
            measurement_id: message.measurement_id.to_owned(),
            data_id: message.data_id.to_owned(),
            result_id: message.result_id.to_owned(),
            multiplier: message.multiplier,
            ..Self::default()
        };
        for entry in &message.channels {
            let entry = entry.map_err(proto::DecodeError::from)?;
            let mut channel = Channel::default();
            if let Some(found) = &entry.channel {
                channel.channel = found.channel.to_owned();
                for value in &found.data {
                    channel.data.push(value.map_err(proto::DecodeError::from)?);
                }
                for note in &found.notes {
                    channel.notes.push(note.map_err(proto::DecodeError::from)?.to_owned());
                }
            }
            outcome.channels.insert(entry.name.to_owned(), channel);
        }
        if let Some(error) = &message.error {
            outcome.error =
                OutcomeError { code: error.code.to_owned(), errors: field_errors(&error.errors)? };
        }
        Ok(outcome)
    }

    fn to_proto(&self) -> Vec<u8> {
        let notes: Vec<Vec<&str>> = self
            .channels
            .values()
            .map(|channel| channel.notes.iter().map(String::as_str).collect())
            .collect();
        let channels: Vec<proto::NamedChannel<'_>> = self
            .channels
            .iter()
            .zip(&notes)
            .map(|((name, channel), notes)| proto::NamedChannel {
                name,
                channel: Some(proto::Channel {
                    data: proto::Values::from_slice(&channel.data),
                    channel: &channel.channel,
                    notes: proto::Texts::from_slice(notes),
                    ..Default::default()
                }),
                ..Default::default()
            })
            .collect();
        with_errors(&self.error.errors, |errors| {
            written(&proto::Outcome {
                measurement_id: &self.measurement_id,
                data_id: &self.data_id,
                result_id: &self.result_id,
                multiplier: self.multiplier,
                channels: List::from_slice(&channels),
                error: Some(proto::OutcomeError { code: &self.error.code, errors, ..Default::default() }),
                ..Default::default()
            })
        })
    }
}
