//! `/apidocs`: what is documented is there, and is answered as it is documented.

use cloverleaf::services::octane::rest::document;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::player::options;
use super::rest::{ask, read};
use crate::support::Server;

#[tokio::test]
async fn what_is_documented_is_there_and_refers_to_what_is_described() {
    let server = Server::start(&options()).await;
    let served = document();
    // Links to the original's description end in a slash.
    for path in ["/apidocs", "/apidocs/"] {
        let url = format!("{}{path}", server.url());
        assert_eq!(reqwest::get(&url).await.unwrap().json::<Value>().await.unwrap(), served, "{path}");
        let page = reqwest::Client::new().get(&url).header("accept", "text/html").send().await.unwrap();
        assert!(page.text().await.unwrap().contains("/api/gate/{id}"), "{path}");
    }

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    references(&served, &mut found);
    assert!(found.len() > 50);
    for reference in found {
        assert!(served.pointer(&reference[1..]).is_some(), "{reference} is not described");
    }
    for (path, item) in served["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            // Without a key a route that is there says so; one that is not there says 404 or 405.
            let method: Method = method.to_uppercase().parse().unwrap();
            let url = format!("{}{}", server.url(), path.replace(['{', '}'], ""));
            let status = reqwest::Client::new().request(method.clone(), url).send().await.unwrap().status();
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
        }
    }
}

/// What keeps `value` from being what `schema` says; nothing when nothing does.
pub(crate) fn unlike(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return unlike(document, document.pointer(&reference[1..]).unwrap(), value, at);
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choice].as_array() {
            let fits = choices.iter().any(|schema| unlike(document, schema, value, at).is_empty());
            return if fits { Vec::new() } else { vec![format!("{at}: none of the choices fits {value}")] };
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        return parts.iter().flat_map(|schema| unlike(document, schema, value, at)).collect();
    }
    if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
        return vec![format!("{at}: {value} is none of {}", schema["enum"])];
    }
    let kinds = match &schema["type"] {
        Value::String(kind) => vec![kind.as_str()],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other} is no type"),
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is(kind)) {
        return vec![format!("{at}: {value} is not of the type {kinds:?}")];
    }
    let mut wrong = Vec::new();
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.is_object() && value.get(name).is_none() {
            wrong.push(format!("{at}: {name} is missing"));
        }
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = value.get(name) {
            wrong.extend(unlike(document, schema, value, &format!("{at}/{name}")));
        }
    }
    for (count, value) in value.as_array().into_iter().flatten().enumerate() {
        wrong.extend(unlike(document, &schema["items"], value, &format!("{at}/{count}")));
    }
    wrong
}

#[tokio::test]
async fn what_is_answered_is_what_is_documented() {
    let server = Server::start(&options()).await;
    let document = document();
    // Something of everything that nobody has until a user makes it.
    let prepared = [
        ("/api/scenario", r#"{"scenario":{"name":"Merge"}}"#),
        ("/api/management/favorite", r#"{"moduleName":"gate","favoriteID":1}"#),
    ];
    for (path, body) in prepared {
        assert_eq!(ask(&server, Method::POST, path, Some(body)).await.0, StatusCode::OK, "{path}");
    }
    let (_, accepted) =
        ask(&server, Method::PATCH, "/api/gate/1", Some(r#"{"state":{"gateCall":true}}"#)).await;
    let request = accepted["requestID"].as_str().unwrap();
    let mut compared = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(schema) = item.pointer("/get/responses/200/content/application~1json/schema") else {
            continue;
        };
        let id = match path.as_str() {
            path if path.contains("/garage/") => "north",
            path if path.contains("/sensor/camera") || path == "/api/sensor/{id}" => "cam-4",
            path if path.contains("/sensor/lidar") => "lidar-4",
            path if path.contains("/sensor/radar") => "radar-8",
            path if path.contains("/sensor/package") => "pole-1",
            path if path.contains("/beacon/") => "PED001",
            path if path.contains("/v2x/obu/") => "0a0c0001",
            path if path.contains("/v2x/vru/") => "b0000001",
            path if path.contains("/safety/") => "cone-1",
            path if path.ends_with("/signal/{id}") || path.ends_with("/crosswalk/{id}") => "42",
            path if path.ends_with("/requests/job/{id}") => request,
            _ => "1",
        };
        let path = path.replace("{id}", id).replace("{scenario}", "1").replace("{station}", "roof");
        let path = path.replace("{date}", "2024-05-06");
        let answer = read(&server, &path).await;
        let wrong = unlike(&document, schema, &answer, &path);
        assert!(wrong.is_empty(), "{wrong:#?}");
        compared += 1;
    }
    assert!(compared > 60, "only {compared} paths");
}

/// The statuses that only some routes may answer with.
#[rustfmt::skip]
const FURTHER: [(&str, &str, &str); 8] = [
    ("post", "/api/robot/{id}/scenario",   "409"),
    ("post", "/api/robot/{id}/proxy",      "504"),
    ("post", "/api/scenario",              "409"),
    ("post", "/api/session",               "409"),
    ("post", "/api/management/favorite",   "409"),
    ("post", "/api/v2x/rsu/{id}/bsm",      "409"),
    ("post", "/api/v2x/rsu/{id}/bsms",     "409"),
    ("post", "/api/v2x/rsu/{id}/psm",      "409"),
];

#[test]
fn every_error_and_every_parameter_is_documented() {
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let mut expected = vec!["200", "400", "401", "404"];
            let is_read = method == "get" && path != "/api/sessions";
            expected.extend((!is_read).then_some("403"));
            expected.extend(operation.get("requestBody").map(|_| "413"));
            let further = FURTHER.iter().filter(|(its, at, _)| its == method && at == path);
            expected.extend(further.map(|(.., status)| *status));
            expected.sort_unstable();
            let described: Vec<_> = operation["responses"].as_object().unwrap().keys().collect();
            assert_eq!(described, expected, "{method} {path}");
        }
    }
    for method in ["get", "delete"] {
        let parameter = &document["paths"]["/api/safety/equipment"][method]["parameters"][0];
        assert_eq!(
            (&parameter["name"], &parameter["in"]),
            (&json!("safety_equipment_type"), &json!("query")),
            "{method}"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_with_the_documented_status() {
    let server = Server::start(&options()).await;
    let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(70_000));
    let (status, error) = ask(&server, Method::POST, "/api/facility/chat", Some(&long)).await;
    assert_eq!((status, &error["httpStatusCode"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!(413)));
}
