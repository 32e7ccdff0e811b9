//! `/api`.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::player::{member, options};
use crate::support::Server;

/// Asks with the good key and answers status and body.
pub(super) async fn ask(
    server: &Server,
    method: Method,
    path: &str,
    body: Option<&str>,
) -> (StatusCode, Value) {
    let request = reqwest::Client::new().request(method, format!("{}{path}", server.url()));
    let request = request.header("X-API-KEY", "goodkey").body(body.unwrap_or_default().to_owned());
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

pub(super) async fn read(server: &Server, path: &str) -> Value {
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
    assert_eq!(read(&server, "/api/sensors/cameras").await["cameras"][0]["id"], "cam-4");
    assert_eq!(read(&server, "/api/intersection/4/rsus").await["rsus"][0]["name"], "0124");
    assert_eq!(read(&server, "/api/intersection/4/signals").await["signals"].as_array().unwrap().len(), 4);
    assert_eq!(read(&server, "/api/intersection/4/stages").await["stages"].as_array().unwrap().len(), 4);
    assert_eq!(read(&server, "/api/v2x/rsus").await["rsus"][0]["radiosSupported"][0]["txEnabled"], true);
    assert_eq!(read(&server, "/api/v2x/obu/0a0c0001").await["obu"]["id"], 0x0a0c_0001);
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
        (Method::GET,   "/api",                          None,                                    404),
        (Method::GET,   "/api/",                         None,                                    404),
        (Method::GET,   "/api/nothing",                  None,                                    404),
        (Method::PATCH, "/api/gate/%ff",                 good,                                    400),
        (Method::DELETE,"/api/gate/1",                   None,                                    405),
        (Method::GET,   "/api/intersection/99",          None,                                    404),
        (Method::PATCH, "/api/intersection/99",          good,                                    404),
        (Method::PATCH, "/api/intersection/1",           None,                                    400),
        (Method::PATCH, "/api/intersection/1",           Some("{"),                               400),
        (Method::PATCH, "/api/intersection/1",           Some(r#"{"state":{"omit":"2"}}"#),       400),
        (Method::PATCH, "/api/intersection/1/preempt/9", Some(r#"{"state":{"enabled":true}}"#),   404),
        (Method::GET,   "/api/intersection/1/moods",     None,                                    404),
        (Method::PATCH, "/api/beacon/PED001",            good,                                    400),
        (Method::PUT,   "/api/gate/1",                   good,                                    405),
        (Method::GET,   "/api/sensor/camera/lidar-4",    None,                                    404),
        (Method::PATCH, "/api/v2x/rsu/0a0c0001",         Some(r#"{"state":{"enabled":true}}"#),   404),
        (Method::GET,   "/api/robot/9/scenarios",        None,                                    404),
        (Method::GET,   "/api/robot/1/scenario/9",       None,                                    404),
        (Method::DELETE,"/api/robot/1/scenario/1",       None,                                    400),
        (Method::POST,  "/api/robot/1/scenario",         Some(r#"{"name":"n","path":[]}"#),       400),
        (Method::GET,   "/api/safety/equipment/none",    None,                                    404),
        (Method::GET,   "/api/safety/equipment?safety_equipment_type=HAT", None,                  400),
        (Method::PATCH, "/api/safety/equipment/cone-1",  Some(r#"{"state":{"latitude":91}}"#),    400),
        (Method::PATCH, "/api/maintenance/lawnmower/1",  Some(r#"{"state":{"mowerCall":"FLY"}}"#),400),
        (Method::GET,   "/api/weather/alerts/tomorrow",  None,                                    400),
        (Method::GET,   "/api/weather/nowhere",          None,                                    404),
        (Method::GET,   "/api/scenario/1",               None,                                    404),
        (Method::POST,  "/api/scenario",                 Some(r#"{"scenario":{"name":""}}"#),     400),
        (Method::GET,   "/api/requests/job/none",        None,                                    404),
        (Method::POST,  "/api/session",                  Some(r#"{"email":"e","dateExpire":"2001-01-01T00:00:00Z"}"#), 400),
        (Method::DELETE,"/api/management/favorite/gate/1", None,                                  404),
        (Method::POST,  "/api/management/facility/reset", Some(r#"{"state":{"confirm":false}}"#), 400),
        (Method::DELETE,"/api/beacon/nobody",            None,                                    404),
        (Method::POST,  "/api/beacon",                   Some(r#"{"id":"","state":{}}"#),         400),
        (Method::POST,  "/api/v2x/rsu/none/bsm",         Some("{}"),                              404),
        (Method::POST,  "/api/v2x/rsu/0124/bsm",         Some("7"),                               400),
        (Method::POST,  "/api/facility/chat",            Some("[]"),                              400),
        (Method::POST,  "/api/robot/99/proxy",           Some("{}"),                              404),
        (Method::POST,  "/api/robot/1/proxy",            Some(r#"{"id":2,"type":"get_batt"}"#),   400),
        (Method::POST,  "/api/robot/1/proxy",            Some("7"),                               400),
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
async fn of_several_messages_all_are_sent_or_none_and_none_through_a_radio_that_is_off() {
    let server = Server::start(&options()).await;
    let half = r#"[{"id":"aa000001","latitude":1},{"id":"aa000002","latitude":"x"}]"#;
    let (status, error) = ask(&server, Method::POST, "/api/v2x/rsu/4/bsms", Some(half)).await;
    assert_eq!((status, &error["message"]), (StatusCode::BAD_REQUEST, &json!("latitude is a number")));
    assert_eq!(ask(&server, Method::GET, "/api/v2x/obu/aa000001", None).await.0, StatusCode::NOT_FOUND);
    let whole = r#"[{"id":"aa000001","latitude":1},{"id":"aa000002"}]"#;
    assert_eq!(ask(&server, Method::POST, "/api/v2x/rsu/4/bsms", Some(whole)).await.0, StatusCode::OK);
    assert_eq!(read(&server, "/api/v2x/obu/aa000002").await["obu"]["name"], "aa000002");
    ask(&server, Method::PATCH, "/api/v2x/rsu/4", Some(r#"{"state":{"enabled":false}}"#)).await;
    for path in ["/api/v2x/rsu/4/bsm", "/api/v2x/rsu/0124/bsms", "/api/v2x/rsu/0124/psm"] {
        let (status, error) = ask(&server, Method::POST, path, Some(r#"{"id":"aa000003"}"#)).await;
        assert_eq!(status, StatusCode::CONFLICT, "{path}");
        assert!(error["message"].as_str().unwrap().ends_with(" is not enabled"), "{error}");
    }
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
async fn what_users_keep_can_be_read_changed_and_taken_away() {
    let server = Server::start(&options()).await;
    let server = &server;
    let done = async |method: Method, path: &str, body: Option<&str>| {
        let (status, answer) = ask(server, method.clone(), path, body).await;
        assert_eq!(status, StatusCode::OK, "{method} {path}: {answer}");
        answer
    };
    let new = r#"{"scenario":{"name":"Merge","workspace":"<xml/>"}}"#;
    let scenario = done(Method::POST, "/api/scenario", Some(new)).await["scenario"].clone();
    let path = format!("/api/scenario/{}", scenario["id"]);
    assert_eq!((&scenario["name"], &scenario["owner"]), (&json!("Merge"), &json!("key 1")));
    let changed = done(Method::PATCH, &path, Some(r#"{"scenario":{"name":"Yield"}}"#)).await;
    assert_eq!(
        (&changed["scenario"]["name"], &changed["scenario"]["workspace"]),
        (&json!("Yield"), &json!("<xml/>"))
    );
    done(Method::DELETE, &path, None).await;
    assert_eq!(ask(server, Method::GET, &path, None).await.0, StatusCode::NOT_FOUND);

    let new = r#"{"scenario":{"name":"There","path":[{"latitude":42.3,"longitude":-83.69,"velocity":2.0}]}}"#;
    let scenario = done(Method::POST, "/api/robot/1/scenario", Some(new)).await;
    assert_eq!((&scenario["id"], &scenario["lock"]), (&json!(3), &json!(false)));
    done(Method::PATCH, "/api/robot/1", Some(r#"{"state":{"scenario":{"id":3}}}"#)).await;
    assert_eq!(read(server, "/api/robot/1/scenario").await["name"], "There");
    done(Method::DELETE, "/api/robot/1/scenario/3", None).await;
    assert_eq!(ask(server, Method::GET, "/api/robot/1/scenario", None).await.0, StatusCode::NOT_FOUND);

    done(Method::PATCH, "/api/safety/equipment/cone-1", Some(r#"{"state":{"placed":true,"latitude":42.1}}"#))
        .await;
    let cone = read(server, "/api/safety/equipment/cone-1").await;
    assert_eq!(cone["safetyEquipment"]["state"]["placed"], true);
    assert_eq!(
        read(server, "/api/safety/equipment?safety_equipment_type=BARREL").await["equipment"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    done(Method::DELETE, "/api/safety/equipment?safety_equipment_type=CONE", None).await;
    let cone = read(server, "/api/safety/equipment/cone-1").await;
    assert_eq!(
        cone["safetyEquipment"]["state"],
        json!({"placed": false, "latitude": 42.2991, "longitude": -83.69765})
    );

    done(Method::PATCH, "/api/maintenance/lawnmower/1", Some(r#"{"state":{"mowerCall":"START"}}"#)).await;
    assert_eq!(read(server, "/api/maintenance/lawnmower/1").await["state"]["mowerCall"], "START");
    done(Method::POST, "/api/management/favorite", Some(r#"{"moduleName":"gate","favoriteID":1}"#)).await;
    assert_eq!(read(server, "/api/management/favorites").await["favorites"][0]["favoriteID"], 1);
    done(Method::DELETE, "/api/management/favorite/gate/1", None).await;
    assert_eq!(read(server, "/api/management/favorites").await["favorites"], json!([]));
    done(Method::POST, "/api/management/facility/reset", Some(r#"{"state":{"confirm":true}}"#)).await;
    assert_eq!(read(server, "/api/maintenance/lawnmower/1").await["state"]["mowerCall"], "PARK");
    let called =
        r#"{"data":"1","event":"pressed","coreid":"button-7","published_at":"2024-05-06T12:00:00Z"}"#;
    done(Method::POST, "/api/management/device/callback", Some(called)).await;
    done(Method::PATCH, "/api/sensors/cameras", Some(r#"{"state":{"enabled":false}}"#)).await;
    assert_eq!(read(server, "/api/sensor/cam-4").await["sensor"]["state"]["enabled"], false);
    done(Method::PATCH, "/api/v2x/rsus", Some(r#"{"state":{"enabled":false}}"#)).await;
    assert_eq!(read(server, "/api/v2x/4").await["v2x"]["state"]["enabled"], false);
    let weather = read(server, "/api/weather/roof/2024-05-06").await;
    assert_eq!(weather["weather"].as_array().unwrap().len(), 144, "one every ten minutes");
}

#[tokio::test]
async fn a_request_is_remembered_with_what_became_of_it() {
    let server = Server::start(&options()).await;
    let (_, accepted) =
        ask(&server, Method::PATCH, "/api/gate/1", Some(r#"{"state":{"gateCall":true}}"#)).await;
    let job = read(&server, &format!("/api/requests/job/{}", accepted["requestID"].as_str().unwrap())).await;
    assert_eq!((&job["job"]["jobType"], &job["job"]["status"]), (&json!("gate"), &json!("finished")));
    ask(&server, Method::PATCH, "/api/light/1", Some(r#"{"state":{"dimLevel":101}}"#)).await;
    let failed = read(&server, "/api/requests/failed").await;
    assert_eq!(failed["failedJobs"][0]["description"], "dimLevel is 0 to 100 percent");
    assert_eq!(
        read(&server, "/api/requests/job/light/failed").await["failedRequests"].as_array().unwrap().len(),
        1
    );
    assert_eq!(read(&server, "/api/requests/job/gate/failed").await["failedRequests"], json!([]));
    assert_eq!(read(&server, "/api/requests/queued").await["queuedJobs"], json!([]));
}

#[tokio::test]
async fn a_key_made_over_rest_lets_a_user_in_until_it_ends() {
    let server = Server::start(&options()).await;
    let new = r#"{"email":"guest@example.org","dateExpire":"2999-01-01T00:00:00Z"}"#;
    let (status, made) = ask(&server, Method::POST, "/api/session", Some(new)).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    let ask = async |method: Method, path: &str, body: &str| {
        let request = reqwest::Client::new().request(method, format!("{}{path}", server.url()));
        let request = request.header("X-API-KEY", made["token"].as_str().unwrap()).body(body.to_owned());
        let response = request.send().await.unwrap();
        (response.status(), response.json::<Value>().await.unwrap())
    };
    let (_, session) = ask(Method::GET, "/api/session", "").await;
    assert_eq!(
        (&session["session"]["email"], &session["session"]["sessionType"]),
        (&json!("guest@example.org"), &json!("USER"))
    );
    assert_eq!(ask(Method::PATCH, "/api/gate/1", r#"{"state":{"gateCall":true}}"#).await.0, StatusCode::OK);
    for (method, path, body) in [
        (Method::GET, "/api/sessions", ""),
        (Method::POST, "/api/session", new),
        (Method::POST, "/api/facility/notification", r#"{"message":"m"}"#),
        (Method::POST, "/api/management/device/callback", "{}"),
        (Method::PATCH, "/api/management/polling/intersections", r#"{"state":{"enabled":false}}"#),
    ] {
        let (status, error) = ask(method, path, body).await;
        assert_eq!((status, &error["httpStatusCode"]), (StatusCode::FORBIDDEN, &json!(403)), "{path}");
    }
    let sessions = read(&server, "/api/sessions").await;
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 2);
}
