//! The local server against clients that misbehave: each is told what is wrong, and nobody else notices.

use cloverleaf::config::Options;
use cloverleaf::services::dfx::client::DfxClient;
use cloverleaf::services::dfx::state::BODY;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::dfx::pulse;
use crate::dfx_client::{TIMEOUT, last, next, study};
use crate::dfx_deflate::{frame, masked};
use crate::support::{Server, exchange};

/// What a client is to get.
enum Told {
    /// A reply that begins and goes on like this.
    Reply(&'static str, &'static str),
    /// Nothing; the connection goes on.
    Nothing,
    /// A close with this code.
    Close(u16),
    /// The client has gone by itself.
    Gone,
}

fn handshake(server: &Server) -> String {
    format!(
        "GET /dfx HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: json\r\nAuthorization: Bearer t\r\n\r\n",
        server.address
    )
}

/// The beginning of a frame that is said to be this long, under a mask of zeros.
fn announced(first: u8, length: u64) -> Vec<u8> {
    [&[first, 0xFF][..], &length.to_be_bytes(), &[0; 4]].concat()
}

async fn check(server: &Server, case: &str, sent: &[u8], told: &Told) {
    let (mut stream, _, _) = exchange(server.address, &handshake(server)).await;
    stream.write_all(sent).await.expect("sent");
    let mut hear = async || timeout(TIMEOUT, frame(&mut stream)).await.expect(case);
    match told {
        Told::Reply(head, part) => {
            let (first, payload) = hear().await;
            let payload = String::from_utf8(payload).expect("ASCII");
            assert!(
                first == 0x82 && payload.starts_with(head) && payload.contains(part),
                "{case}: {payload}"
            );
        }
        Told::Close(code) => {
            // A reply that was on its way may come before.
            let goodbye = loop {
                match hear().await {
                    (0x82, _) => {}
                    goodbye => break goodbye,
                }
            };
            assert_eq!(goodbye, (0x88, code.to_be_bytes().into()), "{case}");
            return;
        }
        Told::Nothing => {}
        Told::Gone => return,
    }
    stream.write_all(&masked(0x82, b"0100call000009{}")).await.expect("sent");
    let (_, payload) = timeout(TIMEOUT, frame(&mut stream)).await.expect(case);
    assert!(payload.starts_with(b"call000009200"), "{case}: {}", String::from_utf8_lossy(&payload));
}

#[tokio::test]
async fn bad_clients_are_told_what_is_wrong_and_harm_nobody() {
    use Told::{Close, Gone, Nothing, Reply};
    let server = Server::start(&Options::default()).await;
    let bystander = DfxClient::connect(&format!("ws://{}", server.address), "t").await.unwrap();
    let request = |text: &str| masked(0x82, text.as_bytes());
    let chunk = r#"0506call000001{"Params":{"ID":"nowhere"},"Action":"LAST::PROCESS","Payload":"AAAA"}"#;
    let listed = format!("0201call000001{{\"Password\":\"p\",\"Other\":[{}0]}}", "0,".repeat(BODY / 2));
    let in_pieces = [masked(0x02, chunk.as_bytes()), announced(0x80, 16 << 20)].concat();
    let mut table = vec![
        ("a text frame", masked(0x81, b"0100call000001{}"), Reply("call000001200", "ACTIVE")),
        (
            "an unknown action",
            request("9999call000001{}"),
            Reply("call000001400", "Invalid Route Number 9999"),
        ),
        ("no action", request("05x6call000001{}"), Reply("call000001400", "Invalid Route Number 05x6")),
        ("no JSON", request("0504call000001{"), Reply("call000001400", "INCORRECT_REQUEST")),
        ("other JSON", request("0504call000001[7]"), Reply("call000001400", "INCORRECT_REQUEST")),
        (
            "a long body of what is no chunk",
            request(&listed),
            Reply("call000001400", "more than 131072 bytes"),
        ),
        (
            "a list for a number, without its end",
            request(r#"0506call000001{"StartTime":[0,"#),
            Reply("call000001400", "expected a number"),
        ),
        ("an unknown measurement", request(chunk), Reply("call000001404", "INVALID_MEASUREMENT")),
        ("no base64", request(&chunk.replace("AAAA", "?")), Reply("call000001400", "INCORRECT_REQUEST")),
        (
            "a RequestID that is too long",
            request(r#"0510call000001{"RequestID":"elevenbytes"}"#),
            Reply("call000001400", "RequestID"),
        ),
        ("text that is none", masked(0x81, b"0100call000001\xff"), Close(1007)),
        ("a hundred megabytes", announced(0x82, 100 << 20), Close(1009)),
        ("a frame without end", announced(0x82, u64::MAX), Close(1009)),
        ("a long message in pieces", in_pieces, Close(1009)),
        ("no mask", b"\x82\x010".to_vec(), Close(1002)),
        ("a reserved bit", masked(0xA2, b"0100call000001{}"), Close(1002)),
        ("compressed, unasked", masked(0xC2, b"0100call000001{}"), Close(1002)),
        ("a reserved opcode", masked(0x83, b""), Close(1002)),
        ("a continuation of nothing", masked(0x80, b"0100"), Close(1002)),
        (
            "closed in the middle of a call",
            [request(chunk), b"\x88\x82\0\0\0\0\x03\xE8".to_vec()].concat(),
            Close(1000),
        ),
        ("cut in the middle of a call", request(chunk), Gone),
        ("cut in the middle of a frame", announced(0x82, 1 << 20), Gone),
    ];
    for length in 0..14 {
        table.push(("no frame", masked(0x82, &vec![b'0'; length]), Nothing));
    }
    for (case, sent, told) in &table {
        check(&server, case, sent, told).await;
        let measurement = bystander.create_measurement(&study("s")).await.expect(case);
        let mut results = bystander.subscribe(&measurement).await.expect(case);
        bystander.add_data(&measurement, last(), pulse(60.0, 5.0)).await.expect(case);
        assert_eq!(next(&mut results).await.error.code, "OK", "{case}");
    }
}
