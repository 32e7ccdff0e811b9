//! `/api` and `/apidocs`.

use cloverleaf::services::octane::apidocs::document;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::wire::{member, options};
use crate::support::Server;

/// Asks with the good key and answers status and body.
async fn ask(server: &Server, method: Method, path: &str, body: Option<&str>) -> (StatusCode, Value) {
    let request = reqwest::Client::new().request(method, format!("{}{path}", server.url()));
    let request = request.header("X-API-KEY", "goodkey").body(body.unwrap_or_default().to_owned());
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

async fn read(server: &Server, path: &str) -> Value {
    let (status, body) = ask(server, Method::GET, path, None).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    body
}

#[tokio::test]
async fn every_resource_can_be_listed_and_read_by_its_id() {
    let server = Server::start(&options()).await;
    assert_eq!(read(&server, "/api/intersections").await["intersections"].as_array().unwrap().len(), 11);
    for (plural, name) in [
        ("intersections", "intersection"),
        ("signals", "signal"),
        ("crosswalks", "crosswalk"),
        ("railcrossings", "railcrossing"),
        ("gates", "gate"),
        ("garages", "garage"),
        ("lights", "light"),
        ("sensors", "sensor"),
        ("robots", "robot"),
        ("beacons", "beacon"),
    ] {
        let list = read(&server, &format!("/api/{plural}")).await;
        let first = &list[plural][0];
        let id = first["id"].as_str().map_or_else(|| first["id"].to_string(), str::to_owned);
        let item = read(&server, &format!("/api/{name}/{id}")).await;
        assert_eq!(item[name]["id"], first["id"]);
        assert!(item[name]["state"]["updated"].is_string() || name == "beacon", "{item}");
    }
    assert_eq!(read(&server, "/api/sensors/cameras").await["sensors"][0]["id"], "cam-4");
    assert_eq!(read(&server, "/api/intersection/4/rsus").await["rsus"][0]["id"], "0124");
    assert_eq!(read(&server, "/api/intersection/4/signals").await["signals"].as_array().unwrap().len(), 4);
    assert_eq!(read(&server, "/api/intersection/4/stages").await["stages"].as_array().unwrap().len(), 4);
    assert_eq!(read(&server, "/api/v2x/rsus").await["rsus"][0]["radiosSupported"][0]["txEnabled"], true);
    assert_eq!(read(&server, "/api/v2x/obu/0a0c0001").await["obu"]["id"], "0a0c0001");
    assert_eq!(read(&server, "/api/facility").await["facility"]["id"], 1);
    assert_eq!(read(&server, "/api/weather/alerts/current").await["alerts"], json!([]));
}

#[tokio::test]
async fn a_control_gives_a_number_and_the_channel_hears_the_request_and_the_state() {
    let server = Server::start(&options()).await;
    let (mut inside, mut outside) = (member(&server).await, member(&server).await);
    inside.send(r#"42/octane,["join",{"channel":"gate"}]"#).await;
    assert_eq!(inside.receive().await, r#"42/octane,["join",{"join":"gate"}]"#);
    let (status, body) =
        ask(&server, Method::PATCH, "/api/gate/1", Some(r#"{"state":{"gateCall":true}}"#)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["requestID"].as_str().unwrap().len(), 36, "{body}");
    // The states as they are may come first: the road has just been switched on.
    loop {
        let packet = inside.receive().await;
        if packet.starts_with(r#"42/octane,["gate_request","#) {
            assert!(packet.contains(r#""gateCall":true"#), "{packet}");
            break;
        }
        assert!(packet.starts_with(r#"42/octane,["gate_update","#), "{packet}");
    }
    let packet = inside.receive().await;
    assert!(
        packet.starts_with(r#"42/octane,["gate_update",{"id":1,"#) && packet.contains(r#""gateCall":true"#),
        "{packet}"
    );
    outside.expect_silence().await;

    let (_, body) = ask(&server, Method::PATCH, "/api/lights", Some(r#"{"state":{"dimLevel":40}}"#)).await;
    assert_eq!(body["requestIDs"].as_array().unwrap().len(), 6);
    assert_eq!(read(&server, "/api/light/6").await["light"]["state"]["dimLevel"], 40);
    let patch = r#"{"state":{"enabled":true}}"#;
    let (status, _) = ask(&server, Method::PATCH, "/api/intersection/6/preempt/1", Some(patch)).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn what_is_wrong_is_said_in_one_shape() {
    let server = Server::start(&options()).await;
    let good = Some(r#"{"state":{"reset":true}}"#);
    #[rustfmt::skip]
    let wrong = [
        (Method::GET,   "/api/nothing",                  None,                                    404),
        (Method::GET,   "/api/intersection/99",          None,                                    404),
        (Method::PATCH, "/api/intersection/99",          good,                                    404),
        (Method::PATCH, "/api/intersection/1",           None,                                    400),
        (Method::PATCH, "/api/intersection/1",           Some("{"),                               400),
        (Method::PATCH, "/api/intersection/1",           Some(r#"{"state":{"omit":"2"}}"#),       400),
        (Method::PATCH, "/api/intersection/1/preempt/9", Some(r#"{"state":{"enabled":true}}"#),   404),
        (Method::GET,   "/api/intersection/1/moods",     None,                                    404),
        (Method::PATCH, "/api/beacon/PED001",            good,                                    400),
        (Method::DELETE,"/api/beacon/nobody",            None,                                    404),
        (Method::POST,  "/api/beacon",                   Some(r#"{"id":"","state":{}}"#),         400),
        (Method::POST,  "/api/v2x/rsu/none/bsm",         Some("{}"),                              404),
        (Method::POST,  "/api/v2x/rsu/0124/bsm",         Some("7"),                               400),
        (Method::POST,  "/api/facility/chat",            Some("[]"),                              400),
        (Method::POST,  "/api/facility/notification",    Some(r#"{"message":"m","type":"X"}"#),   400),
    ];
    for (method, path, body, status) in wrong {
        let (got, error) = ask(&server, method.clone(), path, body).await;
        assert_eq!(got.as_u16(), status, "{method} {path}: {error}");
        assert_eq!((&error["httpStatusCode"], &error["status"]), (&json!(status), &json!(status)));
        assert!(
            !error["message"].as_str().unwrap().is_empty() && error["humanMessage"].is_string(),
            "{error}"
        );
    }
    for key in ["", "badkey"] {
        let request = reqwest::Client::new()
            .get(format!("{}/api/intersections", server.url()))
            .header("X-API-KEY", key);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.json::<Value>().await.unwrap()["httpStatusCode"], 401);
    }
}

#[tokio::test]
async fn what_is_posted_is_heard_on_its_channels() {
    let server = Server::start(&options()).await;
    let mut wire = member(&server).await;
    wire.send(r#"42/octane,["join",{"channel":"v2x_obu_beef0001_parsed"}]"#).await;
    assert_eq!(wire.receive().await, r#"42/octane,["join",{"join":"v2x_obu_beef0001_parsed"}]"#);
    let posts = [
        (
            "/api/facility/chat",
            r#"{"message":"hello","user":"me"}"#,
            r#"42/octane,["user_message",{"message":"hello","user":"me"}]"#,
        ),
        (
            "/api/v2x/rsu/0124/bsms",
            r#"[{"id":"beef0001","speed":1.0}]"#,
            r#"42/octane,["v2x_BSM",{"id":"beef0001","speed":1.0}]"#,
        ),
        (
            "/api/facility/notification",
            r#"{"message":"lunch"}"#,
            r#"42/octane,["facility_message",{"message":"lunch","type":"NOTIFY","time":""#,
        ),
    ];
    for (path, body, expected) in posts {
        let (status, answer) = ask(&server, Method::POST, path, Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        let packet = wire.receive().await;
        assert!(packet.starts_with(expected), "{packet}");
    }
    let (status, _) =
        ask(&server, Method::POST, "/api/beacon", Some(r#"{"id":"B1","state":{"dynamics":{}}}"#)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(read(&server, "/api/beacon/B1").await["beacon"]["id"], "B1");
    let (status, _) = ask(&server, Method::DELETE, "/api/beacon/B1", None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(ask(&server, Method::GET, "/api/beacon/B1", None).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_robots_return_value_is_the_answer() {
    let server = Server::start(&options()).await;
    let mut robot = member(&server).await;
    robot.send(r#"42/octane,["join",{"channel":"robot"}]"#).await;
    assert_eq!(robot.receive().await, r#"42/octane,["join",{"join":"robot"}]"#);
    let playing = tokio::spawn(async move {
        loop {
            let packet = robot.receive().await;
            if let Some(rest) = packet.strip_prefix("42/octane,")
                && let Some((id, "robot_proxy\",{\"id\":1,\"type\":\"get_batt\"}]")) = rest.split_once("[\"")
            {
                robot.send(&format!(r#"43/octane,{id}[{{"percent":87}}]"#)).await;
                return;
            }
        }
    });
    let (status, body) =
        ask(&server, Method::POST, "/api/robot/1/proxy", Some(r#"{"id":1,"type":"get_batt"}"#)).await;
    assert_eq!((status, &body["answer"]), (StatusCode::OK, &json!({"percent": 87})));
    playing.await.unwrap();
}

#[tokio::test]
async fn what_is_documented_is_there_and_refers_to_what_is_described() {
    let server = Server::start(&options()).await;
    let served: Value =
        reqwest::get(format!("{}/apidocs", server.url())).await.unwrap().json().await.unwrap();
    assert_eq!(served, document());
    let page = reqwest::Client::new().get(format!("{}/apidocs", server.url())).header("accept", "text/html");
    assert!(page.send().await.unwrap().text().await.unwrap().contains("/api/gate/{id}"));

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
