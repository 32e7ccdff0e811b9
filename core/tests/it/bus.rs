//! Lines of a reply become messages: one row per behaviour.

use cloverleaf_core::bus::{Assembler, Format, FrameError, LossReason, Protocol};

type Reply = Assembler<8, 512>;

/// Feeds lines and prints what came of them: `7E8:410C1770 !7E9` for a message and a loss.
fn outcome(reply: &mut Reply, lines: &str) -> String {
    let refused: Vec<_> = lines.split('|').filter_map(|line| reply.push(line.as_bytes()).err()).collect();
    let mut parts: Vec<String> = reply
        .messages()
        .map(|message| {
            let data: String = message.data.iter().map(|byte| format!("{byte:02X}")).collect();
            format!("{}:{data}", message.source)
        })
        .collect();
    parts.extend(reply.losses().map(|loss| format!("!{}", loss.source)));
    parts.extend(refused.iter().map(|error| format!("?{error:?}")));
    parts.join(" ")
}

fn check(rows: &[(&str, &str, &str)]) {
    for &(id, lines, expected) in rows {
        let protocol = id.chars().next().and_then(Protocol::from_id);
        let mut format = Format::new(protocol);
        for flag in id.chars().skip(1) {
            match flag {
                'h' => format.headers = false,
                'x' => format.extended = true,
                other => panic!("no such flag: {other}"),
            }
        }
        assert_eq!(outcome(&mut Reply::new(format), lines), expected, "{id} {lines}");
    }
}

#[test]
fn single_frames_in_every_spelling() {
    check(&[
        ("6", "7E8 04 41 0C 17 70 ", "7E8:410C1770"),
        ("6", "7E804410C1770", "7E8:410C1770"),
        ("6", "7e8 04 41 0c 17 70", "7E8:410C1770"),
        ("6", "\0 7 E80 4410 C1770\r", "7E8:410C1770"),
        ("6", "7E8 04 41 0C 17 70 55 55 55", "7E8:410C1770"),
        ("6", "7E8 8 04 41 0C 17 70 00 00 00", "7E8:410C1770"),
        ("6", "7E8804410C1770AAAAAA", "7E8:410C1770"),
        ("6", "00 00 07 E8 04 41 0C 17 70", "7E8:410C1770"),
        ("7", "18 DA F1 10 04 41 0C 17 70 ", "18DAF110:410C1770"),
        ("9", "18DAF11004410C1770", "18DAF110:410C1770"),
        ("7", "18 DA F1 10 8 04 41 0C 17 70 00 00 00", "18DAF110:410C1770"),
        ("1", "41 6B 10 41 0C 17 70 C8", "10:410C1770"),
        ("2", "48 6B 10 41 00 BE 3E B8 11 FA", "10:4100BE3EB811"),
        ("3", "48 6B 10 41 05 7B 84", "10:41057B"),
        ("5", "86 F1 10 41 00 BE 3E F8 11 CD", "10:4100BE3EF811"),
        ("4", "83F1107F011115", "10:7F0111"),
        ("6h", "41 0C 17 70 ", "00:410C1770"),
        ("6h", "410C1770", "00:410C1770"),
        ("3h", "41 05 7B", "00:41057B"),
        ("6x", "758 F1 03 61 01 7B", "758:61017B"),
    ]);
}

#[test]
fn only_the_last_part_of_a_message_may_be_short() {
    check(&[
        // A line that lost bytes at its end; what the last frame is filled up with must not take their place.
        ("6", "7E8 10 0F 49 04 01 41 42 43|7E8 21 44 45 46 47 48|7E8 22 4B 4C AA AA AA AA AA", "!7E8"),
        ("6", "7E8 10 0A 49 04 01 41 42|7E8 21 44 45 46 47 AA AA AA", "!7E8"),
        ("6", "7E8 10 0A|7E8 21 44 45 46 47 AA AA AA", "?Short ?Orphan"),
        ("6", "7E8 10 0A 49 04 01 41 42 43|7E8 21 44 45 46", "!7E8"),
        ("6", "7E8 10 0A 49 04 01 41 42 43|7E8 21 44 45 46 47", "7E8:49040141424344454647"),
        ("7", "18DAF110 10 0A 49 04 01 41 42|18DAF110 21 44 45 46 47 AA", "!18DAF110"),
        ("6x", "758 F1 10 0A 61 01 41 42 43|758 F1 21 44 45 46 47 48", "758:61014142434445464748"),
        ("6x", "758 F1 10 0A 61 01 41 42|758 F1 21 44 45 46 47 48", "!758"),
        ("6h", "00A|0: 49 04 01 41 42|1: 44 45 46 47 AA AA AA", "!00"),
        ("6h", "00F|0: 49 04 01 41 42 43|1: 44 45 46|2: 4B 4C AA AA AA AA AA", "!00"),
        ("6h", "00A|0: 49 04 01 41 42 43|1: 44 45 46 47 AA AA AA", "00:49040141424344454647"),
    ]);
}

#[test]
fn long_messages_of_iso_15765_2() {
    let vin = "7E8 10 14 49 02 01 57 50 30 |7E8 21 5A 5A 5A 39 39 5A 54 |7E8 22 53 33 39 32 31 32 34 ";
    let whole = "7E8:4902015750305A5A5A39395A545333393231323400";
    let whole = whole.trim_end_matches("00");
    check(&[
        ("6", vin, whole),
        ("6", "014", "?Short"),
        (
            "6h",
            "014 |0: 49 02 01 57 50 30 |1: 5A 5A 5A 39 39 5A 54 |2: 53 33 39 32 31 32 34",
            "00:4902015750305A5A5A39395A5453333932313234",
        ),
        ("7", "18DAF1101008490400000000|18DAF110210000AAAAAAAAAA", "18DAF110:4904000000000000"),
    ]);
}

#[test]
fn sequence_numbers_wrap() {
    // 6 + 17 * 7 = 125 bytes: numbers 1..F, 0, 1 (ISO 15765-2, 9.6.4.4).
    let mut lines = String::from("7E8 10 7D 62 00 00 00 00 00");
    for part in 1..=17 {
        lines += &format!("|7E8 2{:X} 01 02 03 04 05 06 07", part % 16);
    }
    let mut reply = Reply::new(Format::new(Some(Protocol::Can11Fast)));
    outcome(&mut reply, &lines);
    let lengths: Vec<_> = reply.messages().map(|message| message.data.len()).collect();
    assert_eq!(lengths, [125]);
}

#[test]
fn several_senders_interleave() {
    check(&[
        (
            "6",
            "7E8 10 08 49 04 01 02 03 04|7E9 10 08 49 04 0A 0B 0C 0D|7E9 21 0E 0F|7E8 21 05 06",
            "7E8:4904010203040506 7E9:49040A0B0C0D0E0F",
        ),
        ("6", "7EA 02 43 00|7E8 04 43 01 01 33", "7EA:4300 7E8:43010133"),
        ("6", "7E8 03 7F 09 78|7E8 03 49 01 05", "7E8:7F0978 7E8:490105"),
        ("6", "7E8 03 59 02 FF|7E8 03 41 0D 00", "7E8:5902FF 7E8:410D00"),
    ]);
}

#[test]
fn frames_printed_twice_count_once() {
    check(&[
        ("6", "7E8 03 41 0D 37|7E8 03 41 0D 37", "7E8:410D37"),
        (
            "6",
            "7E8 10 08 49 04 01 02 03 04|7E8 10 08 49 04 01 02 03 04|7E8 21 05 06|7E8 21 05 06",
            "7E8:4904010203040506",
        ),
        (
            "6",
            "7E8 10 08 49 04 01 02 03 04|7E8 21 05 06|7E8 10 08 49 04 01 02 03 04|7E8 21 05 06",
            "7E8:4904010203040506",
        ),
        ("3", "48 6B 10 41 05 7B 84|48 6B 10 41 05 7B 84", "10:41057B"),
    ]);
}

#[test]
fn a_gap_costs_one_message_and_no_other() {
    let long = "7E8 10 14 49 02 01 57 50 30|7E9 03 41 0D 37|7E8 22 53 33 39 32 31 32 34";
    let mut reply = Reply::new(Format::new(Some(Protocol::Can11Fast)));
    assert_eq!(outcome(&mut reply, long), "7E9:410D37 !7E8");
    let reasons: Vec<_> = reply.losses().map(|loss| loss.reason).collect();
    assert_eq!(reasons, [LossReason::Sequence { expected: 1, found: 2 }]);
    let before: Vec<_> = reply.fragments().map(|fragment| fragment.data).collect();
    assert_eq!(before, [[0x49, 0x02, 0x01, 0x57, 0x50, 0x30]], "what lies before the gap");
    check(&[
        ("6", "7E8 10 14 49 02 01 57 50 30|7E9 03 41 0D 37", "7E9:410D37 !7E8"),
        (
            "6",
            "7E8 10 14 49 02 01 57 50 30|7E8 10 08 49 04 01 02 03 04|7E8 21 05 06",
            "7E8:4904010203040506 !7E8",
        ),
        ("6", "7E8 21 05 06|7E8 03 41 0D 37", "7E8:410D37 ?Orphan"),
        ("6", "7E8 30 00 00|7E8 03 41 0D 37", "7E8:410D37"),
    ]);
}

#[test]
fn lines_of_older_buses_join_by_the_rules_of_each_service() {
    let vin = "87 F1 10 49 02 01 00 00 00 57 2B|87 F1 10 49 02 02 50 30 5A 5A 09|87 F1 10 49 02 03 5A 39 39 5A FC|\
               87 F1 10 49 02 04 54 53 33 39 EA|87 F1 10 49 02 05 32 31 32 34 A1";
    check(&[
        ("5", vin, "10:49020000005750305A5A5A39395A5453333932313234"),
        (
            "3",
            "48 6B 10 43 01 33 02 44 03 55 D8|48 6B 10 43 04 66 00 00 00 00 70",
            "10:43013302440355046600000000",
        ),
        ("5", "83 F1 10 41 05 86", "10:410586"),
        ("5", "80 F1 10 04 61 80 AA 55 65", "10:6180AA55"),
        ("3h", "49 02 02 41 42 43 44", "!00"),
        ("3h", "49 02 01 41 42 43 44|49 02 03 45 46 47 48|41 05 7B", "00:41057B !00"),
        ("3h", "49 02 01 41 42 43 44|41 05 7B|49 02 02 45 46 47 48", "00:49024142434445464748 00:41057B"),
    ]);
}

#[test]
fn bad_lines_are_refused_one_by_one() {
    let can = |line: &str| Reply::new(Format::new(Some(Protocol::Can11Fast))).push(line.as_bytes());
    assert_eq!(can("7E8 04 41 0C 1G 70"), Err(FrameError::Character(b'G')));
    assert_eq!(can("7E8 04 41 0C"), Err(FrameError::Length));
    assert_eq!(can("7E8 41 0C"), Err(FrameError::Kind(0x41)));
    assert_eq!(can("7E8 04 41 0C 17 7"), Err(FrameError::Length));
    assert_eq!(can("7E8"), Err(FrameError::Short));
    assert_eq!(can(""), Err(FrameError::Short));
    assert_eq!(can("7E8 04 41 0C 17 70 00 00 00 00"), Err(FrameError::Long));
    let mut sum = Reply::new(Format::new(Some(Protocol::Iso9141)));
    assert_eq!(sum.push(b"48 6B 10 41 05 7B 00"), Err(FrameError::Check { expected: 0x84, found: 0x00 }));
}

#[test]
fn on_an_unknown_bus_the_check_byte_that_was_due_is_that_of_the_header() {
    let refused = |line: &str| Reply::new(Format::new(None)).push(line.as_bytes());
    // A length in the header makes it KWP2000, whose check byte is a sum.
    assert_eq!(
        refused("87 F1 10 5A 90 41 42 43 44 45 6C"),
        Err(FrameError::Check { expected: 0xC1, found: 0x6C })
    );
    assert!(matches!(refused("48 6B 10 41 05 7B 00"), Err(FrameError::Check { found: 0, .. })));
}

#[test]
fn messages_tell_which_line_completed_them() {
    for (protocol, lines, expected) in [
        (Some(Protocol::Can11Fast), "7E8 03 41 0D 1E|7E9 03 41 0D 1F", vec![1, 2]),
        (Some(Protocol::Can11Fast), "7E8 03 41 0D 1E|7E9 03 41 0D 1F|7E8 03 41 0D 1E", vec![3, 2]),
        (
            Some(Protocol::Can11Fast),
            "7E8 10 09 62 10 01 01 02 03|7E9 03 41 0D 1F|nonsense|7E8 21 04 05 06",
            vec![4, 2],
        ),
        // The end of a long message once more, and all of it once more.
        (Some(Protocol::Can11Fast), "7E8 10 09 62 10 01 01 02 03|7E8 21 04 05 06|7E8 21 04 05 06", vec![3]),
        (
            Some(Protocol::Can11Fast),
            "7E8 10 09 62 10 01 01 02 03|7E8 21 04 05 06|7E8 10 09 62 10 01 01 02 03|7E8 21 04 05 06",
            vec![4],
        ),
        (None, "48 6B 10 41 05 7B 84|48 6B 18 41 05 7B 8C|48 6B 10 41 05 7B 84", vec![3, 2]),
        (
            None,
            "48 6B 10 43 01 33 02 44 03 55 D8|48 6B 18 41 05 7B 8C|48 6B 10 43 04 66 00 00 00 00 70",
            vec![3, 2],
        ),
    ] {
        let mut reply = Reply::new(Format::new(protocol));
        let _ = lines.split('|').map(|line| reply.push(line.as_bytes())).collect::<Vec<_>>();
        assert_eq!(reply.ends().collect::<Vec<_>>(), expected, "{lines}");
        assert_eq!(reply.messages().count(), expected.len(), "{lines}");
    }
}

#[test]
fn beyond_its_room_the_newest_is_refused() {
    let mut reply = Assembler::<2, 8>::new(Format::new(Some(Protocol::Can11Fast)));
    assert_eq!(reply.push(b"7E8 03 41 0D 37"), Ok(()));
    assert_eq!(reply.push(b"7E9 06 41 00 00 00 00 00"), Err(FrameError::Full));
    assert_eq!(reply.push(b"7EA 10 14 49 02 01 57 50 30"), Err(FrameError::Full));
    assert_eq!(reply.push(b"7EB 03 41 0D 38"), Ok(()));
    assert_eq!(reply.push(b"7EC 02 43 00"), Err(FrameError::Full));
    let data: Vec<_> = reply.messages().map(|message| message.data[2]).collect();
    assert_eq!(data, [0x37, 0x38]);
}

#[test]
fn an_unknown_bus_is_told_by_the_shape_of_its_lines() {
    for (line, expected) in [
        ("7E8 04 41 0C 17 70", "7E8:410C1770"),
        ("18 DA F1 10 04 41 0C 17 70", "18DAF110:410C1770"),
        ("48 6B 10 41 00 BE 3E B8 11 FA", "10:4100BE3EB811"),
        ("48 6B 10 41 05 7B 84", "10:41057B"),
        ("86 F1 10 41 00 BE 3E F8 11 CD", "10:4100BE3EF811"),
    ] {
        assert_eq!(outcome(&mut Reply::new(Format::new(None)), line), expected);
    }
}

#[test]
fn j1939_broadcasts() {
    check(&[
        ("A", "6 0FEEE 00 7B FF FF FF FF FF FF FF", "18FEEE00:7BFFFFFFFFFFFFFF"),
        ("A", "18FEEE007BFFFFFFFFFFFFFF", "18FEEE00:7BFFFFFFFFFFFFFF"),
        (
            "A",
            "7 0ECFF 00 20 0A 00 02 FF CA FE 00|7 0EBFF 00 01 04 FF 64 00 03 01 FF|7 0EBFF 00 02 01 02 03 FF FF FF FF",
            "1CFECA00:04FF64000301FF010203",
        ),
        // To one receiver, who gives leave and a receipt; the same sender has a broadcast under way.
        (
            "A",
            "7 0ECF9 00 10 0A 00 02 FF CA FE 00|7 0EC00 F9 11 02 01 FF FF CA FE 00|7 0ECFF 00 20 0A 00 02 FF CB FE 00|\
             7 0EBF9 00 01 04 FF 64 00 03 01 FF|7 0EBFF 00 01 10 FF 64 00 03 01 FF|7 0EBF9 00 02 01 02 03 FF FF FF FF|\
             7 0EC00 F9 13 0A 00 02 FF CA FE 00|7 0EBFF 00 02 04 05 06 FF FF FF FF",
            "1CFECA00:04FF64000301FF010203 1CFECB00:10FF64000301FF040506",
        ),
    ]);
}
