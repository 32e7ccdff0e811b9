use cloverleaf_core::json::{self, Error, Kind};

#[test]
fn json_is_accepted() {
    for text in [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-0.0",
        "12",
        "1.5",
        "1e3",
        "1E+3",
        "1e-3",
        "1.0e10",
        r#""""#,
        r#""a""#,
        r#""\"\\\/\b\f\n\r\t""#,
        r#""\u00fC""#,
        r#""\ud83d\uDE02""#,
        "\"grün \u{1f340} \u{7f} \u{2028}\"",
        "[]",
        "{}",
        "[ ]",
        "{ }",
        "[1]",
        "[1,2]",
        "[[],[[]],{}]",
        r#"{"a":1}"#,
        r#" { "a" : [ 1 , { "b" : null } ] , "a" : 2 } "#,
        "\t\r\n 1",
        "123456789012345678901234567890",
    ] {
        let trimmed = text.trim().as_bytes();
        assert_eq!(json::document(text.as_bytes()), Ok(trimmed), "{text}");
    }
}

#[test]
fn what_is_not_json_is_refused() {
    for text in [
        "",
        " ",
        "nul",
        "nullx",
        "TRUE",
        "+1",
        "01",
        "-",
        ".5",
        "1.",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "Infinity",
        "'a'",
        r#"""#,
        r#""a"#,
        r#""\x""#,
        r#""\u12""#,
        r#""\u12g4""#,
        r#""\ud83d""#,
        r#""\ud83dx""#,
        r#""\ud83d\u0041""#,
        r#""\ude02""#,
        "\"\n\"",
        "\"\0\"",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{",
        "}",
        "{1:2}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{"a":1 "b":2}"#,
        r#"{"a":1]"#,
        "[1}",
        "1 2",
        "[]x",
        "\u{feff}[]",
        "\0",
        "//c\n1",
    ] {
        assert!(json::document(text.as_bytes()).is_err(), "{text:?}");
    }
    assert_eq!(json::document(b"\"\xff\""), Err(Error::Utf8(2)));
    assert_eq!(json::document(b"[1,"), Err(Error::Syntax(0)));
}

#[test]
fn nesting_is_bounded_and_takes_no_stack() {
    let nested = |depth| ["[".repeat(depth), "]".repeat(depth)].concat();
    assert!(json::document(nested(json::DEPTH).as_bytes()).is_ok());
    assert_eq!(json::document(nested(json::DEPTH + 1).as_bytes()), Err(Error::Depth));
    assert_eq!(json::document("[{\"a\":".repeat(1_000_000).as_bytes()), Err(Error::Depth));
    // Closing brackets must be of the kind that was opened, at every depth.
    let crossed = [&"[".repeat(9)[..], "{", "]"].concat();
    assert!(json::document(crossed.as_bytes()).is_err());
}

#[test]
fn parts_are_slices_of_the_whole() {
    let object = br#"{"a" : [1, "x,]", {"b":[]}] , "\u0062":2,"a":3}"#;
    let a = json::member(object, "a").unwrap();
    assert_eq!(a, br#"[1, "x,]", {"b":[]}]"#, "of equal keys the first counts");
    assert_eq!(json::member(object, "b"), Some(&b"2"[..]), "keys are compared unescaped");
    assert_eq!(json::member(object, "c"), None);
    assert!(json::elements(a).eq([&b"1"[..], b"\"x,]\"", b"{\"b\":[]}"]));
    assert_eq!(
        json::elements(b"[]").count() + json::members(b"{}").count() + json::elements(b"{}").count(),
        0
    );
}

#[test]
fn an_array_is_recognised_and_taken_apart_in_one_pass() {
    for (text, elements, count) in [
        (r#" [ 1 , [2,"]"] ] "#, [&b"1"[..], br#"[2,"]"]"#], 2),
        ("[]", [b"", b""], 0),
        ("[ ]", [b"", b""], 0),
        ("[1]", [b"1", b""], 1),
        ("[1,2,3,{}]", [b"1", b"2"], 4),
    ] {
        assert_eq!(json::array(text.as_bytes()), Ok(Some((elements, count))), "{text}");
    }
    assert_eq!(json::array::<2>(b"{}"), Ok(None));
    for text in ["[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1]x", "[1}", "[1]]"] {
        assert!(json::array::<2>(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn strings_compare_and_copy_by_their_characters() {
    let text = |raw: &str| json::characters(raw.as_bytes()).collect::<String>();
    assert_eq!(text(r#""a\n\u00fc\ud83c\udf40\/\"""#), "a\nü🍀/\"");
    assert_eq!(text("12"), "");
    assert!(json::same(br#""\u0031""#, br#""1""#));
    assert!(!json::same(br#""1""#, b"1"));
    assert!(!json::same(b"1", b"1.0"));
    assert!(json::same(b"{\"a\":1}", b"{\"a\":1}"));
    assert_eq!(json::plain(br#""a""#), Some("a"));
    assert_eq!(json::plain(br#""\u0061""#), None);
}

#[test]
fn emitted_strings_are_read_back() {
    for text in ["", "plain", "\"\\/\u{8}\u{c}\n\r\t\u{1f}\u{0}", "grün \u{7f}\u{2028}🍀"] {
        let mut raw = Vec::new();
        json::emit_string(text, &mut |bytes| raw.extend_from_slice(bytes));
        assert_eq!(json::document(&raw), Ok(&raw[..]));
        assert_eq!(json::kind(&raw), Kind::String);
        assert!(json::is_string(&raw, text), "{text:?}");
        assert_eq!(
            serde_json_core::from_slice_escaped::<heapless::String<64>>(&raw, &mut [0; 64]).unwrap().0,
            text
        );
    }
}
