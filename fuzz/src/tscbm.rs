use cloverleaf_core::tscbm::{BLOCKS, LEN, Message};

/// Any datagram: what parses is exactly as long as it must be, and parses to the same when it is emitted again.
pub fn tscbm(data: &[u8]) {
    let Ok(message) = Message::parse(data) else { return };
    assert_eq!(data.len(), LEN);
    assert_eq!(Message::parse(&message.emit()), Ok(message));
    for phase in 0..=u8::MAX {
        assert_eq!(message.block(phase).is_some(), (1..=BLOCKS).contains(&usize::from(phase)));
    }
}
