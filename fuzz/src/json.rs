use cloverleaf_core::json;

/// What is recognised is what serde_json takes; parts are slices of the whole; strings survive being copied.
pub fn json(data: &[u8]) {
    let built = serde_json::from_slice::<serde_json::Value>(data);
    match json::document(data) {
        Ok(document) => {
            assert!(
                serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok(),
                "accepted what is not JSON"
            );
            assert_eq!(json::document(document), Ok(document));
            parts(document, &mut 0);
            if let Ok(built) = built {
                compare(document, &built);
            }
        }
        Err(json::Error::Depth) => {}
        Err(error) => assert!(built.is_err(), "refused JSON: {error}"),
    }
}

/// Every part of a valid value is valid.
fn parts(value: &[u8], depth: &mut usize) {
    *depth += 1;
    if *depth > 10_000 {
        return;
    }
    for element in json::elements(value) {
        assert_eq!(json::document(element), Ok(element));
        assert!(json::same(element, element));
    }
    for (key, member) in json::members(value) {
        assert_eq!(json::kind(key), json::Kind::String);
        assert_eq!(json::document(member), Ok(member));
    }
    if json::kind(value) == json::Kind::String {
        let text: String = json::characters(value).collect();
        assert!(json::is_string(value, &text));
        let mut again = Vec::new();
        json::emit_string(&text, &mut |bytes| again.extend_from_slice(bytes));
        assert!(json::same(value, &again));
    }
}

/// The top level agrees with what serde_json built.
fn compare(document: &[u8], built: &serde_json::Value) {
    match built {
        serde_json::Value::Array(elements) => assert_eq!(json::elements(document).count(), elements.len()),
        serde_json::Value::Object(members) => {
            for (key, _) in members {
                assert!(json::member(document, key).is_some(), "{key:?} is lost");
            }
        }
        serde_json::Value::String(text) => assert!(json::is_string(document, text)),
        _ => assert_eq!(json::elements(document).count() + json::members(document).count(), 0),
    }
}
