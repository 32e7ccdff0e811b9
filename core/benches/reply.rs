//! From the text of a reply to its value: what one answer costs.
//!
//! `cargo bench -p cloverleaf-core --bench reply`; beside python-OBD on the same machine:
//! `core/benches/against_python_obd.py`.

use cloverleaf_core::{
    bus::{Assembler, Format, Protocol},
    elm327::wire::{self, Line},
    obd2::{self, Command, Value, table},
};
use divan::{Bencher, black_box};

const RPM: &[u8] = b"7E8 04 41 0C 17 70 \r\r>";
const VIN: &[u8] =
    b"7E8 10 14 49 02 01 57 50 30 \r7E8 21 5A 5A 5A 39 39 5A 54 \r7E8 22 53 33 39 32 31 32 34 \r\r>";
const CODES: &[u8] = b"7E8 06 43 02 01 04 01 33 \r7E9 04 43 01 C1 00 \r\r>";

fn main() {
    divan::main();
}

/// The way of every reply: lines, frames, message, value.
fn reply<'a>(text: &[u8], command: &Command, assembler: &'a mut Assembler<8, 512>) -> Option<Value<'a>> {
    assembler.restart(Format::new(Some(Protocol::Can11Fast)));
    for line in wire::lines(text) {
        if let Line::Data { hex, fault: None } = line {
            assembler.push(hex).ok()?;
        }
    }
    obd2::answer(command, assembler.messages())?.value.ok()
}

fn bench(bencher: Bencher<'_, '_>, name: &str, text: &[u8]) {
    let command = Command::named(name).unwrap();
    let mut assembler = Assembler::new(Format::new(None));
    assert!(reply(text, command, &mut assembler).is_some());
    bencher.bench_local(|| match reply(black_box(text), black_box(command), &mut assembler) {
        Some(Value::Quantity(quantity)) => quantity.to_f64(),
        Some(Value::Text(text)) => f64::from(text.as_bytes().first().copied().unwrap_or(0)),
        Some(Value::Codes(codes)) => codes.iter().count() as f64,
        _ => 0.0,
    });
}

#[divan::bench]
fn rpm(bencher: Bencher<'_, '_>) {
    bench(bencher, "RPM", RPM);
}

#[divan::bench]
fn vin(bencher: Bencher<'_, '_>) {
    bench(bencher, "VIN", VIN);
}

#[divan::bench]
fn codes(bencher: Bencher<'_, '_>) {
    bench(bencher, "GET_DTC", CODES);
}

/// The same without the adapter's grammar: a line in hand.
#[divan::bench]
fn rpm_from_line(bencher: Bencher<'_, '_>) {
    let mut assembler = Assembler::<8, 512>::new(Format::new(Some(Protocol::Can11Fast)));
    let command = &table::SERVICE_01[0x0C];
    bencher.bench_local(|| {
        assembler.restart(Format::new(Some(Protocol::Can11Fast)));
        assembler.push(black_box(b"7E8 04 41 0C 17 70 ")).unwrap();
        let message = assembler.messages().next().unwrap();
        match obd2::decode(command, message) {
            Ok(Value::Quantity(quantity)) => quantity.to_f64(),
            _ => 0.0,
        }
    });
}
