use cloverleaf_core::dfx::body::json::{self, Created, DataAck, Failure, Outcome};
use cloverleaf_core::dfx::body::proto::{self, Message};

/// Each message is read, written and read again.
macro_rules! round_trip {
    ($data:expr, $($message:ident)+) => {$(
        if let Ok(message) = proto::decode::<proto::$message>($data) {
            // Numbers in more bytes than they need become shorter, never longer, but lists are written twice by some.
            let mut buf = vec![0; message.encoded_len()];
            let written = proto::encode(&message, &mut buf).expect("the buffer has the encoded length");
            let again: proto::$message = proto::decode(written).expect("what was written can be read");
            let (message, again) = (known(&format!("{message:?}")), known(&format!("{again:?}")));
            // Entries of lists that cannot be read are not written.
            let unreadable = ["Err(", "...error: "].into_iter().any(|mark| message.contains(mark));
            assert!(message == again || unreadable, "{message}\n{again}");
        }
    )+};
}

/// Bodies decode or fail, without panic or unbounded work; protobuf bodies written again mean the same.
pub fn dfx_body(data: &[u8]) {
    let _ = json::decode::<Created>(data);
    let _ = json::decode::<DataAck>(data);
    let _ = json::decode::<Failure>(data);
    let _ = json::decode::<Outcome<4, 8>>(data);

    round_trip!(data, Create Data DataAck Subscribe Failure Outcome Registered Retrieved);
    if let Ok(outcome) = proto::decode::<proto::Outcome>(data) {
        for entry in &outcome.channels {
            let Ok(entry) = entry else { break };
            let Some(channel) = entry.channel else { continue };
            let _ = channel.data.iter().take_while(Result::is_ok).count();
            let _ = channel.notes.iter().take_while(Result::is_ok).count();
        }
    }
}

/// The text of a message without its unknown fields, which keep the place where they were found. As text, a number that
/// is none equals itself. A negative zero is a zero: as the value a field has when it is absent, it is not written.
fn known(text: &str) -> String {
    let mut parts = text.split("UnknownFields {");
    let first = parts.next().unwrap_or_default();
    let after = |part| str::split_once(part, "found_unknown_tag: ").map_or("", |(_, after)| after);
    let known: String = [first].into_iter().chain(parts.map(after)).collect();
    [",", " }"]
        .into_iter()
        .fold(known, |known, end| known.replace(&format!(" -0.0{end}"), &format!(" 0.0{end}")))
}
