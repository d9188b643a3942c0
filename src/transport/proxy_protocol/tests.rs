use super::*;
use ppp::HeaderResult;
use proptest::prelude::*;

fn endpoints(source: &str, destination: &str) -> Endpoints {
    Endpoints::new(source.parse().unwrap(), destination.parse().unwrap())
}

fn v2(command: u8, kind: u8, addresses: &[u8]) -> Vec<u8> {
    let length = (addresses.len() as u16).to_be_bytes();
    [&V2_SIGNATURE[..], &[command, kind], &length, addresses].concat()
}

/// What a header says, with bytes of the client behind it.
fn read(header: &[u8]) -> Option<Endpoints> {
    let bytes = [header, b"GET / HTTP/1.1\r\n"].concat();
    match parse(&bytes) {
        Ok(Preface::Header { len, endpoints }) if len == header.len() => endpoints,
        other => panic!("{}: {other:?}", header.escape_ascii()),
    }
}

#[test]
fn headers_of_version_1() {
    for (header, expected) in [
        (
            "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n",
            Some(endpoints("192.0.2.1:56324", "198.51.100.1:443")),
        ),
        (
            "PROXY TCP6 2001:db8::1 ::1 0 65535\r\n",
            Some(endpoints("[2001:db8::1]:0", "[::1]:65535")),
        ),
        (
            "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2\r\n",
            Some(endpoints("192.0.2.1:1", "192.0.2.2:2")),
        ),
        ("PROXY UNKNOWN\r\n", None),
        ("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535 and more\r\n", None),
    ] {
        assert_eq!(read(header.as_bytes()), expected, "{header}");
    }
}

#[test]
fn what_is_no_header_of_version_1() {
    let long = format!("PROXY UNKNOWN {}", "x".repeat(V1_MAX));
    for header in [
        "GET / HTTP/1.1\r\n",
        "POST / HTTP/1.1\r\n",
        "PROXY\r\n",
        "proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rx",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 +2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.02 1 2\r\n",
        "PROXY TCP4 ::1 ::2 1 2\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4\r\n",
        "PROXY \u{e9}\r\n",
        &long,
    ] {
        assert!(parse(header.as_bytes()).is_err(), "{header}");
    }
}

#[test]
fn headers_of_version_2() {
    let v4 = [192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb];
    let from_v4 = Some(endpoints("192.0.2.1:56324", "198.51.100.1:443"));
    let v6 = [
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).octets().to_vec(),
        Ipv6Addr::LOCALHOST.octets().to_vec(),
        vec![0, 1, 0, 2],
    ];
    let more = [&v4[..], &[0x04, 0, 3, 1, 2, 3]].concat();
    for (header, expected) in [
        (v2(0x21, TCP4, &v4), from_v4),
        (v2(0x21, TCP4, &more), from_v4),
        (v2(0x21, TCP6, &v6.concat()), Some(endpoints("[2001:db8::1]:1", "[::1]:2"))),
        // The sender's own connection, whatever it says besides.
        (v2(0x20, TCP4, &v4), None),
        (v2(0x20, TCP4, &[]), None),
        (v2(0x20, 0xff, &[1]), None),
        // Unspecified, datagrams, Unix sockets.
        (v2(0x21, 0x00, &[]), None),
        (v2(0x21, 0x00, &[1, 2, 3]), None),
        (v2(0x21, 0x12, &v4), None),
        (v2(0x21, 0x31, &[0; 216]), None),
    ] {
        assert_eq!(read(&header), expected, "{}", header.escape_ascii());
    }
}

#[test]
fn what_is_no_header_of_version_2() {
    let too_long = vec![0; V2_MAX];
    let mut wrong_signature = v2(0x21, 0x00, &[]);
    wrong_signature[11] = b'\r';
    for header in [
        v2(0x11, 0x00, &[]),
        v2(0x22, 0x00, &[]),
        v2(0x21, 0x13, &[0; 12]),
        v2(0x21, 0x41, &[0; 300]),
        v2(0x21, TCP4, &[0; 11]),
        v2(0x21, TCP6, &[0; 35]),
        v2(0x21, 0x31, &[0; 215]),
        v2(0x21, 0x00, &too_long),
        wrong_signature,
        b"\0".to_vec(),
    ] {
        assert!(parse(&header).is_err(), "{}", header.escape_ascii());
    }
}

#[test]
fn a_client_without_an_address_is_unknown() {
    assert_eq!(read(&v1_header(None)), None);
    assert_eq!(read(&v2_header(None)), None);
}

#[test]
fn both_addresses_are_of_one_family() {
    let mixed = endpoints("192.0.2.1:1", "[2001:db8::1]:2");
    assert_eq!(mixed.source.to_string(), "[::ffff:192.0.2.1]:1");
    let header = String::from_utf8(v1_header(Some(&mixed))).unwrap();
    assert_eq!(header, "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 1 2\r\n");
    let mapped = endpoints("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:2");
    assert_eq!(v1_header(Some(&mapped)), b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n");
}

fn any_endpoints() -> impl Strategy<Value = Endpoints> {
    let v4 =
        any::<([u8; 4], u16, [u8; 4], u16)>().prop_map(|(a, b, c, d)| (a.into(), b, c.into(), d));
    let v6 =
        any::<([u8; 16], u16, [u8; 16], u16)>().prop_map(|(a, b, c, d)| (a.into(), b, c.into(), d));
    let of = |(a, b, c, d): (IpAddr, u16, IpAddr, u16)| {
        Endpoints::new(SocketAddr::new(a, b), SocketAddr::new(c, d))
    };
    prop_oneof![v4.prop_map(of), v6.prop_map(of)]
}

/// Headers as they should be, and all sorts of others.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "PROXY",
        "TCP4",
        "TCP6",
        "UNKNOWN",
        "192.0.2.1",
        "::1",
        "80",
        "65536",
        "\r\n",
        "\r",
        " ",
        "",
    ]);
    let line = prop::collection::vec(word, 0..9).prop_map(|words| words.join(" ").into_bytes());
    let binary = (any::<u8>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..240))
        .prop_map(|(command, kind, rest)| v2(command, kind, &rest));
    let likely = (0x20u8..0x22, prop::sample::select(vec![0, 0x11, 0x21, 0x31, 0x12]), 0usize..240)
        .prop_map(|(command, kind, length)| v2(command, kind, &vec![7; length]));
    let good = any_endpoints().prop_flat_map(|endpoints| {
        prop::sample::select(vec![v1_header(Some(&endpoints)), v2_header(Some(&endpoints))])
    });
    let start = prop_oneof![line, binary, likely, good, prop::collection::vec(any::<u8>(), 0..40)];
    (start, prop::collection::vec(any::<u8>(), 0..20))
        .prop_map(|(start, rest)| [start, rest].concat())
}

proptest! {
    /// However the bytes arrive, the verdict is the same: one that was reached stays, and a header
    /// is incomplete until its last byte is there.
    #[test]
    fn splits_do_not_matter(bytes in any_bytes()) {
        let whole = parse(&bytes);
        for split in 0..bytes.len() {
            match (parse(&bytes[..split]), whole) {
                (Ok(Preface::Incomplete), Ok(Preface::Header { len, .. })) => {
                    prop_assert!(split < len);
                }
                (Ok(Preface::Incomplete), _) => {}
                (reached, whole) => prop_assert_eq!(reached, whole, "after {} bytes", split),
            }
        }
    }

    /// What we write we read, and so does somebody else's parser.
    #[test]
    fn headers_are_understood(endpoints in any_endpoints()) {
        let Endpoints { source, destination } = endpoints;
        let (v1, v2) = (v1_header(Some(&endpoints)), v2_header(Some(&endpoints)));
        prop_assert_eq!(read(&v1), Some(endpoints));
        prop_assert_eq!(read(&v2), Some(endpoints));
        let HeaderResult::V1(Ok(theirs)) = HeaderResult::parse(&v1) else { panic!("not theirs") };
        prop_assert_eq!(theirs.addresses, (source, destination).into());
        let HeaderResult::V2(Ok(theirs)) = HeaderResult::parse(&v2) else { panic!("not theirs") };
        prop_assert_eq!(theirs.addresses, (source, destination).into());
    }

    /// What somebody else's parser takes for a header with addresses is one here too, and says the
    /// same, up to their number of 16 KiB.
    #[test]
    fn parsers_agree(bytes in any_bytes()) {
        use ppp::{v1, v2};
        let (source, destination) = match HeaderResult::parse(&bytes) {
            HeaderResult::V1(Ok(v1::Header { addresses: v1::Addresses::Tcp4(a), .. })) => (
                (a.source_address.into(), a.source_port),
                (a.destination_address.into(), a.destination_port),
            ),
            HeaderResult::V1(Ok(v1::Header { addresses: v1::Addresses::Tcp6(a), .. })) => (
                (IpAddr::from(a.source_address), a.source_port),
                (IpAddr::from(a.destination_address), a.destination_port),
            ),
            HeaderResult::V2(Ok(v2::Header {
                addresses: v2::Addresses::IPv4(a),
                command: v2::Command::Proxy,
                protocol: v2::Protocol::Stream,
                ..
            })) => (
                (a.source_address.into(), a.source_port),
                (a.destination_address.into(), a.destination_port),
            ),
            _ => return Ok(()),
        };
        let (source, destination): (SocketAddr, SocketAddr) = (source.into(), destination.into());
        match parse(&bytes) {
            Ok(Preface::Header { endpoints: Some(found), .. }) => {
                prop_assert_eq!(found, Endpoints::new(source, destination));
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }
}
