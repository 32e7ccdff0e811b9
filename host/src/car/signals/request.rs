//! Requests as OBDb writes them, and where on the bus they go.
//!
//! ```text
//! request    = [ header "." [ receive "." ] ] data [ "|" property *( "," property ) ]
//! header     = 3*8HEXDIG          7E0, DA10 (18DA10F1), 686A (68 6A F1)
//! receive    = 2*8HEXDIG          7E8, 10 (18DAF110), FE007B (17FE007B), 1EC60E80
//! data       = 1*7( 2HEXDIG )     010C, 2101, 22F190: service and identifier
//! property   = "t=" timeout / "e=" extended address / "ta=" tester address / "fc=1"
//!            / "p=" protocol / "c=" priority / "f=" years
//! years      = range *( ";" range )        range = year "-" [ year ] / "-" year / year
//! ```

use std::fmt;
use std::str::FromStr;

use cloverleaf_core::bus::Address;
use cloverleaf_core::elm327::session::{Physical, Target};
use cloverleaf_core::time;

/// The most bytes that a request can have: what fits one CAN frame.
pub const MAX_DATA: usize = 7;

/// A request: where to, what, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Request {
    /// Header, in upper-case hexadecimal digits as written (`7E0`, `DA10`).
    pub header: Option<String>,
    /// Address that answers, in upper-case hexadecimal digits as written (`7E8`, `10`).
    pub receive: Option<String>,
    /// Service and identifier: 1 to [`MAX_DATA`] bytes.
    pub data: Vec<u8>,
    /// Everything else.
    pub properties: Properties,
}

/// What a request needs beside addresses and data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Properties {
    /// Timeout in the ELM327's unit of 4 ms (`tmo`).
    pub timeout: Option<u8>,
    /// Extended address: the byte before the data of every frame of the request (`eax`).
    pub extended: Option<u8>,
    /// Tester address (`tst`), F1h if not given.
    pub tester: Option<u8>,
    /// Whether the adapter must be told which flow control frames to send (`fcm1`).
    pub flow_control: bool,
    /// Protocol, if the command works on one only (`proto`): `9141-2`, `15765-4-11bit`, `15765-4-29bit`.
    pub protocol: Option<String>,
    /// The first byte of 29-bit identifiers (`pri`), 18h if not given.
    pub priority: Option<u8>,
    /// The model years that have the command (`filter`).
    pub years: Option<Years>,
}

/// Model years: a range, open at either end, and single years beside it.
///
/// With `from` after `to` the years between them are the ones left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Years {
    /// First year.
    pub from: Option<u16>,
    /// Last year.
    pub to: Option<u16>,
    /// Other years, in order.
    pub others: Vec<u16>,
}

impl Years {
    /// Whether `year` is one of them.
    pub fn contain(&self, year: u16) -> bool {
        let in_range = match (self.from, self.to) {
            (Some(from), Some(to)) if from < to => (from..=to).contains(&year),
            (from, to) => from.is_some_and(|from| year >= from) || to.is_some_and(|to| year <= to),
        };
        in_range || self.others.contains(&year)
    }
}

impl fmt::Display for Years {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        match (self.from, self.to) {
            (Some(from), Some(to)) if from < to => parts.push(format!("{from}-{to}")),
            (from, to) => {
                parts.extend(from.map(|from| format!("{from}-")));
                parts.extend(to.map(|to| format!("-{to}")));
            }
        }
        parts.extend(self.others.iter().map(u16::to_string));
        f.write_str(&parts.join(";"))
    }
}

/// Why text is not a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The data are not whole bytes in hexadecimal, or none, or too many.
    #[error("`{0}` is not a service and identifier of 1 to {MAX_DATA} hexadecimal bytes")]
    Data(String),
    /// An address is not hexadecimal or has a length that no address has.
    #[error("`{0}` is not an address of {1} hexadecimal digits")]
    Address(String, &'static str),
    /// A property is known but its value is not.
    #[error("property `{0}` has no such value")]
    Property(String),
    /// More than header, receive address and data.
    #[error("more than header, receive address and data")]
    Parts,
}

impl FromStr for Request {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<Self, RequestError> {
        let (addressed, properties) = text.trim().split_once('|').unwrap_or((text.trim(), ""));
        let mut parts = addressed.split('.').rev();
        let data = data(parts.next().unwrap_or_default())?;
        let (receive, header) = match (parts.next(), parts.next()) {
            (Some(receive), Some(header)) => (Some(self::receive(receive)?), Some(self::header(header)?)),
            (Some(header), None) => (None, Some(self::header(header)?)),
            (None, _) => (None, None),
        };
        if parts.next().is_some() {
            return Err(RequestError::Parts);
        }
        Ok(Self { header, receive, data, properties: properties.parse()? })
    }
}

impl FromStr for Properties {
    type Err = RequestError;

    /// Unknown properties are skipped: they belong to a later version of the format.
    fn from_str(text: &str) -> Result<Self, RequestError> {
        let mut properties = Self::default();
        for property in text.split(',').filter(|property| !property.is_empty()) {
            let bad = || RequestError::Property(property.to_owned());
            let byte = |value| u8::from_str_radix(value, 16).map(Some).map_err(|_| bad());
            match property.split_once('=').ok_or_else(bad)? {
                ("t", value) => properties.timeout = byte(value)?,
                ("e", value) => properties.extended = byte(value)?,
                ("ta", value) => properties.tester = byte(value)?,
                ("c", value) => properties.priority = byte(value)?,
                ("fc", value) => properties.flow_control = value == "1",
                ("p", value) => properties.protocol = Some(value.to_owned()),
                ("f", value) => properties.years = Some(years(value).ok_or_else(bad)?),
                _ => {}
            }
        }
        Ok(properties)
    }
}

impl fmt::Display for Request {
    /// The identity of the command in OBDb: parsing it gives the same request.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for address in self.header.iter().chain(&self.receive) {
            write!(f, "{address}.")?;
        }
        for byte in &self.data {
            write!(f, "{byte:02X}")?;
        }
        let p = &self.properties;
        let hex = |name: &str, byte: Option<u8>| byte.map(|byte| format!("{name}={byte:02X}"));
        let parts = [
            hex("t", p.timeout),
            hex("e", p.extended),
            hex("ta", p.tester),
            p.flow_control.then(|| "fc=1".to_owned()),
            p.protocol.as_ref().map(|protocol| format!("p={protocol}")),
            hex("c", p.priority),
            p.years.as_ref().map(|years| format!("f={years}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { Ok(()) } else { write!(f, "|{}", parts.join(",")) }
    }
}

/// The header of a request on its bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// An 11-bit CAN identifier.
    Can11(u16),
    /// A 29-bit CAN identifier.
    Can29(u32),
    /// Three bytes of SAE J1850, ISO 9141-2 or ISO 14230.
    Legacy([u8; 3]),
}

/// What an adapter must be set to before a request is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `AT SH` (and `AT CP`).
    pub header: Option<Header>,
    /// `AT CRA`: only this sender is heard.
    pub receive: Option<Address>,
    /// `AT CEA`: the address byte before the data of each frame.
    pub extended: Option<u8>,
    /// `AT TA`: who the tester is.
    pub tester: Option<u8>,
    /// `AT ST`: how long to wait for an answer.
    pub timeout: Option<time::Duration>,
}

impl Request {
    /// Where the request goes and from whom the answer comes.
    pub fn route(&self) -> Route {
        Route {
            header: self.header.as_deref().and_then(|digits| self.resolved_header(digits)),
            receive: self.receive_address(),
            extended: self.properties.extended,
            tester: self.properties.tester,
            timeout: self.properties.timeout.map(|ticks| time::Duration::from_millis(4 * u64::from(ticks))),
        }
    }

    /// Whom to ask: without a header, every control unit.
    pub fn target(&self) -> Target {
        let route = self.route();
        let Some(header) = route.header else { return Target::Functional };
        let request = match header {
            Header::Can11(id) => id.into(),
            Header::Can29(id) => id,
            Header::Legacy([format, target, source]) => u32::from_be_bytes([0, format, target, source]),
        };
        let usual = Physical::new(request);
        Target::Physical(Physical {
            reply: route.receive.or(usual.reply),
            extended: route.extended,
            tester: route.tester,
            timeout: route.timeout,
            ..usual
        })
    }

    /// Whether a message from `source` may answer this request. Any ECU may answer what the law says every car must
    /// tell, and without headers nobody knows who does. Of 29-bit identifiers the priority does not count: ECUs answer
    /// with their own.
    pub fn hears(&self, source: Address) -> bool {
        match self.receive_address().filter(|_| !self.is_legislated() && source != Address::HIDDEN) {
            None => true,
            Some(Address(receive)) if receive > 0x7FF => receive & 0x00FF_FFFF == source.0 & 0x00FF_FFFF,
            Some(receive) => receive == source,
        }
    }

    /// Whether it asks for what the law says every car must tell: services 01 to 0A.
    pub fn is_legislated(&self) -> bool {
        self.data.first().is_some_and(|service| (0x01..=0x0A).contains(service))
    }

    fn resolved_header(&self, digits: &str) -> Option<Header> {
        let value = u32::from_str_radix(digits, 16).ok()?;
        let tester = self.properties.tester.unwrap_or(0xF1);
        let protocol = self.properties.protocol.as_deref().unwrap_or_default();
        let legacy = ["9141", "14230", "1850"].iter().any(|family| protocol.contains(family))
            || ["686A", "616A", "C233"].iter().any(|start| digits.starts_with(start));
        let priority = u32::from(self.properties.priority.unwrap_or(0x18)) << 24;
        let [_, b, c, d] = value.to_be_bytes();
        Some(match digits.len() {
            3 => Header::Can11(u16::try_from(value).ok()?),
            4 if legacy => Header::Legacy([c, d, tester]),
            6 if legacy => Header::Legacy([b, c, d]),
            4 => Header::Can29(priority | value << 8 | u32::from(tester)),
            6 => Header::Can29(priority | value),
            _ => Header::Can29(value),
        })
    }

    fn receive_address(&self) -> Option<Address> {
        let digits = self.receive.as_deref()?;
        let value = u32::from_str_radix(digits, 16).ok()?;
        let header = self.header.as_deref().and_then(|digits| self.resolved_header(digits));
        let priority = u32::from(self.properties.priority.unwrap_or(0x18)) << 24;
        Some(Address(match (header, digits.len()) {
            (Some(Header::Can29(_)), ..=3) => {
                priority | 0x00DA_0000 | u32::from(self.properties.tester.unwrap_or(0xF1)) << 8 | value & 0xFF
            }
            (Some(Header::Can29(_)), 4) => priority | 0x00DA_0000 | value,
            (Some(Header::Can29(_)), 5 | 6) => priority | value,
            (Some(Header::Legacy(_)), _) => value & 0xFF,
            _ => value,
        }))
    }
}

/// Hexadecimal digits of an address, in upper case.
fn address(text: &str, lengths: &[usize], name: &'static str) -> Result<String, RequestError> {
    if lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_uppercase())
    } else {
        Err(RequestError::Address(text.to_owned(), name))
    }
}

/// A header: 3 digits on 11-bit CAN, 4 to 8 elsewhere.
///
/// # Errors
/// [`RequestError::Address`] if it is no such number.
pub fn header(text: &str) -> Result<String, RequestError> {
    address(text, &[3, 4, 6, 8], "3, 4, 6 or 8")
}

/// A receive address: 3 digits on 11-bit CAN, 2 to 8 elsewhere.
pub(super) fn receive(text: &str) -> Result<String, RequestError> {
    address(text, &[2, 3, 4, 5, 6, 7, 8], "2 to 8")
}

/// Service and identifier.
pub(super) fn data(text: &str) -> Result<Vec<u8>, RequestError> {
    let bad = || RequestError::Data(text.to_owned());
    if text.is_empty() || text.len() > 2 * MAX_DATA || !text.len().is_multiple_of(2) || !text.is_ascii() {
        return Err(bad());
    }
    let pairs = text.as_bytes().chunks_exact(2).map(|pair| std::str::from_utf8(pair).unwrap_or_default());
    let byte = |pair: &str| match pair.as_bytes() {
        [b'+', _] => Err(bad()),
        _ => u8::from_str_radix(pair, 16).map_err(|_| bad()),
    };
    pairs.map(byte).collect()
}

fn years(text: &str) -> Option<Years> {
    let mut years = Years::default();
    for range in text.split(';').filter(|range| !range.is_empty()) {
        match range.split_once('-') {
            Some(("", to)) => years.to = Some(to.parse().ok()?),
            Some((from, "")) => years.from = Some(from.parse().ok()?),
            Some((from, to)) => (years.from, years.to) = (Some(from.parse().ok()?), Some(to.parse().ok()?)),
            None => years.others.push(range.parse().ok()?),
        }
    }
    years.others.sort_unstable();
    Some(years)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Request {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_request_is_what_obdb_calls_a_command_id() {
        for text in [
            "010C",
            "7E0.010C",
            "7E0.7E8.2121|f=-2018",
            "DA10.10.222660|f=2015-",
            "DA11.11.222612|f=2022-;-2011;2013;2015;2021",
            "750.758.2130|e=2A,ta=2A,fc=1,f=2022-;1996;1997",
            "FC00.FE007B.22028C|t=32,c=17,f=2020-2024",
            "686A.010C|p=9141-2",
        ] {
            assert_eq!(request(text).to_string(), text);
        }
        assert_eq!(request("7e0.7e8.2101|fc=1,e=2a"), request("7E0.7E8.2101|e=2A,fc=1"), "order, case");
        assert_eq!(request("7E0.010C|x=9"), request("7E0.010C"), "unknown properties are skipped");
    }

    #[test]
    fn addresses_follow_from_the_digits() {
        for (text, header, receive) in [
            ("7E0.010C", Header::Can11(0x7E0), None),
            ("7B0.7B8.2101", Header::Can11(0x7B0), Some(0x7B8)),
            ("6F1.607.22D111|e=07", Header::Can11(0x6F1), Some(0x607)),
            ("DB33.010C", Header::Can29(0x18DB_33F1), None),
            ("DA10.10.22F190", Header::Can29(0x18DA_10F1), Some(0x18DA_F110)),
            ("DA10.10.22F190|c=14", Header::Can29(0x14DA_10F1), Some(0x14DA_F110)),
            ("FC00.FE007B.22028C|ta=7B,c=17", Header::Can29(0x17FC_007B), Some(0x17FE_007B)),
            ("DA10.60E80.22F190", Header::Can29(0x18DA_10F1), Some(0x1806_0E80)),
            ("D016.1EC60E80.22F190|ta=30,c=1D", Header::Can29(0x1DD0_1630), Some(0x1EC6_0E80)),
            ("18DA10F1.18DAF110.22F190", Header::Can29(0x18DA_10F1), Some(0x18DA_F110)),
            ("686A.10.010C", Header::Legacy([0x68, 0x6A, 0xF1]), Some(0x10)),
            ("8110.10.2101|p=14230-4", Header::Legacy([0x81, 0x10, 0xF1]), Some(0x10)),
        ] {
            let route = request(text).route();
            assert_eq!((route.header, route.receive), (Some(header), receive.map(Address)), "{text}");
        }
        assert_eq!(request("010C").route().header, None);
    }

    #[test]
    fn only_the_named_ecu_is_heard_whatever_its_priority() {
        let any = request("7E0.010C");
        assert!(any.hears(Address(0x7EE)));
        let legislated = request("7E0.7E8.010C");
        assert!(legislated.hears(Address(0x7EE)));
        let one = request("7B0.7B8.2101");
        assert!(one.hears(Address::HIDDEN));
        assert!(one.hears(Address(0x7B8)) && !one.hears(Address(0x7E8)));
        let long = request("DA10.10.22F190");
        assert!(long.hears(Address(0x18DA_F110)) && long.hears(Address(0x14DA_F110)));
        assert!(!long.hears(Address(0x18DA_F111)));
    }

    #[test]
    fn years_are_a_range_and_single_years() {
        for (text, inside, outside) in [
            ("2010-2012", vec![2010, 2011, 2012], vec![2009, 2013]),
            ("2010-", vec![2010, 2030], vec![2009]),
            ("-2010", vec![1996, 2010], vec![2011]),
            ("2022-;-2011;2013", vec![2011, 2013, 2022], vec![2012, 2021]),
            ("2013;2015", vec![2013, 2015], vec![2014]),
        ] {
            let years = years(text).expect("years");
            assert_eq!(years.to_string(), text);
            assert!(inside.iter().all(|&year| years.contain(year)), "{text}");
            assert!(!outside.iter().any(|&year| years.contain(year)), "{text}");
        }
    }

    #[test]
    fn what_is_no_request_says_why() {
        use RequestError as E;
        assert_eq!("".parse::<Request>(), Err(E::Data(String::new())));
        assert_eq!("01C".parse::<Request>(), Err(E::Data("01C".to_owned())));
        assert_eq!("+1+1".parse::<Request>(), Err(E::Data("+1+1".to_owned())));
        assert_eq!("0102030405060708".parse::<Request>(), Err(E::Data("0102030405060708".to_owned())));
        assert_eq!("7X0.010C".parse::<Request>(), Err(E::Address("7X0".to_owned(), "3, 4, 6 or 8")));
        assert_eq!("7E0.7E8.7E9.010C".parse::<Request>(), Err(E::Parts));
        assert_eq!("7E0.010C|e=XYZ".parse::<Request>(), Err(E::Property("e=XYZ".to_owned())));
        assert_eq!("7E0.010C|f=new".parse::<Request>(), Err(E::Property("f=new".to_owned())));
    }
}
