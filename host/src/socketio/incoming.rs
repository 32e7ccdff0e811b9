//! One event as it came from a client.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use socketioxide::extract::AckSender;
use socketioxide::handler::FromMessageParts;
use socketioxide::socket::Socket;
use socketioxide_core::Value;

/// An event: its name, its first argument as JSON text, and the acknowledgement it may want. Nobody sends further
/// arguments that mean anything; binary attachments stay placeholders.
pub struct Incoming<'a> {
    /// The event's name; empty when the packet had none.
    pub event: Cow<'a, str>,
    /// The first argument as it came; `null` when there is none, or when the packet was not the JSON array that
    /// Socket.IO demands.
    pub data: &'a RawValue,
    /// Sends the acknowledgement, if the client asked for one.
    pub ack: Option<AckSender>,
}

impl<'a> Incoming<'a> {
    pub(super) fn new(socket: &Arc<Socket>, packet: &'a mut Value, ack: Option<i64>) -> Self {
        let ack = ack.map(|number| {
            let Ok(ack) = AckSender::from_message_parts(socket, packet, &Some(number));
            ack
        });
        let Parts { event, data } = match packet {
            Value::Str(text, _) => serde_json::from_str(text).unwrap_or_default(),
            Value::Bytes(_) => Parts::default(),
        };
        Self { event, data, ack }
    }

    /// The first argument as a value.
    pub fn value(&self) -> serde_json::Value {
        serde_json::from_str(self.data.get()).unwrap_or_default()
    }
}

/// The beginning of a packet's array.
#[derive(Debug)]
struct Parts<'a> {
    event: Cow<'a, str>,
    data: &'a RawValue,
}

impl Default for Parts<'_> {
    fn default() -> Self {
        Self { event: Cow::Borrowed(""), data: RawValue::NULL }
    }
}

/// A text that is borrowed unless it has escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Parts<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Parts<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of a name and arguments")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Parts<'de>, A::Error> {
                let Some(Name(event)) = array.next_element()? else { return Ok(Parts::default()) };
                let data = array.next_element()?.unwrap_or(RawValue::NULL);
                while array.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Parts { event, data })
            }
        }

        deserializer.deserialize_seq(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_a_name_and_what_comes_first_behind_it() {
        #[rustfmt::skip]
        let cases = [
            (r#"["query","RPM"]"#,            "query",   r#""RPM""#),
            (r#"["query",  {"b":1.0 } ,2,3]"#, "query",  r#"{"b":1.0 }"#),
            (r#"["a\u00fc\n"]"#,              "aü\n",    "null"),
            (r#"["query",null]"#,             "query",   "null"),
            ("[]",                            "",        "null"),
        ];
        for (packet, event, data) in cases {
            let parts: Parts<'_> = serde_json::from_str(packet).unwrap();
            assert_eq!((&*parts.event, parts.data.get()), (event, data), "{packet}");
        }
        for bad in ["", "{}", "7", r#"["query",]"#, r#"["query"] x"#, "[1,2]"] {
            assert!(serde_json::from_str::<Parts<'_>>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_plain_name_is_not_copied() {
        let parts: Parts<'_> = serde_json::from_str(r#"["query","RPM"]"#).unwrap();
        assert!(matches!(parts.event, Cow::Borrowed("query")));
    }
}
