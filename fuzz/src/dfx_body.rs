use cloverleaf_core::dfx::body::json::{self, Created, DataAck, Failure, Outcome};
use cloverleaf_core::dfx::body::proto::{self, Message};

/// Bodies decode or fail, without panic or unbounded work; protobuf bodies written again mean the same.
pub fn dfx_body(data: &[u8]) {
    let _ = json::decode::<Created>(data);
    let _ = json::decode::<DataAck>(data);
    let _ = json::decode::<Failure>(data);
    let _ = json::decode::<Outcome<4, 8>>(data);

    round_trip::<proto::Create>(data);
    round_trip::<proto::Data>(data);
    round_trip::<proto::DataAck>(data);
    round_trip::<proto::Subscribe>(data);
    round_trip::<proto::Failure>(data);
    round_trip::<proto::Outcome>(data);
    if let Ok(outcome) = proto::decode::<proto::Outcome>(data) {
        for entry in &outcome.channels {
            let Ok(entry) = entry else { break };
            let Some(channel) = entry.channel else { continue };
            let _ = channel.data.iter().take_while(Result::is_ok).count();
            let _ = channel.notes.iter().take_while(Result::is_ok).count();
        }
    }
}

fn round_trip<'a, M: Message<'a>>(data: &'a [u8]) {
    let Ok(message) = proto::decode::<M>(data) else { return };
    // Numbers in more bytes than they need become shorter, never longer, but lists are written twice by some.
    let mut buf = vec![0; message.encoded_len()];
    proto::encode(&message, &mut buf).expect("the buffer has the encoded length");
}
