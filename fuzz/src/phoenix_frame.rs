use cloverleaf_core::phoenix::wire::{self, EmitError, Message, Opcode, ParseError, Version};

/// Whatever parses can be written and parsed again to the same message, in both directions. The first byte of the
/// input chooses the form.
pub fn phoenix_frame(data: &[u8]) {
    let Some((form, frame)) = data.split_first() else { return };
    match form % 4 {
        0 => text(Version::V1, frame),
        1 => text(Version::V2, frame),
        2 => binary(frame, wire::parse_binary_of_client, |message, to| {
            message.emit_to_server(Version::V2, &mut |bytes| to.extend_from_slice(bytes))
        }),
        _ => binary(frame, wire::parse_binary_of_server, |message, to| {
            message.emit_to_client(Version::V2, &mut |bytes| to.extend_from_slice(bytes))
        }),
    }
}

fn text(version: Version, frame: &[u8]) {
    let Ok(message) = wire::parse_text(version, frame) else { return };
    let mut to_server = Vec::new();
    let mut to_client = Vec::new();
    message
        .emit_to_server(version, &mut |bytes| to_server.extend_from_slice(bytes))
        .expect("text has a text form");
    let emitted = message.emit_to_client(version, &mut |bytes| to_client.extend_from_slice(bytes));
    if emitted.is_err() {
        // Servers of version 2 send events with objects only.
        assert_eq!((version, emitted), (Version::V2, Err(EmitError::NotObject)));
        to_client.clone_from(&to_server);
    }
    for frame in [&to_server, &to_client] {
        let again = wire::parse_text(version, frame).expect("our own frames are valid");
        same(&message, &again, version == Version::V2 || frame == &to_server);
    }
    // As a reply it may not be one, but looking must be harmless.
    let _ = message.reply();
}

fn binary(
    frame: &[u8],
    parse: fn(&[u8]) -> Result<Message<'_>, ParseError>,
    emit: impl Fn(&Message<'_>, &mut Vec<u8>) -> Result<Opcode, EmitError>,
) {
    let Ok(message) = parse(frame) else { return };
    let mut again = Vec::new();
    emit(&message, &mut again).expect("binary has a binary form");
    assert_eq!(again, frame);
}

fn same(one: &Message<'_>, other: &Message<'_>, with_join_ref: bool) {
    let pairs = [(one.reference, other.reference), (one.topic, other.topic), (one.event, other.event)];
    assert!(pairs.iter().all(|(one, other)| one.same(*other)));
    assert!(!with_join_ref || one.join_ref.same(other.join_ref));
    assert_eq!(one.body(), other.body());
}
