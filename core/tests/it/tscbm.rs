//! The datagram of a signal controller, byte by byte.

use cloverleaf_core::tscbm::{BLOCKS, Block, Discontinuity, LEN, Message, ParseError, Phases, Remaining};

/// What a published recording decodes to, laid out here by the table of offsets and not through `emit`.
fn golden() -> [u8; LEN] {
    let mut datagram = [0; LEN];
    let mut at = |offset: usize, bytes: &[u8]| datagram[offset..offset + bytes.len()].copy_from_slice(bytes);
    at(0, &[0xCD, 16]);
    for block in 0..BLOCKS {
        at(2 + 13 * block, &[block as u8 + 1]);
    }
    at(3, &[0x00, 0xDC, 0x02, 0xAA]); // phase 1: vehicle 22.0 to 68.2 s
    at(16, &[0x00, 0x00, 0x00, 0x7D, 0x00, 0xDC, 0x02, 0xAA]); // phase 2: vehicle 0 to 12.5 s, pedestrian 22.0 to 68.2 s
    at(42, &[0x00, 0x3F, 0x00, 0xBC, 0x00, 0x3F, 0x00, 0xBC]); // phase 4: both 6.3 to 18.8 s
    at(68, &[0x00, 0x00, 0x00, 0x93, 0x00, 0x3F, 0x02, 0xD4]); // phase 6: vehicle 0 to 14.7 s, pedestrian 6.3 to 72.4 s
    at(210, &[0b0000_0000, 0b1101_1101]); // red: all of 1 to 8 but 2 and 6
    at(214, &[0b0000_0000, 0b0010_0010]); // green: 2 and 6
    at(216, &[0b0000_0000, 0b1111_1111]); // don't walk: 1 to 8
    at(234, &[0b0000_1000, 93]); // as recorded; sequence 93
    at(236, &[0x00, 0x3E, 0xCA, 0x03, 0xCE]); // 16074 s, 974 ms
    datagram
}

#[test]
fn the_published_recording_decodes_to_the_published_numbers() {
    let message = Message::parse(&golden()).unwrap();
    assert_eq!((message.seconds, message.milliseconds, message.sequence), (16_074, 974, 93));
    assert_eq!(message.red.bits(), 0b0000_0000_1101_1101);
    assert_eq!(message.green, Phases::of(&[2, 6]));
    assert_eq!(message.yellow.bits(), 0);
    assert_eq!(message.dont_walk.bits(), 0b0000_0000_1111_1111);
    assert_eq!(message.discontinuity.bits(), 0b0000_1000);

    let times = |phase| *message.block(phase).unwrap();
    let remaining = |min, max| Remaining { min, max };
    assert_eq!(times(1).vehicle, remaining(220, 682));
    assert_eq!(times(2).vehicle, remaining(0, 125));
    assert_eq!(times(2).pedestrian, remaining(220, 682));
    assert_eq!(
        times(4),
        Block { vehicle: remaining(63, 188), pedestrian: remaining(63, 188), ..Block::default() }
    );
    assert_eq!(times(6).vehicle, remaining(0, 147));
    assert_eq!(times(6).pedestrian, remaining(63, 724));
}

#[test]
fn what_is_emitted_is_what_was_parsed() {
    assert_eq!(Message::parse(&golden()).unwrap().emit(), golden());
}

#[test]
fn overlaps_have_times_and_flash_of_their_own() {
    let mut message =
        Message { overlap_flash: Phases::of(&[3]), flash: Phases::of(&[5]), ..Message::default() };
    message.blocks[2].overlap = Remaining { min: 10, max: 20 };
    let parsed = Message::parse(&message.emit()).unwrap();
    assert_eq!(parsed.block(3).unwrap().overlap, Remaining { min: 10, max: 20 });
    assert!(parsed.overlap_flash.has(3) && !parsed.overlap_flash.has(5));
}

#[test]
fn blocks_may_come_in_any_order() {
    let mut datagram = golden();
    let (first, second) = datagram[2..28].split_at_mut(13);
    first.swap_with_slice(second);
    assert_eq!(Message::parse(&datagram), Message::parse(&golden()));
}

#[test]
fn what_is_not_a_tscbm_is_refused_with_the_reason() {
    let changed = |offset: usize, byte| {
        let mut datagram = golden();
        datagram[offset] = byte;
        Message::parse(&datagram).unwrap_err()
    };
    assert_eq!(changed(0, 0xCE), ParseError::Number(0xCE));
    assert_eq!(changed(1, 15), ParseError::Blocks(15));
    assert_eq!(changed(2, 0), ParseError::Phase(0));
    assert_eq!(changed(2, 17), ParseError::Phase(17));
    assert_eq!(changed(15, 1), ParseError::Phase(1), "named twice");
    assert_eq!(Message::parse(&[]), Err(ParseError::Length(0)));
    assert_eq!(Message::parse(&golden()[..244]), Err(ParseError::Length(244)));
    assert_eq!(Message::parse(&[golden().as_slice(), &[0]].concat()), Err(ParseError::Length(246)));
}

#[test]
fn a_set_of_phases_knows_only_one_to_sixteen() {
    let phases = Phases::of(&[0, 1, 16, 17, 255]);
    assert_eq!(phases.bits(), 0x8001);
    assert!(phases.has(1) && phases.has(16));
    assert!(!phases.has(0) && !phases.has(17) && !phases.has(255));
    assert!(phases.iter().eq([1, 16]));
    assert!(Phases::of(&[0]).is_empty());
}

#[test]
fn sets_of_phases_combine() {
    let (ring, side) = (Phases::of(&[1, 2, 3, 4]), Phases::of(&[1, 2, 5, 6]));
    assert_eq!(ring.intersection(side), Phases::of(&[1, 2]));
    assert_eq!(ring.union(side), Phases::of(&[1, 2, 3, 4, 5, 6]));
    assert_eq!(ring.difference(side), Phases::of(&[3, 4]));
}

#[test]
fn the_version_is_in_the_upper_five_bits() {
    assert_eq!(Discontinuity::from_bits(0b0001_0111).version(), 2);
    assert_eq!(Discontinuity::from_bits(0b0001_0111).bits(), 0b0001_0111);
}
