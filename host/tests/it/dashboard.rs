//! The page at `/` and the stream behind it.

use cloverleaf::app::App;
use cloverleaf::config::Options;
use cloverleaf::timeline::{Source, Value};
use futures_util::StreamExt;
use tokio::net::TcpListener;

/// A server with these options, and the bus that its page shows.
async fn server(options: &Options) -> (String, cloverleaf::timeline::Bus) {
    let app = App::new(options).await.unwrap();
    let bus = app.timeline().clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(app.serve(listener, std::future::pending()));
    (url, bus)
}

#[tokio::test]
async fn who_comes_late_sees_the_present_and_then_the_future() {
    let (url, bus) = server(&Options::default()).await;
    bus.publish(Source::Driver, "test/before", Value::Quantity { value: 61.5, unit: "bpm" });
    let mut stream = reqwest::get(format!("{url}/timeline")).await.unwrap().bytes_stream();
    bus.publish(Source::Driver, "test/after", Value::Bool(true));
    let mut text = String::new();
    while !text.contains("test/after") {
        text.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
    }
    let (before, after) = text.split_at(text.find("test/after").unwrap());
    assert!(before.contains(r#""topic":"test/before","value":{"value":61.5,"unit":"bpm"}"#), "{before}");
    assert!(after.contains(r#""value":true"#), "{after}");
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
    let mut stream = reqwest::get(format!("{url}/timeline")).await.unwrap().bytes_stream();
    let mut text = String::new();
    while !text.contains(r#""topic":"RPM""#) {
        text.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
    }
}

#[tokio::test]
async fn a_name_that_the_car_does_not_know_is_refused_at_the_start() {
    let mut options = Options::default();
    options.dashboard.dashboard_watch.push("RMP".into());
    let error = App::new(&options).await.unwrap_err().to_string();
    assert!(error.contains("RMP") && error.contains("--dashboard-watch"), "{error}");
}
