//! What Phoenix 1.8.12 does by its source where nothing was recorded, in the language of the recordings.

use super::replay::replay;

/// The conversations, each with its name.
const CASES: [(&str, &str); 13] = [
    (
        "events of version 2 carry objects only: the channel fails, and nobody is sent anything",
        r#"
A open /socket/websocket?vsn=2.0.0 101
A > ["1","1","test:o","phx_join",{}]
A < ["1","1","test:o","phx_reply",{"response":{},"status":"ok"}]
A > ["1","2","test:o","push",[1]]
A < ["1","1","test:o","phx_error",{"reason":"channel_crash"}]
A > ["3","3","test:o","phx_join",{}]
A < ["3","3","test:o","phx_reply",{"response":{},"status":"ok"}]
A > ["3","4","test:o","broadcast",null]
A < ["3","3","test:o","phx_error",{"reason":"channel_crash"}]
A > ["5","5","test:o","phx_join",{}]
A < ["5","5","test:o","phx_reply",{"response":{},"status":"ok"}]
A > ["5","6","test:o","broadcast_from",12]
A < ["5","6","test:o","phx_reply",{"response":{},"status":"ok"}]
A > ["5","7","test:o","echo","x"]
A < ["5","7","test:o","phx_reply",{"response":"x","status":"ok"}]
A > ["8","8","fan:o","phx_join",{}]
A < ["8","8","fan:o","phx_reply",{"response":{},"status":"ok"}]
A > ["8","9","fan:o","shout",true]
A < ["8","8","fan:o","phx_error",{"reason":"channel_crash"}]
"#,
    ),
    (
        "version 1 is sent anything",
        r#"
A open /socket/websocket?vsn=1.0.0 101
A > {"topic":"test:o","event":"phx_join","payload":{},"ref":"1","join_ref":"1"}
A < {"event":"phx_reply","payload":{"response":{},"status":"ok"},"ref":"1","topic":"test:o"}
A > {"topic":"test:o","event":"push","payload":[1],"ref":"2"}
A < {"event":"pushed","payload":[1],"ref":null,"topic":"test:o"}
A > {"topic":"test:o","event":"broadcast","payload":null,"ref":"3"}
A < {"event":"bcast","payload":null,"ref":null,"topic":"test:o"}
A < {"event":"phx_reply","payload":{"response":{},"status":"ok"},"ref":"3","topic":"test:o"}
"#,
    ),
    (
        "a broadcast reaches those who joined before the first that cannot be sent it",
        r#"
A open /socket/websocket?vsn=1.0.0 101
A > {"topic":"test:m","event":"phx_join","payload":{},"ref":"1","join_ref":"1"}
A < {"event":"phx_reply","payload":{"response":{},"status":"ok"},"ref":"1","topic":"test:m"}
B open /socket/websocket?vsn=2.0.0 101
B > ["1","1","test:m","phx_join",{}]
B < ["1","1","test:m","phx_reply",{"response":{},"status":"ok"}]
C open /socket/websocket?vsn=1.0.0 101
C > {"topic":"test:m","event":"phx_join","payload":{},"ref":"1","join_ref":"1"}
C < {"event":"phx_reply","payload":{"response":{},"status":"ok"},"ref":"1","topic":"test:m"}
C > {"topic":"test:m","event":"broadcast","payload":[1],"ref":"2"}
A < {"event":"bcast","payload":[1],"ref":null,"topic":"test:m"}
C < {"event":"phx_error","payload":{"reason":"channel_crash"},"ref":"1","topic":"test:m"}
"#,
    ),
    (
        "a shout of a room, too",
        r#"
A open /socket/websocket?vsn=1.0.0 101
A > {"topic":"room:m","event":"phx_join","payload":{"username":"a"},"ref":"1","join_ref":"1"}
A < {"event":"phx_reply","payload":{"response":{},"status":"ok"},"ref":"1","topic":"room:m"}
A < {"event":"presence_state","payload":{},"ref":null,"topic":"room:m"}
A < {"event":"presence_diff","payload":{"joins":{"a":{"metas":[{"phx_ref":"1","typing":false,"username":"a"}]}},"leaves":{}},"ref":null,"topic":"room:m"}
B open /socket/websocket?vsn=2.0.0 101
B > ["1","1","room:m","phx_join",{"username":"b"}]
B < ["1","1","room:m","phx_reply",{"response":{},"status":"ok"}]
B < ["1",null,"room:m","presence_state",{"a":{"metas":[{"phx_ref":"1","typing":false,"username":"a"}]}}]
B < [null,null,"room:m","presence_diff",{"joins":{"b":{"metas":[{"phx_ref":"2","typing":false,"username":"b"}]}},"leaves":{}}]
A < {"event":"presence_diff","payload":{"joins":{"b":{"metas":[{"phx_ref":"2","typing":false,"username":"b"}]}},"leaves":{}},"ref":null,"topic":"room:m"}
B > ["1","2","room:m","shout",[1]]
A < {"event":"shout","payload":[1],"ref":null,"topic":"room:m"}
B < ["1","1","room:m","phx_error",{"reason":"channel_crash"}]
A < {"event":"presence_diff","payload":{"joins":{},"leaves":{"b":{"metas":[{"phx_ref":"2","typing":false,"username":"b"}]}}},"ref":null,"topic":"room:m"}
"#,
    ),
    (
        "phoenix is a topic like any, but for the heartbeat",
        r#"
A open /socket/websocket?vsn=2.0.0 101
A > ["1","2","phoenix","phx_leave",{}]
A < ["1","2","phoenix","phx_reply",{"response":{},"status":"ok"}]
A > ["1","3","phoenix","phx_join",{}]
A < [null,"3","phoenix","phx_reply",{"response":{"reason":"unmatched topic"},"status":"error"}]
"#,
    ),
    (
        "what comes right behind the end of a channel goes with it",
        r#"
A open /socket/websocket?vsn=2.0.0 101
A > ["1","1","test:t","phx_join",{}]
A < ["1","1","test:t","phx_reply",{"response":{},"status":"ok"}]
A > ["1","2","test:t","stop_normal",{}]
A +> ["1","3","test:t","echo",{}]
A +> ["1","4","test:t","phx_leave",{}]
A +> [null,"5","phoenix","heartbeat",{}]
A < [null,"5","phoenix","phx_reply",{"response":{},"status":"ok"}]
A < ["1","1","test:t","phx_close",{}]
A > ["1","6","test:t","echo",{}]
A < [null,"6","test:t","phx_reply",{"response":{"reason":"unmatched topic"},"status":"error"}]
A > ["7","7","test:t","phx_join",{}]
A < ["7","7","test:t","phx_reply",{"response":{},"status":"ok"}]
A > ["7","8","test:t","crash",{}]
A +> ["7","9","test:t","echo",{}]
A < ["7","7","test:t","phx_error",{"reason":"channel_crash"}]
A > ["10","10","test:t","phx_join",{}]
A < ["10","10","test:t","phx_reply",{"response":{},"status":"ok"}]
A > ["10","11","test:t","phx_leave",{}]
A +> ["10","12","test:t","phx_leave",{}]
A +> ["10","13","test:t","echo",{}]
A < ["10","11","test:t","phx_reply",{"response":{},"status":"ok"}]
A < ["10","10","test:t","phx_close",{}]
A > ["14","14","test:t","phx_join",{}]
A < ["14","14","test:t","phx_reply",{"response":{},"status":"ok"}]
A > ["14","15","test:t","stop_shutdown",{}]
A +> ["16","16","test:t","phx_join",{}]
A < ["16","16","test:t","phx_reply",{"response":{},"status":"ok"}]
A < ["14","14","test:t","phx_close",{}]
"#,
    ),
    (
        "the ways to stop, and a socket that is disconnected or drained",
        r#"
A open /socket/websocket?vsn=2.0.0&uid=7 101
B open /socket/websocket?uid=7 101
C open /socket/websocket?vsn=2.0.0&uid=8 101
A > ["1","1","test:s","phx_join",{}]
A < ["1","1","test:s","phx_reply",{"response":{},"status":"ok"}]
A > ["1","2","test:s","stop_reply",{"a":1}]
A < ["1","2","test:s","phx_reply",{"response":{"a":1},"status":"ok"}]
A < ["1","1","test:s","phx_close",{}]
A > ["3","3","test:s","phx_join",{}]
A < ["3","3","test:s","phx_reply",{"response":{},"status":"ok"}]
A > ["3","4","test:s","bad_return",{}]
A < ["3","3","test:s","phx_error",{"reason":"channel_crash"}]
A > ["5","5","test:s","phx_join",{}]
A < ["5","5","test:s","phx_reply",{"response":{},"status":"ok"}]
A > ["5","6","test:s","stop_other",{}]
A < ["5","5","test:s","phx_error",{"reason":"channel_crash"}]
A > ["7","7","test:s","phx_join",{}]
A < ["7","7","test:s","phx_reply",{"response":{},"status":"ok"}]
A > ["7","8","test:s","disconnect",{}]
A closed 1001
B closed 1001
C > ["1","1","test:s","phx_join",{}]
C < ["1","1","test:s","phx_reply",{"response":{},"status":"ok"}]
C > ["1","2","test:s","err",[1]]
C < ["1","2","test:s","phx_reply",{"response":[1],"status":"error"}]
C > ["1","3","test:s","drain",{}]
C closed 1012
"#,
    ),
    (
        "usernames that Elixir makes texts of",
        r#"
A open /socket/websocket?vsn=2.0.0 101
A > ["1","1","room:k1","phx_join",{"username":["a",[98],"c"]}]
A < ["1","1","room:k1","phx_reply",{"response":{},"status":"ok"}]
A < ["1",null,"room:k1","presence_state",{}]
A < [null,null,"room:k1","presence_diff",{"joins":{"abc":{"metas":[{"phx_ref":"1","typing":false,"username":["a",[98],"c"]}]}},"leaves":{}}]
A > ["2","2","room:k2","phx_join",{"username":1e3}]
A < ["2","2","room:k2","phx_reply",{"response":{},"status":"ok"}]
A < ["2",null,"room:k2","presence_state",{}]
A < [null,null,"room:k2","presence_diff",{"joins":{"1.0e3":{"metas":[{"phx_ref":"2","typing":false,"username":1e3}]}},"leaves":{}}]
"#,
    ),
    (
        "a username that is none takes all presence along",
        r#"
O open /socket/websocket?vsn=2.0.0 101
O > ["1","1","room:z","phx_join",{"username":"obs"}]
O < ["1","1","room:z","phx_reply",{"response":{},"status":"ok"}]
O < ["1",null,"room:z","presence_state",{}]
O < [null,null,"room:z","presence_diff",{"joins":{"obs":{"metas":[{"phx_ref":"1","typing":false,"username":"obs"}]}},"leaves":{}}]
O > ["2","2","room:other","phx_join",{"username":"obs"}]
O < ["2","2","room:other","phx_reply",{"response":{},"status":"ok"}]
O < ["2",null,"room:other","presence_state",{}]
O < [null,null,"room:other","presence_diff",{"joins":{"obs":{"metas":[{"phx_ref":"2","typing":false,"username":"obs"}]}},"leaves":{}}]
O > ["3","3","test:z","phx_join",{}]
O < ["3","3","test:z","phx_reply",{"response":{},"status":"ok"}]
A open /socket/websocket?vsn=2.0.0 101
A > ["1","1","room:z","phx_join",{"username":{}}]
A < ["1","1","room:z","phx_reply",{"response":{},"status":"ok"}]
A < ["1",null,"room:z","presence_state",{"obs":{"metas":[{"phx_ref":"1","typing":false,"username":"obs"}]}}]
A < ["1","1","room:z","phx_error",{"reason":"channel_crash"}]
O < ["1","1","room:z","phx_error",{"reason":"channel_crash"}]
O < ["2","2","room:other","phx_error",{"reason":"channel_crash"}]
O > ["1","4","room:z","shout",{}]
O < [null,"4","room:z","phx_reply",{"response":{"reason":"unmatched topic"},"status":"error"}]
O > ["2","5","room:other","phx_leave",{}]
O < ["2","5","room:other","phx_reply",{"response":{},"status":"ok"}]
O > ["3","6","test:z","echo",{}]
O < ["3","6","test:z","phx_reply",{"response":{},"status":"ok"}]
O > ["7","7","room:z","phx_join",{"username":"obs"}]
O < ["7","7","room:z","phx_reply",{"response":{},"status":"ok"}]
O < ["7",null,"room:z","presence_state",{}]
O < [null,null,"room:z","presence_diff",{"joins":{"obs":{"metas":[{"phx_ref":"3","typing":false,"username":"obs"}]}},"leaves":{}}]
"#,
    ),
    (
        "a join_ref of false is none to pushes and replies",
        r#"
A open /socket/websocket?vsn=2.0.0 101
A > [false,"1","test:f","phx_join",{}]
A < [false,"1","test:f","phx_reply",{"response":{},"status":"ok"}]
A > [false,"2","test:f","push",{}]
A < ["1",null,"test:f","pushed",{}]
A > [null,"3","test:f","echo",{}]
A < ["1","3","test:f","phx_reply",{"response":{},"status":"ok"}]
A > [null,"4","test:f","crash",{}]
A < [false,false,"test:f","phx_error",{"reason":"channel_crash"}]
"#,
    ),
    (
        "an integer has at most 1024 digits",
        r#"
A open /socket/websocket?vsn=2.0.0 101
A > [null,"1","phoenix","heartbeat",<1024>]
A < [null,"1","phoenix","phx_reply",{"response":{},"status":"ok"}]
A > [null,"1","phoenix","heartbeat",<1025>]
A closed 1011
"#,
    ),
    (
        "handshakes",
        r#"
A open /socket/websocket?vsn=2.0.1-dev 101
A close 1000
A open /socket/websocket?vsn=2.0.0%2Bbuild 101
A close 1000
A open /socket/websocket?vsn=2.1.0-dev 403
A open /socket/websocket?vsn=2.0.0 101 origin="//localhost"
A close 1000
A open /socket/websocket?vsn=2.0.0 101 origin="http://u@localhost:1"
A close 1000
A open /socket/websocket?vsn=2.0.0 101 origin="http://localhost?x"
A close 1000
A open /socket/websocket?vsn=2.0.0 403 origin="http://LOCALHOST"
A open /socket/websocket?vsn=2.0.0 403 origin="http://localhost@evil.example"
A open /socket/websocket?vsn=2.0.0 403 origin="http:localhost"
A open /asocket/websocket?vsn=2.0.0 500 offered=base64url.bearer.phx.Pz8_
A open /asocket/websocket?vsn=2.0.0 101 offered=base64url.bearer.phx.Pz8/
A close 1000
A open /asocket/websocket?vsn=2.0.0 101 offered=base64url.bearer.phx./w
A close 1000
A open /asocket/websocket?vsn=2.0.0 403 offered=base64url.bearer.phx.Pz8/,base64url.bearer.phx.Pz8/
A open /asocket/websocket?vsn=2.0.0 101 offered=base64url.bearer.phx.!!,base64url.bearer.phx.Pz8/,phoenix subprotocol=phoenix
A close 1000
"#,
    ),
    (
        "codes with which clients close",
        r#"
A open /socket/websocket 101
A close 1003
A open /socket/websocket 101
A close 1004 1002
A open /socket/websocket 101
A close 1011
A open /socket/websocket 101
A close 1012 1002
A open /socket/websocket 101
A close 1014 1002
A open /socket/websocket 101
A close 2999 1002
A open /socket/websocket 101
A close 3000
A open /socket/websocket 101
A close 5000
A open /socket/websocket 101
A close 999 1002
"#,
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_was_recorded_the_source_of_phoenix_decides() {
    for (name, text) in CASES {
        let digits =
            |line: &str| line.replace("<1024>", &"9".repeat(1024)).replace("<1025>", &"9".repeat(1025));
        replay(name, text.trim(), digits).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_joins_a_hundred_channels() {
    let mut text = "A open /socket/websocket?vsn=2.0.0 101\n".to_owned();
    for count in 1..=101 {
        let (status, response) =
            if count <= 100 { ("ok", "{}") } else { ("error", r#"{"reason":"too many channels joined"}"#) };
        text += &format!("A > [\"{count}\",\"{count}\",\"test:{count}\",\"phx_join\",{{}}]\n");
        text += &format!(
            "A < [\"{count}\",\"{count}\",\"test:{count}\",\"phx_reply\",{{\"response\":{response},\"status\":\"{status}\"}}]\n"
        );
    }
    replay("a hundred channels", &text, str::to_owned).await;
}

/// The recording `ws_size_limit`, whose frames are too large to be kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_has_less_than_ten_million_bytes_and_a_message_in_parts_eight() {
    use cloverleaf::config::Options;
    use futures_util::SinkExt;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::frame::Frame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

    use super::{Client, Seen};
    use crate::support::Server;

    let server = Server::start(&Options::default()).await;
    let heartbeat = |length: usize| {
        let (head, tail) = (r#"[null,"1","phoenix","heartbeat",{"x":""#, r#""}]"#);
        format!("{head}{}{tail}", "a".repeat(length - head.len() - tail.len()))
    };
    let answer = serde_json::json!([null, "1", "phoenix", "phx_reply", {"response": {}, "status": "ok"}]);
    // Header and payload count.
    for length in [9_900_041, 10_000_000 - 14] {
        let mut client = Client::connect(&server, "/socket/websocket?vsn=2.0.0").await;
        client.send(heartbeat(length)).await;
        assert_eq!(client.next().await, Seen::Json(answer.clone()), "{length}");
    }
    for length in [10_000_000 - 13, 10_000_000, 10_500_041] {
        let mut client = Client::connect(&server, "/socket/websocket?vsn=2.0.0").await;
        // The server closes while this goes on.
        let _ = client.sink.send(Message::text(heartbeat(length))).await;
        assert_eq!(client.next().await, Seen::Closed(1009), "{length}");
    }
    for (length, seen) in [(8_000_000, Seen::Json(answer)), (12_000_041, Seen::Closed(1009))] {
        let mut client = Client::connect(&server, "/socket/websocket?vsn=2.0.0").await;
        let text = heartbeat(length).into_bytes();
        let (head, tail) = text.split_at(6_000_038);
        for (part, code, last) in [(head, Data::Text, false), (tail, Data::Continue, true)] {
            let frame = Frame::message(part.to_vec(), OpCode::Data(code), last);
            let _ = client.sink.send(Message::Frame(frame)).await;
        }
        assert_eq!(client.next().await, seen, "{length}");
    }
}
