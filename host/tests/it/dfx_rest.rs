//! DFX without a WebSocket: accounts, measurements and what is told of them.

use cloverleaf::config::Options;
use cloverleaf::services::dfx::document;
use cloverleaf::services::dfx::events::Failure;
use cloverleaf::services::dfx::state::BODY;
use cloverleaf_core::dfx::ROUTES;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::dfx::{Raw, created, pulse, server_with};
use crate::octane::apidocs::unlike;
use crate::support::Server;

/// Asks with the token `t`.
async fn ask(server: &Server, method: &str, path: &str, body: Value) -> Value {
    let request = reqwest::Client::new().request(method.parse().unwrap(), format!("{}{path}", server.url()));
    let response = request.bearer_auth("t").json(&body).send().await.expect("a response");
    response.json().await.expect("JSON")
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A request (method, path, body, token) and its response (status, what its body contains).
type Row<'a> = (&'a str, &'a str, &'a str, Option<&'a str>, u16, &'a str);

#[tokio::test]
async fn the_rest_twins_answer_json_whatever_is_asked() {
    let mut options = Options::default();
    options.dfx.dfx_key = Some("secret".parse().unwrap());
    let server = Server::start(&options).await;
    let client = reqwest::Client::new();
    let large = "x".repeat((16 << 20) + 100);
    let long = format!("{{\"Password\":\"secret\",\"Other\":[{}0]}}", "0,".repeat(BODY / 2));
    #[rustfmt::skip]
    let table: &[Row<'_>] = &[
        ("GET",    "/status",                          "", None, 200, r#""StatusID":"ACTIVE""#),
        ("GET",    "/mimes",                           "", None, 200, r#"[{"ID":"application/json""#),
        ("GET",    "/status",                          "", None, 200, r#""AllowAnonymous":true"#),
        ("GET",    "/auth",                            "", Some("secret"), 200, r#""RemainingMeasurement":null"#),
        ("GET",    "/auth",                            "", None, 401, "INVALID_TOKEN"),
        ("POST",   "/organizations/licenses",          r#"{"Key":"secret"}"#, None, 200, "DeviceID"),
        ("POST",   "/organizations/licenses",          r#"{"Key":"wrong"}"#, None, 401, "INVALID_LICENSE"),
        ("DELETE", "/organizations/licenses",          "", Some("secret"), 200, "{}"),
        ("POST",   "/organizations/auth",              r#"{"Password":"secret"}"#, None, 200, "RefreshToken"),
        ("POST",   "/organizations/auth/token",        r#"{"Token":"secret"}"#, None, 200, "secret"),
        ("POST",   "/users/auth",                      r#"{"Password":"secret"}"#, None, 200, "RefreshToken"),
        ("POST",   "/users/auth",                      r#"{"Password":"wrong"}"#, None, 401, "INVALID_PASSWORD"),
        ("DELETE", "/users/auth",                      "", Some("secret"), 200, "{}"),
        ("POST",   "/auths/renew",                     r#"{"RefreshToken":"secret"}"#, None, 401, "INVALID_TOKEN"),
        ("GET",    "/studies",                         "", Some("secret"), 200, "Simulated"),
        ("GET",    "/studies/any",                     "", Some("secret"), 200, r#""ID":"any""#),
        ("POST",   "/studies/sdkconfig",               "{}", Some("secret"), 200, "MD5Hash"),
        ("POST",   "/studies/sdkconfig",               r#"{"MD5Hash":"e864215d96a297d5f5baa99059e6e477"}"#, Some("secret"), 304, ""),
        ("POST",   "/measurements",                    r#"{"StudyID":"s"}"#, Some("secret"), 200, r#""ID""#),
        ("POST",   "/measurements",                    "not json", Some("secret"), 400, "INCORRECT_REQUEST"),
        ("POST",   "/measurements",                    &large, Some("secret"), 413, "INCORRECT_REQUEST"),
        ("GET",    "/measurements",                    "", Some("secret"), 200, "CAPTURING"),
        ("GET",    "/measurements/MEASUREMENT",        "", Some("secret"), 200, r#""StatusID":"CAPTURING""#),
        ("GET",    "/measurements/nowhere",            "", Some("secret"), 404, "INVALID_MEASUREMENT"),
        ("POST",   "/measurements/nowhere/data",       r#"{"Action":"LAST::PROCESS","Payload":"AAAA"}"#, Some("secret"), 404, "INVALID_MEASUREMENT"),
        ("POST",   "/measurements/MEASUREMENT/data",   r#"{"Action":"LAST::PROCESS","Payload":"?"}"#, Some("secret"), 400, "INCORRECT_REQUEST"),
        ("GET",    "/measurements/MEASUREMENT/results/0", "", Some("secret"), 200, "{}"),
        ("GET",    "/measurements/MEASUREMENT/results/x", "", Some("secret"), 400, "INCORRECT_REQUEST"),
        ("GET",    "/measurements/MEASUREMENT/results/0", "", None, 401, "INVALID_TOKEN"),
        ("POST",   "/users/profiles",                  "{}", Some("secret"), 400, "Invalid Route Number 0400"),
        ("GET",    "/users/any/profiles",              "", Some("secret"), 400, "Invalid Route Number 0403"),
        ("PATCH",  "/meta/a/b/c",                      "{}", Some("secret"), 400, "Invalid Route Number 0303"),
        ("PATCH",  "/measurements",                    "{}", Some("secret"), 405, "Invalid Route PATCH"),
        ("GET",    "/measurements/%FF",                "", Some("secret"), 400, "INCORRECT_REQUEST"),
        ("GET",    "/measurements/%FF/results/0",      "", Some("secret"), 400, "INCORRECT_REQUEST"),
        ("POST",   "/measurements/%FF/data",           "{}", Some("secret"), 400, "INCORRECT_REQUEST"),
        ("POST",   "/users/auth",                      &long, None, 413, "INCORRECT_REQUEST"),
        ("DELETE", "/measurements/nowhere",            "", Some("secret"), 404, "INVALID_MEASUREMENT"),
        ("DELETE", "/measurements/MEASUREMENT",        "", Some("secret"), 200, "{}"),
        ("DELETE", "/measurements/MEASUREMENT",        "", Some("secret"), 404, "INVALID_MEASUREMENT"),
        ("GET",    "/dfx/nowhere",                     "", None, 404, "Invalid Route /dfx/nowhere"),
    ];
    for prefix in ["", "/dfx"] {
        let measurement = created(&server, "secret").await;
        for (method, path, body, token, status, text) in table {
            let path = path.replace("MEASUREMENT", &measurement);
            let path = if path.starts_with("/dfx") { path } else { format!("{prefix}{path}") };
            let mut request = client.request(method.parse().unwrap(), format!("{}{path}", server.url()));
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let response = request.body((*body).to_owned()).send().await.unwrap();
            let case = format!("{method} {path}");
            assert_eq!(response.status(), *status, "{case}");
            // Without a body there must be no semicolon, or the JavaScript client reads one.
            let content = if *status == 304 { "application/json" } else { "application/json; charset=utf-8" };
            assert_eq!(response.headers()["content-type"], content, "{case}");
            let body = response.text().await.unwrap();
            assert!(body.contains(text), "{case}: {body}");
        }
    }
}

/// Most clients read nothing before they have sent everything; those that ask before they do need not send it.
#[tokio::test]
async fn without_a_token_the_refusal_is_read_whether_the_body_is_sent_or_not() {
    let mut options = Options::default();
    options.dfx.dfx_key = Some("secret".parse().unwrap());
    let server = Server::start(&options).await;
    let body = vec![b'x'; 8 << 20];
    for (expect, body) in [("", &body[..]), ("Expect: 100-continue\r\n", &[])] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!(
            "POST /measurements/any/data HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{expect}Content-Length: {}\r\n\r\n",
            8 << 20
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 401 ") && answer.contains("INVALID_TOKEN"),
            "{expect}: {answer}"
        );
    }
}

/// As the snippets' own program sends it, by REST: a description of the chunk as plain JSON text.
#[tokio::test]
async fn a_description_need_not_be_base64() {
    let server = Server::start(&Options::default()).await;
    let measurement = created(&server, "t").await;
    let metas = [r#"{"Order": 0, "Duration": 5}"#, "b'bytes of Python'", "e30=", ""];
    for (order, meta) in metas.into_iter().enumerate() {
        let chunk = json!({
            "ChunkOrder": order, "Action": "CHUNK::PROCESS", "StartTime": 5 * order, "EndTime": 5 * order + 5,
            "Duration": 5, "Meta": meta, "Payload": base64(&pulse(72.0, 5.0)),
        });
        let ack = ask(&server, "POST", &format!("/measurements/{measurement}/data"), chunk).await;
        assert_eq!(ack["ChunkOrder"], order, "{meta}: {ack}");
    }
}

/// As the printers of the Python clients read it: by the names of the signals.
#[tokio::test]
async fn a_measurement_is_retrieved_with_what_its_signals_are() {
    let server = Server::start(&Options::default()).await;
    let measurement = created(&server, "t").await;
    let path = format!("/measurements/{measurement}");
    let retrieved = ask(&server, "GET", &path, json!({})).await;
    assert_eq!((&retrieved["SignalNames"], &retrieved["Results"]), (&json!({}), &json!({})));
    for action in ["FIRST::PROCESS", "LAST::PROCESS"] {
        let chunk = json!({ "Action": action, "Payload": base64(&pulse(72.0, 5.0)) });
        ask(&server, "POST", &format!("{path}/data"), chunk).await;
    }
    let retrieved = ask(&server, "GET", &path, json!({})).await;
    let signals = retrieved["SignalNames"].as_object().expect("signals");
    assert_eq!(signals.keys().collect::<Vec<_>>(), ["HR_BPM", "SNR"]);
    for id in signals.keys() {
        let series = &retrieved["Results"][id][0];
        assert_eq!(series["Data"].as_array().map(Vec::len), Some(2), "{series}");
        assert_eq!(series["Multiplier"], 1000);
        assert!(retrieved["SignalUnits"][id].is_string() && retrieved["SignalDescriptions"][id].is_string());
        assert!(retrieved["SignalConfig"][id]["category"].is_string());
    }
    assert_eq!((&retrieved["StatusID"], &retrieved["Mode"]), (&json!("COMPLETE"), &json!("DISCRETE")));
    assert!(retrieved["Created"].as_u64() <= retrieved["Updated"].as_u64());
}

#[tokio::test]
async fn lists_are_as_long_as_asked_for_and_of_what_was_asked_for() {
    let server = Server::start(&Options::default()).await;
    for number in 0..60 {
        let create =
            json!({ "StudyID": format!("study{}", number % 3), "UserProfileID": null, "PartnerID": null });
        ask(&server, "POST", "/measurements", create).await;
    }
    let table = [
        ("", 50, 60),
        ("?Limit=1", 1, 60),
        ("?Limit=1000", 50, 60),
        ("?Limit=20&Offset=55", 5, 60),
        // As py2 sends what it was not given.
        ("?Date=&StudyID=study1&StatusID=&Mode=&Limit=50&Offset=0", 20, 20),
        // As the JavaScript client writes it.
        ("?studyId=study2&statusId=capturing&limit=7", 7, 20),
        ("?StatusID=COMPLETE", 0, 0),
        ("?PartnerID=nobody", 0, 0),
    ];
    for (query, length, total) in table {
        let list = ask(&server, "GET", &format!("/measurements{query}"), json!({})).await;
        let list = list.as_array().unwrap_or_else(|| panic!("{query}: {list}"));
        assert_eq!(list.len(), length, "{query}");
        assert!(list.iter().all(|item| item["TotalCount"] == total), "{query}: {list:?}");
    }
    let refused = ask(&server, "GET", "/measurements?Limit=many", json!({})).await;
    assert_eq!(refused["Code"], "VALIDATION_ERROR");
    assert_eq!(refused["Errors"]["Limit"]["msgs"][0], "a whole number");
}

/// The first program of the snippets cuts the token out of the text by its neighbours.
#[tokio::test]
async fn the_token_of_a_device_can_be_cut_out_of_the_text() {
    let server = Server::start(&Options::default()).await;
    let url = format!("{}/organizations/licenses", server.url());
    let text = reqwest::Client::new().post(url).json(&json!({ "Key": "k" })).send().await.unwrap();
    let text = text.text().await.unwrap();
    let (begin, end) = (text.find("Token").unwrap() + 8, text.find("\",\"UserID").unwrap());
    let whole: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(text[begin..end], *whole["Token"].as_str().unwrap());
}

#[tokio::test]
async fn texts_are_bounded() {
    let server = Server::start(&Options::default()).await;
    for field in ["StudyID", "UserProfileID", "PartnerID", "DeviceVersion", "Notes", "Mode"] {
        let good = ask(&server, "POST", "/measurements", json!({ field: "x".repeat(128) })).await;
        assert!(good["ID"].is_string(), "{good}");
        let refused = ask(&server, "POST", "/measurements", json!({ field: "x".repeat(129) })).await;
        assert_eq!(refused["Code"], "VALIDATION_ERROR", "{field}");
        assert_eq!(refused["Errors"][field]["msgs"][0], "at most 128 bytes");
    }
    let token = "x".repeat((16 << 10) + 1);
    let refused = ask(&server, "POST", "/organizations/auth/token", json!({ "Token": token })).await;
    assert_eq!(refused["Code"], "VALIDATION_ERROR");
}

#[tokio::test]
async fn a_licence_gives_tokens_that_run_out_and_renew() {
    let server = server_with("token_ttl = 0").await;
    let client = reqwest::Client::new();
    let post = async |path: &str, body: Value| {
        let response = client.post(format!("{}{path}", server.url())).json(&body).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    let (status, tokens) = post("/organizations/licenses", json!({ "Key": "licence" })).await;
    assert_eq!(status, 200);
    assert!(tokens["DeviceID"].is_string() && tokens["RoleID"].is_string());
    let token = tokens["Token"].as_str().unwrap();
    let mut raw = Raw::connect(&server, "/", &["json"], Some(token)).await;
    raw.send_bytes(b"0107call000001{}").await;
    assert_eq!(raw.expect::<Failure>("call000001", 401).await.code, "TOKEN_EXPIRED");
    let (status, _) =
        post("/auths/renew", json!({ "Token": token, "RefreshToken": "never given out" })).await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn a_refresh_token_renews_once_and_opens_nothing() {
    let mut options = Options::default();
    options.dfx.dfx_key = Some("secret".parse().unwrap());
    let server = Server::start(&options).await;
    let client = reqwest::Client::new();
    let post = async |path: &str, token: &str, body: Value| {
        let request = client.post(format!("{}{path}", server.url())).bearer_auth(token).json(&body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    let (_, tokens) = post("/users/auth", "", json!({ "Password": "secret" })).await;
    let token = |tokens: &Value, name: &str| tokens[name].as_str().unwrap().to_owned();
    let (device, refresh) = (token(&tokens, "Token"), token(&tokens, "RefreshToken"));
    assert_eq!(post("/measurements", &refresh, json!({})).await.0, 401);
    assert_eq!(post("/measurements", &device, json!({})).await.0, 200);
    let pair = |token: &str, refresh: &str| json!({ "Token": token, "RefreshToken": refresh });
    for wrong in
        [pair(&device, &device), pair(&refresh, &refresh), pair("", &refresh), pair("other", &refresh)]
    {
        assert_eq!(post("/auths/renew", "", wrong).await.0, 401);
    }
    // A child has tokens of its own, and those of its parent stay good.
    let (status, child) = post("/auths/generateToken", "", pair(&device, &refresh)).await;
    assert_eq!((status, post("/measurements", &token(&child, "Token"), json!({})).await.0), (200, 200));
    let (status, renewed) = post("/auths/renew", "", pair(&device, &refresh)).await;
    assert_eq!(status, 200);
    assert_eq!(post("/auths/renew", "", pair(&device, &refresh)).await.0, 401, "once");
    assert_eq!(post("/measurements", &device, json!({})).await.0, 401, "the old one is no longer good");
    let renewed = token(&renewed, "Token");
    assert_eq!(post("/measurements", &renewed, json!({})).await.0, 200);
    let url = format!("{}/users/auth", server.url());
    assert_eq!(client.delete(url).bearer_auth(&renewed).send().await.unwrap().status(), 200);
    assert_eq!(post("/measurements", &renewed, json!({})).await.0, 401, "logged out");
}

#[tokio::test]
async fn what_is_documented_is_what_there_is() {
    let server = Server::start(&Options::default()).await;
    let url = format!("{}/dfx/apidocs", server.url());
    let served: Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
    assert_eq!(served, document());
    let page = reqwest::Client::new().get(&url).header("accept", "text/html").send().await.unwrap();
    assert!(page.text().await.unwrap().contains("/measurements/{id}/data"));
    let documented = |method: &str, path: &str| {
        let names = [["{}", "{id}"], ["{}", "{b}"], ["{}", "{c}"]];
        let path = names.iter().fold(path.to_owned(), |path, [from, to]| path.replacen(from, to, 1));
        served["paths"].get(path)?.get(method.to_ascii_lowercase())
    };
    for route in ROUTES.iter().filter(|route| route.method != "CONNECT") {
        let path = route.path.replace("{}", "x");
        let answer = ask(&server, route.method, &path, json!({})).await;
        let answer = answer["Message"].as_str().unwrap_or_default();
        let there = !answer.starts_with("Invalid Route");
        assert_eq!(
            documented(route.method, route.path).is_some(),
            there,
            "{} {}: {answer}",
            route.method,
            route.path
        );
    }
}

#[test]
fn every_operation_says_what_can_go_wrong_and_whether_it_needs_a_token() {
    // Which statuses there are, and whether it needs no token.
    let table = [
        ("get /status", "200 400", true),
        ("get /mimes", "200 400", true),
        ("get /auth", "200 400 401", false),
        ("post /users/auth", "200 400 401 413", true),
        ("delete /users/auth", "200 400 401", false),
        ("post /organizations/licenses", "200 400 401 413", true),
        ("delete /organizations/licenses", "200 400 401", false),
        ("post /organizations/auth", "200 400 401 413", true),
        ("post /organizations/auth/token", "200 400 401 413", true),
        ("post /auths/renew", "200 400 401 413", true),
        ("post /auths/generateToken", "200 400 401 413", true),
        ("get /measurements", "200 400 401", false),
        ("post /measurements", "200 400 401 413", false),
        ("get /measurements/{id}", "200 400 401 404", false),
        ("delete /measurements/{id}", "200 400 401 404", false),
        ("post /measurements/{id}/data", "200 400 401 404 413 429 503", false),
        ("get /measurements/{id}/results/{chunk}", "200 400 401 404", false),
        ("get /studies", "200 400 401", false),
        ("get /studies/{id}", "200 400 401", false),
        ("post /studies/sdkconfig", "200 304 400 401 413", false),
    ];
    let document = document();
    let paths = document["paths"].as_object().expect("paths");
    let all = paths.iter().flat_map(|(path, item)| {
        item.as_object()
            .into_iter()
            .flatten()
            .map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    let mut count = 0;
    for (name, operation) in all {
        let (_, statuses, open) =
            table.iter().find(|(row, ..)| *row == name).unwrap_or_else(|| panic!("{name} is new"));
        let responses = operation["responses"].as_object().expect("responses");
        assert_eq!(responses.keys().cloned().collect::<Vec<_>>().join(" "), *statuses, "{name}");
        assert_eq!(operation["security"] == json!([]), *open, "{name}");
        count += 1;
    }
    assert_eq!(count, table.len());
    let query = document["paths"]["/measurements"]["get"]["parameters"].as_array().expect("parameters");
    let names: Vec<_> = query.iter().map(|parameter| &parameter["name"]).collect();
    assert_eq!(names, ["limit", "offset", "StatusID", "StudyID", "UserProfileID", "PartnerID", "Mode"]);
    assert_eq!(document["paths"]["/studies/sdkconfig"]["post"]["responses"]["304"].get("content"), None);
}

#[tokio::test]
async fn answers_are_as_documented() {
    let server = Server::start(&Options::default()).await;
    let measurement = created(&server, "t").await;
    let tokens = ask(&server, "POST", "/users/auth", json!({ "Password": "p" })).await;
    let chunk = json!({ "Action": "LAST::PROCESS", "Payload": base64(&pulse(72.0, 5.0)) });
    let table = [
        ("GET", "/status", json!({})),
        ("GET", "/mimes", json!({})),
        ("POST", "/measurements", json!({ "StudyID": "s" })),
        ("POST", "/measurements/{id}/data", chunk),
        ("GET", "/measurements/{id}/results/{chunk}", json!({})),
        ("GET", "/measurements/{id}", json!({})),
        ("GET", "/measurements", json!({})),
        ("POST", "/organizations/licenses", json!({ "Key": "k" })),
        ("POST", "/organizations/auth/token", json!({ "Token": "t" })),
        ("POST", "/auths/generateToken", tokens.clone()),
        ("POST", "/auths/renew", tokens),
        ("GET", "/studies", json!({})),
        ("GET", "/studies/{id}", json!({})),
        ("POST", "/studies/sdkconfig", json!({})),
        ("DELETE", "/measurements/{id}", json!({})),
    ];
    let document = document();
    for (method, path, body) in table {
        let operation = &document["paths"][path][method.to_ascii_lowercase()];
        let sent = &operation["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(unlike(&document, sent, &body, "request"), <[String; 0]>::default(), "{method} {path}");
        let answer =
            ask(&server, method, &path.replace("{id}", &measurement).replace("{chunk}", "0"), body).await;
        let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{method} {path} is not described");
        assert_eq!(
            unlike(&document, schema, &answer, "answer"),
            <[String; 0]>::default(),
            "{method} {path}: {answer}"
        );
    }
    let refused = ask(&server, "GET", "/measurements/nowhere", json!({})).await;
    let schema = &document["paths"]["/measurements/{id}"]["get"]["responses"]["404"]["content"]["application/json"]
        ["schema"];
    assert_eq!(unlike(&document, schema, &refused, "error"), <[String; 0]>::default(), "{refused}");
}
