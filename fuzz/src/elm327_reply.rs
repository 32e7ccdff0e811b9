use cloverleaf_core::elm327::wire::{Line, lines};

/// Whatever an adapter sends comes apart into data that is hex text, statuses that are told again by their own
/// text, and words; and a good line after it, on a line of its own, is read as if it stood alone.
pub fn elm327_reply(data: &[u8]) {
    for line in lines(data) {
        match line {
            Line::Data { hex, .. } => {
                assert!(hex.iter().all(|byte| byte.is_ascii_hexdigit() || b" :\0".contains(byte)));
                assert_eq!(lines(hex).collect::<Vec<_>>(), [Line::Data { hex, fault: None }]);
            }
            Line::Status(status) => {
                if !status.as_str().starts_with("ERR") {
                    assert_eq!(lines(status.as_str().as_bytes()).collect::<Vec<_>>(), [Line::Status(status)]);
                }
            }
            Line::Text(text) => {
                assert!(!text.is_empty());
                assert_eq!(lines(text).collect::<Vec<_>>(), [line]);
            }
        }
    }
    let mut longer = data.to_vec();
    longer.extend_from_slice(b"\r7E8 04 41 0C 1A F8 \r\r>");
    assert_eq!(lines(&longer).last(), Some(Line::Data { hex: b"7E8 04 41 0C 1A F8", fault: None }));
    assert_eq!(lines(&longer).count(), lines(data).count() + 1);
}
