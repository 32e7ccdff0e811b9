//! The page at `/` and the stream behind it.

use std::time::Duration;

use cloverleaf::app::App;
use cloverleaf::car::{self, Car};
use cloverleaf::config::Options;
use cloverleaf::services::hub::client::Chat;
use cloverleaf::timeline::{Bus, CAPACITY, Source, Value};
use futures_util::StreamExt;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;

use crate::support::Server;

/// A server with these options, and the bus that its page shows.
async fn server(options: &Options) -> (String, Bus) {
    let app = App::new(options).await.unwrap();
    let bus = app.timeline().clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(app.serve(listener, std::future::pending()));
    (url, bus)
}

/// The server-sent events of a stream: name and data.
struct Events {
    bytes: std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    text: String,
}

impl Events {
    async fn of(url: &str) -> Self {
        let response = reqwest::get(format!("{url}/timeline")).await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { bytes: Box::pin(response.bytes_stream()), text: String::new() }
    }

    /// The next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<(String, Json)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name| event.lines().find_map(|line: &str| line.strip_prefix(name));
                let name = field("event: ").unwrap_or_default().to_owned();
                let data = field("data: ").map(|data| serde_json::from_str(data).unwrap());
                self.text = rest.to_owned();
                match data {
                    Some(data) => return Some((name, data)),
                    // A comment that keeps the connection alive.
                    None => continue,
                }
            }
            let bytes = self.bytes.next().await?.ok()?;
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    async fn entry(&mut self, topic: &str) -> (String, Json) {
        loop {
            let (name, data) = self.next().await.expect("not the end");
            if data["topic"] == topic {
                return (name, data);
            }
        }
    }
}

#[tokio::test]
async fn who_comes_late_sees_the_present_and_then_the_future() {
    let (url, bus) = server(&Options::default()).await;
    bus.publish(Source::Driver, "test/before", Value::Quantity { value: 0.0, unit: "bpm" });
    bus.publish(Source::Driver, "test/before", Value::Quantity { value: 61.5, unit: "bpm" });
    let mut events = Events::of(&url).await;
    bus.publish(Source::Driver, "test/after", Value::Bool(true));
    let (name, plan) = events.next().await.unwrap();
    assert_eq!((name.as_str(), plan["intersection"].as_array().unwrap().len()), ("plan", 11));
    let crossing = &plan["intersection"][0];
    for field in ["id", "name", "latitude", "longitude", "streetMain", "streetCross"] {
        assert!(crossing.get(field).is_some(), "{field} in {crossing}");
    }
    let (name, before) = events.entry("test/before").await;
    assert_eq!((name.as_str(), &before["value"]), ("present", &json!({"value": 61.5, "unit": "bpm"})));
    assert_eq!(before["source"], "driver");
    let (name, after) = events.entry("test/after").await;
    assert_eq!((name.as_str(), &after["value"]), ("", &json!(true)));
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_told_how_much_it_missed() {
    let (url, bus) = server(&Options::default()).await;
    let mut events = Events::of(&url).await;
    events.next().await.unwrap();
    // Nothing is read meanwhile: this fills the connection and then the reader's place on the bus.
    let text = "x".repeat(10_000);
    for _ in 0..3 * CAPACITY {
        bus.publish(Source::Driver, "test/flood", Value::Text(text.clone()));
        tokio::task::yield_now().await;
    }
    while !matches!(events.next().await.unwrap(), (name, count) if name == "missed" && count.as_u64() > Some(0))
    {
    }
}

#[tokio::test]
async fn the_page_may_load_nothing_from_elsewhere_and_run_no_text() {
    let (url, _bus) = server(&Options::default()).await;
    let page = reqwest::get(&url).await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    for rule in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.split("; ").any(|it| it == rule), "{rule} in {policy}");
    }
    let html = page.text().await.unwrap();
    let mut files: Vec<String> =
        html.split(['"', '\'']).filter(|text| text.starts_with("dashboard/")).map(str::to_owned).collect();
    assert!(files.len() > 2, "{files:?}");
    let mut texts = vec![html];
    while let Some(file) = files.pop() {
        let response = reqwest::get(format!("{url}/{file}")).await.unwrap();
        assert_eq!(response.status(), 200, "{file}");
        let kind =
            if file.ends_with(".js") { "text/javascript; charset=utf-8" } else { "text/css; charset=utf-8" };
        assert_eq!(response.headers()["content-type"], kind);
        assert_eq!(response.headers()["content-security-policy"], *policy);
        let text = response.text().await.unwrap();
        files.extend(
            text.split('"').filter_map(|it| it.strip_prefix("./")).map(|it| format!("dashboard/{it}")),
        );
        texts.push(text);
    }
    for text in texts {
        for never in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            " style=",
            " onclick=",
        ] {
            assert!(!text.contains(never), "{never}");
        }
    }
}

#[tokio::test]
async fn an_open_page_does_not_hold_up_the_end_of_the_server() {
    let server = Server::start(&Options::default()).await;
    let mut events = Events::of(&server.url()).await;
    events.next().await.unwrap();
    let reader = tokio::spawn(async move { while events.next().await.is_some() {} });
    tokio::time::timeout(Duration::from_secs(10), server.stop()).await.expect("stops while a page is open");
    reader.await.unwrap();
}

#[tokio::test]
async fn the_timeline_is_open_on_loopback_and_needs_its_key_elsewhere() {
    let mut exposed = Options { listen: "0.0.0.0:5000".parse().unwrap(), ..Options::default() };
    let status = async |options: &Options, query: &str| {
        let (url, _bus) = server(options).await;
        reqwest::get(format!("{url}/timeline{query}")).await.unwrap().status().as_u16()
    };
    assert_eq!(status(&Options::default(), "").await, 200);
    assert_eq!(status(&exposed, "").await, 401);
    exposed.dashboard.dashboard_key = Some(cloverleaf::auth::Key::new("open sesame"));
    assert_eq!(status(&exposed, "").await, 401);
    assert_eq!(status(&exposed, "?key=wrong").await, 401);
    assert_eq!(status(&exposed, "?key=open%20sesame").await, 200);
}

#[tokio::test]
async fn while_somebody_looks_the_car_is_asked() {
    let (url, _bus) = server(&Options::default()).await;
    let mut events = Events::of(&url).await;
    for topic in ["RPM", "ELM_VOLTAGE", "GET_DTC"] {
        events.entry(topic).await;
    }
}

#[tokio::test]
async fn how_the_car_is_connected_is_on_the_timeline() {
    let (url, _bus) = server(&Options::default()).await;
    let mut events = Events::of(&url).await;
    while events.entry("link").await.1["value"] != "Car Connected" {}
    loop {
        let (_, adapter) = events.entry("adapter").await;
        if adapter["value"]["protocol"] == "ISO 15765-4 (CAN 11/500)" {
            assert_eq!(adapter["value"]["port"], "sim");
            assert!(adapter["value"]["banner"].as_str().unwrap().starts_with("ELM327"), "{adapter}");
            return;
        }
    }
}

#[tokio::test]
async fn what_somebody_asks_of_the_car_is_on_the_timeline_in_clean_json() {
    let bus = Bus::with_latest();
    let car = Car::connect(car::Options::default(), bus.clone());
    car.wait_connected(Duration::from_secs(60)).await.unwrap();
    for (name, value) in [
        ("VIN", Json::is_string as fn(&Json) -> bool),
        ("GET_DTC", Json::is_array),
        ("RPM", |it| it["unit"] == "rpm"),
    ] {
        car.query(&car.find(name).unwrap()).await.unwrap();
        let (present, _) = bus.subscribe_with_latest();
        let entry = present.iter().find(|entry| entry.topic == name).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(entry.source, Source::Car);
        let shown = serde_json::to_value(&entry.value).unwrap();
        assert!(value(&shown), "{name}: {shown}");
    }
}

#[tokio::test]
async fn who_is_in_a_room_is_on_the_timeline() {
    let (url, bus) = server(&Options::default()).await;
    let mut entries = bus.subscribe();
    let mut members = async || loop {
        let entry = entries.next().await.unwrap().unwrap();
        if entry.topic == "room:pit/members" {
            return serde_json::to_value(&entry.value).unwrap();
        }
    };
    let (mut chats, hub) = (Vec::new(), url.replacen("http", "ws", 1));
    for (name, names) in [("robin", json!(["robin"])), ("ann", json!(["ann", "robin"]))] {
        chats.push(Chat::connect(&hub, "pit", name, None).await.expect("a hub"));
        let count = chats.len();
        assert_eq!(members().await, json!({"count": count, "names": names}));
    }
    chats.pop();
    assert_eq!(members().await, json!({"count": 1, "names": ["robin"]}));
}

#[tokio::test]
async fn a_name_that_the_car_does_not_know_is_refused_at_the_start() {
    let mut options = Options::default();
    options.dashboard.dashboard_watch.push("RMP".into());
    let error = App::new(&options).await.unwrap_err().to_string();
    assert!(error.contains("RMP") && error.contains("--dashboard-watch"), "{error}");
}
