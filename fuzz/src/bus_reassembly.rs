use cloverleaf_core::bus::{Assembler, Format, Protocol};

const MESSAGES: usize = 6;
const BYTES: usize = 96;

/// Any lines, on any bus: what comes out is bounded, whole, and the same however the digits are spaced.
///
/// The first byte chooses the format, the rest are lines.
pub fn bus_reassembly(data: &[u8]) {
    let Some((&choice, lines)) = data.split_first() else {
        return;
    };
    let protocols = Protocol::ALL;
    let format = Format {
        protocol: protocols.get(usize::from(choice & 15)).copied(),
        headers: choice & 16 == 0,
        extended: choice & 32 != 0,
        joined: choice & 64 != 0,
    };
    let mut reply = Assembler::<MESSAGES, BYTES>::new(format);
    let mut spaced = Assembler::<MESSAGES, BYTES>::new(format);
    for line in lines.split(|&byte| byte == b'\n').take(64) {
        let before: Vec<_> =
            reply.messages().map(|message| (message.source, message.data.to_vec())).collect();
        let taken = reply.push(line);
        let wide: Vec<u8> = line.iter().flat_map(|&byte| [byte, b' ']).collect();
        assert_eq!(taken, spaced.push(&wide), "blanks change nothing");
        assert!(reply.messages().eq(spaced.messages()), "blanks change nothing");
        if taken.is_err() {
            let after = reply.messages().map(|message| (message.source, message.data.to_vec()));
            assert!(after.eq(before), "a refused line changes nothing");
        }
        let messages = reply.messages().count();
        assert!(messages + reply.losses().count() <= MESSAGES);
        assert!(reply.messages().map(|message| message.data.len()).sum::<usize>() <= BYTES);
        assert!(reply.messages().all(|message| !message.data.is_empty()));
    }
    reply.restart(format);
    assert_eq!(reply.messages().count() + reply.losses().count(), 0);
    // After whatever came before, a good frame gives its message.
    let good = Format::new(Some(Protocol::Can11Fast));
    reply.restart(good);
    assert_eq!(reply.push(b"7E8 04 41 0C 17 70"), Ok(()));
    assert_eq!(reply.messages().next().map(|message| message.data), Some(&[0x41, 0x0C, 0x17, 0x70][..]));
}
